"""Deploys template.yaml to the emulator, with functions that are already built.

The one rule: the template stays unchanged, except that each function's `CodeUri` points to its uploaded code, as
after `sam package`. Resources that the emulator does not create from a template are added through its API.

Progress goes to standard error. The stack's outputs go to standard output, as one JSON object. A failure prints
one sentence to standard error and exits with code 1.
"""

import argparse
import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path

# The clients below must not use the caller's own AWS profile or region.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

REGION = "us-east-1"
BUCKET = "docintell-deployments"
# This stack usually takes two seconds.
DEADLINE_SECONDS = 60


class DeployError(Exception):
    """Why the deployment failed, as a sentence for the user."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True, help="the emulator's AWS endpoint")
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--stack-name", default="docintell-webhooks")
    parser.add_argument("--binary", action="append", default=[], metavar="NAME=PATH",
                        help="path of a function's binary, by the template's name for it; repeat for each function")
    parser.add_argument("--parameters", default="{}", metavar="JSON",
                        help="template parameters as a JSON object, or - to read it from standard input")
    parser.add_argument("--env-vars", type=Path, metavar="FILE",
                        help="file for each function's environment variables, in the format of `sam local --env-vars`")
    arguments = parser.parse_args()
    try:
        outputs = deploy(arguments)
    except (DeployError, ClientError, BotoCoreError, OSError, json.JSONDecodeError) as error:
        reason = error.response["Error"]["Message"] if isinstance(error, ClientError) else error
        print(f"The local stack could not be deployed: {reason}", file=sys.stderr)
        return 1
    print(json.dumps(outputs))
    return 0


def deploy(arguments: argparse.Namespace) -> dict[str, str]:
    text = sys.stdin.read() if arguments.parameters == "-" else arguments.parameters
    parameters = json.loads(text)
    binaries = dict(binary.split("=", 1) for binary in arguments.binary)
    session = boto3.Session("test", "test", region_name=REGION)

    def client(service: str):
        # The emulator runs on this machine: no retries, and no proxy from the environment.
        config = Config(proxies={}, retries={"total_max_attempts": 1})
        return session.client(service, endpoint_url=arguments.endpoint, config=config)

    template = yaml_parse(arguments.template.read_text())
    # CloudFormation refuses unknown parameters; the emulator ignores them.
    if unknown := parameters.keys() - template["Parameters"].keys():
        raise DeployError(f"the template has no parameter {', '.join(sorted(unknown))}.")
    s3 = client("s3")
    upload_code(s3, template, binaries)
    url = upload_template(s3, arguments.endpoint, template)
    outputs = create_stack(client("cloudformation"), arguments.stack_name, url, parameters)
    add_default_route(client("apigatewayv2"), client("lambda"), outputs)
    enable_time_to_live(client("dynamodb"), template, outputs)
    enable_continuous_backups(client("dynamodb"), template, outputs)
    if arguments.env_vars:
        variables = environments(client("lambda"), template, outputs)
        # sam sets these on every function that declares them.
        variables["Parameters"] = {"AWS_ENDPOINT_URL": arguments.endpoint}
        arguments.env_vars.write_text(json.dumps(variables, indent=2) + "\n")
    return outputs


def upload_code(s3, template: dict, binaries: dict[str, str]) -> None:
    """Uploads each function's binary to a bucket and writes its location into the template."""
    s3.create_bucket(Bucket=BUCKET)
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        name = resource["Metadata"]["BuildProperties"]["Binary"]
        if name not in binaries:
            raise DeployError(f"the template needs a binary {name}: pass its path with --binary {name}=PATH.")
        progress(f"uploading {name}")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as bundle:
            bootstrap = zipfile.ZipInfo("bootstrap")
            bootstrap.external_attr = 0o755 << 16
            bundle.writestr(bootstrap, Path(binaries[name]).read_bytes())
        s3.put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=archive.getvalue())
        resource["Properties"]["CodeUri"] = f"s3://{BUCKET}/{name}.zip"


def upload_template(s3, endpoint: str, template: dict) -> str:
    """Uploads the template, as `sam deploy` does, and returns its URL. A request has room for only 51,200 bytes of it."""
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(template))
    return f"{endpoint}/{BUCKET}/template.json"


def create_stack(cloudformation, name: str, template_url: str, parameters: dict) -> dict[str, str]:
    progress(f"creating stack {name}")
    cloudformation.create_stack(
        StackName=name,
        TemplateURL=template_url,
        Parameters=[{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        status = stack["StackStatus"]
        if status == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        if status not in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"):
            raise DeployError(first_failure(cloudformation, stack))
        if time.monotonic() > deadline:
            raise DeployError(f"the stack is still {status} after {DEADLINE_SECONDS} seconds.")
        time.sleep(0.1)


def first_failure(cloudformation, stack: dict) -> str:
    """The reason of the first failed resource. Later failures follow from it."""
    events = cloudformation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    for event in sorted(events, key=lambda event: event["Timestamp"]):
        # The stack's own event only counts the failed resources.
        if event["ResourceStatus"] == "CREATE_FAILED" and event["PhysicalResourceId"] != stack["StackId"]:
            return f"{event['LogicalResourceId']} failed: {event.get('ResourceStatusReason', 'no reason given').rstrip('.')}."
    return f"it is {stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason given').rstrip('.')}."


def add_default_route(apigateway, functions, outputs: dict[str, str]) -> None:
    """The emulator creates the HTTP API without its routes, which SAM writes into the API's OpenAPI body."""
    progress("adding the API's route")
    api = outputs["HttpApiId"]
    function = functions.get_function_configuration(FunctionName=outputs["ApiFunctionName"])
    integration = apigateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"{function['FunctionArn']}:{outputs['FunctionAlias']}",
        PayloadFormatVersion="2.0",
    )
    apigateway.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration['IntegrationId']}")


def enable_time_to_live(dynamodb, template: dict, outputs: dict[str, str]) -> None:
    """The emulator ignores a table's time to live in a template. Each table's output has the table's name in the template."""
    for name, resource in template["Resources"].items():
        specification = resource.get("Properties", {}).get("TimeToLiveSpecification")
        if specification and name in outputs:
            dynamodb.update_time_to_live(TableName=outputs[name], TimeToLiveSpecification=specification)


def enable_continuous_backups(dynamodb, template: dict, outputs: dict[str, str]) -> None:
    """The emulator ignores a table's continuous backups in a template too."""
    for name, resource in template["Resources"].items():
        specification = resource.get("Properties", {}).get("PointInTimeRecoverySpecification")
        if specification and name in outputs:
            dynamodb.update_continuous_backups(
                TableName=outputs[name], PointInTimeRecoverySpecification=specification
            )


def environments(functions, template: dict, outputs: dict[str, str]) -> dict[str, dict[str, str]]:
    """The environment variables of each deployed function, by the function's name in the template."""
    return {
        name: functions.get_function_configuration(FunctionName=outputs[f"{name}Name"])["Environment"]["Variables"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
