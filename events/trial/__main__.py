"""Tries the sample events as `sam local` runs the functions: in containers, on the local stack.

    python3 events/trial

Checks and builds the template, starts the local stack on a Docker network, invokes a function with each sample,
serves the API from a container, deploys the stack once more with `sam deploy`, and waits for a document's event.

The one rule: a step is done when its effect is seen, and whatever it started ends with it.
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
from programs import ARCHITECTURE, PATIENCE, ROOT, Failure, done, environment, parameters, run, run_any, step, stop
from receiver import Receiver
from stack import LocalStack

# Not `.aws-sam`, which is what a person deploys.
BUILD = ROOT / "target/sam/build"
TEMPLATE = BUILD / "template.yaml"
# Optimizing each function as a whole, as a release is, takes minutes.
QUICK_BUILD = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
# The requests about a webhook that exists, and their statuses; each leaves what the next one needs.
REQUESTS = {"api-list": 200, "api-get": 200, "api-rotate": 200, "api-update": 200, "api-delete": 204}
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
    print("\nall good")
    return 0


def expect_tools() -> None:
    if not shutil.which("docker"):
        raise Failure("it needs Docker, and there is no `docker` in the PATH: install it.")
    if run_any(["docker", "info"]).returncode:
        raise Failure("it needs Docker, whose engine does not answer: start it, and see `docker info`.")
    for tool in ("sam", "cargo-lambda"):
        if not shutil.which(tool):
            raise Failure(f"there is no `{tool}` in the PATH: `pip install aws-sam-cli cargo-lambda`.")
    if not ARCHITECTURE:
        raise Failure("Lambda has no processors of this machine's kind.")


def validate() -> None:
    step("sam validate --lint")
    run(["sam", "validate", "--lint"])
    done("template.yaml is valid")


def build() -> None:
    step("sam build")
    run(["sam", "build", "--build-dir", BUILD, *parameters()], QUICK_BUILD)
    for function in ("ApiFunction", "FanoutFunction", "SenderFunction"):
        bootstrap = BUILD / function / "bootstrap"
        if not bootstrap.is_file():
            raise Failure(f"sam build made no {bootstrap}.")
        done(f"{function}: {bootstrap.stat().st_size / 1e6:.1f} MB")


def invoke(stack: LocalStack, receiver: Receiver) -> None:
    """Tries each sample, in an order in which each finds what it needs."""
    step("sam local invoke")
    webhook = created(stack.invoke("ApiFunction", samples.create(stack.key, f"{receiver.url}/samples")))
    receiver.secrets["/samples"] = webhook["signing_secret"]
    webhook_id = webhook["webhook_config_id"]

    expect_whole("queue-batch", stack.invoke("SenderFunction", samples.queue_batch(stack.tenant, webhook_id)))
    receiver.expect("/samples", {"document.uploaded"})
    expect_whole("stream-batch", stack.invoke("FanoutFunction", samples.stream_batch(stack.tenant)))
    receiver.expect("/samples", set(webhook["events"]))
    for name, status in REQUESTS.items():
        expect_status(name, status, stack.invoke("ApiFunction", samples.api(name, stack.key, webhook_id)))

    if untried := samples.names() - REQUESTS.keys() - {"api-create", "queue-batch", "stream-batch"}:
        raise Failure(f"no step tries {', '.join(sorted(untried))}.")


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
                raise Failure(f"GET {url} was answered {status}, not {expected}: see {log}.")
            done(f"GET {url} {'with' if headers else 'without'} a key: {status}")
    finally:
        # On this signal sam removes its containers.
        stop(process, signal.SIGINT)


def deploy(stack: LocalStack, receiver: Receiver) -> None:
    step("sam deploy")
    networks = parameters(AllowHttpEndpoints="true", AllowedNetworks=f"{stack.gateway}/32")
    command = ["sam", "deploy", "--template-file", TEMPLATE, "--stack-name", DEPLOYED, "--resolve-s3"]
    run([*command, "--capabilities", "CAPABILITY_IAM", *networks], stack.environment())
    done(f"stack {DEPLOYED} is deployed")

    of_stack = ("--stack-name", DEPLOYED, "--tenant-id", stack.tenant)
    key = stack.docintell("keys", "create", "--environment", "test", *of_stack)
    # Not over HTTP: the emulator makes no routes from a template.
    create = samples.create(key, f"{receiver.url}/deployed")
    webhook = created(stack.invoke_deployed("ApiFunction", create, DEPLOYED))
    receiver.secrets["/deployed"] = webhook["signing_secret"]
    stack.docintell("job", "complete", *of_stack)
    receiver.expect("/deployed", {"document.processing.completed"})


def created(answer: dict) -> dict:
    """The webhook in the answer to `api-create`."""
    expect_status("api-create", 201, answer)
    return json.loads(answer["body"])


def expect_status(name: str, expected: int, answer: dict) -> None:
    if answer.get("statusCode") != expected:
        raise Failure(f"{name} was answered {answer}, not {expected}.")
    done(f"{name}: {expected}")


def expect_whole(name: str, answer: dict) -> None:
    if answer != {"batchItemFailures": []}:
        raise Failure(f"{name} was answered {answer}.")
    done(f"{name}: no failures")


def get(url: str, headers: dict[str, str]) -> int:
    no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with no_proxy.open(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.2)
    raise Failure(f"sam local start-api does not listen: see {log}.")


if __name__ == "__main__":
    sys.exit(main())
