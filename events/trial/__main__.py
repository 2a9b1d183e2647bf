"""Tries every sample event with `sam local`: functions in containers, on the local stack.

    python3 events/trial

Validates and builds the template, starts the local stack on a Docker network, invokes a function with each sample,
serves the API from a container, deploys a second stack with `sam deploy`, and waits for a document's event.

The one rule: a step succeeds when its effect is visible. It stops every process that it has started.
"""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import samples
from programs import ARCHITECTURE, TIMEOUT, ROOT, Failure, done, environment, parameters, run, run_any, step, stop
from receiver import Receiver
from stack import LocalStack

# Keeps the user's own build in `.aws-sam` unchanged.
BUILD = ROOT / "target/sam/build"
TEMPLATE = BUILD / "template.yaml"
# The release profile's link-time optimization takes minutes.
QUICK_BUILD = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
# Requests for an existing webhook, and the expected statuses. Their order matters: one deletes the webhook, and its
# history remains.
REQUESTS = {
    "api-list": 200,
    "api-event-types": 200,
    "api-openapi": 200,
    "api-get": 200,
    "api-test": 200,
    "api-replay": 200,
    "api-replays": 200,
    "api-rotate": 200,
    "api-delete-previous-secret": 204,
    "api-update": 200,
    "api-delete": 204,
    "api-audit": 200,
}
DEPLOYED = "docintell-trial"


def main() -> int:
    try:
        expect_tools()
        validate()
        build()
        with LocalStack(TEMPLATE) as stack, Receiver(stack.gateway) as receiver:
            invoke(stack, receiver)
            serve_api(stack)
            deploy(stack, receiver)
    except Failure as failure:
        print(f"\nThe trial failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\nEvery step succeeded.")
    return 0


def expect_tools() -> None:
    if not shutil.which("docker"):
        raise Failure("`docker` is not in the PATH: install Docker.")
    if run_any(["docker", "info"]).returncode:
        raise Failure("the Docker engine does not answer: start it, and check `docker info`.")
    for tool in ("sam", "cargo-lambda"):
        if not shutil.which(tool):
            raise Failure(f"`{tool}` is not in the PATH: run `pip install aws-sam-cli cargo-lambda`.")
    if not ARCHITECTURE:
        raise Failure("Lambda does not support this machine's processor.")


def validate() -> None:
    step("sam validate --lint")
    run(["sam", "validate", "--lint"])
    done("template.yaml is valid")


def build() -> None:
    step("sam build")
    run(["sam", "build", "--build-dir", BUILD, *parameters()], QUICK_BUILD)
    for function in ("ApiFunction", "FanoutFunction", "SenderFunction", "ReplayFunction"):
        bootstrap = BUILD / function / "bootstrap"
        if not bootstrap.is_file():
            raise Failure(f"sam build did not create {bootstrap}.")
        done(f"{function}: {bootstrap.stat().st_size / 1e6:.1f} MB")


def invoke(stack: LocalStack, receiver: Receiver) -> None:
    """Invokes a function with each sample, in an order in which each sample finds its webhook."""
    step("sam local invoke")
    webhook = created(stack.invoke("ApiFunction", samples.create(stack.key, f"{receiver.url}/samples")))
    receiver.secrets["/samples"] = webhook["signing_secret"]
    webhook_id = webhook["webhook_config_id"]

    expect_no_failures("queue-batch", stack.invoke("SenderFunction", samples.queue_batch(stack.tenant, webhook_id)))
    receiver.expect("/samples", {"document.uploaded"})
    expect_no_failures("stream-batch", stack.invoke("FanoutFunction", samples.stream_batch(stack.tenant)))
    receiver.expect("/samples", set(webhook["events"]))
    # The sample's replay does not exist, so there is nothing to do.
    expect_no_failures("replay-slice", stack.invoke("ReplayFunction", samples.sample("replay-slice")))
    test = stack.invoke("SenderFunction", samples.sender_test(stack.tenant, webhook_id))
    if not test.get("tested", {}).get("success"):
        raise Failure(f"sender-test returned {test}.")
    done("sender-test: success")
    for name, status in REQUESTS.items():
        expect_status(name, status, stack.invoke("ApiFunction", samples.api(name, stack.key, webhook_id)))

    others = {"api-create", "queue-batch", "replay-slice", "sender-test", "stream-batch"}
    if missing := samples.names() - REQUESTS.keys() - others:
        raise Failure(f"no step tries {', '.join(sorted(missing))}.")


def serve_api(stack: LocalStack) -> None:
    step("sam local start-api")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["sam", "local", "start-api", "--port", port, "--warm-containers", "LAZY", *stack.local_options()]
    log = ROOT / "target/sam/start-api.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, env=environment(stack.environment()), stdout=output, stderr=output
        )
    try:
        wait_for(port, process, log)
        url = f"http://127.0.0.1:{port}/v1/webhooks"
        for headers, expected in ({"Authorization": f"Bearer {stack.key}"}, 200), ({}, 401):
            status = get(url, headers)
            if status != expected:
                raise Failure(f"GET {url} returned {status}, expected {expected}: see {log}.")
            done(f"GET {url} {'with' if headers else 'without'} a key: {status}")
    finally:
        # sam removes its containers on SIGINT.
        stop(process, signal.SIGINT)


def deploy(stack: LocalStack, receiver: Receiver) -> None:
    step("sam deploy")
    networks = parameters(AllowHttpEndpoints="true", AllowedNetworks=f"{stack.gateway}/32")
    command = ["sam", "deploy", "--template-file", TEMPLATE, "--stack-name", DEPLOYED, "--resolve-s3"]
    run([*command, "--capabilities", "CAPABILITY_IAM", *networks], stack.environment())
    done(f"stack {DEPLOYED} is deployed")

    of_stack = ("--stack-name", DEPLOYED, "--tenant-id", stack.tenant)
    key = stack.docintell("keys", "create", "--environment", "test", *of_stack)
    # Invoked directly, because the emulator creates no HTTP routes from a template.
    create = samples.create(key, f"{receiver.url}/deployed")
    webhook = created(stack.invoke_deployed("ApiFunction", create, DEPLOYED))
    receiver.secrets["/deployed"] = webhook["signing_secret"]
    stack.docintell("job", "complete", *of_stack)
    receiver.expect("/deployed", {"document.processing.completed"})


def created(answer: dict) -> dict:
    """Checks the answer to `api-create`; returns its webhook."""
    expect_status("api-create", 201, answer)
    return json.loads(answer["body"])


def expect_status(name: str, expected: int, answer: dict) -> None:
    if answer.get("statusCode") != expected:
        raise Failure(f"{name} returned {answer}, expected {expected}.")
    done(f"{name}: {expected}")


def expect_no_failures(name: str, answer: dict) -> None:
    if answer != {"batchItemFailures": []}:
        raise Failure(f"{name} returned {answer}.")
    done(f"{name}: no failures")


def get(url: str, headers: dict[str, str]) -> int:
    no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with no_proxy.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.2)
    raise Failure(f"sam local start-api does not listen: see {log}.")


if __name__ == "__main__":
    sys.exit(main())
