"""Runs the local stack on a Docker network, and its functions in containers.

The one rule: a function's answer decides whether it failed, because sam exits with 0 even if the function fails.
"""

import json
import signal
import subprocess
import time
from pathlib import Path

from programs import ARCHITECTURE, ROOT, Failure, parameters, run, run_any, step, stop

NETWORK = "docintell-trial"
LOCAL = ROOT / "target/local"
# The base image of functions in containers; sam builds its own image from it.
IMAGE = f"public.ecr.aws/lambda/provided:al2023-{ARCHITECTURE}"


class LocalStack:
    def __init__(self, template: Path) -> None:
        self.template = template

    def __enter__(self) -> "LocalStack":
        step(f"cargo run -- local --docker-network {NETWORK}")
        started = time.time()
        command = ["cargo", "run", "--quiet", "--", "local", "--docker-network", NETWORK, "--no-demo", "--api-port=0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            stack = self.wait_for_file(started)
        except BaseException:
            self.__exit__()
            raise
        self.key, self.tenant, self.endpoint = stack["api_key"], stack["tenant_id"], stack["aws_endpoint_url"]
        self.gateway = self.endpoint.removeprefix("http://").split(":")[0]
        return self

    def __exit__(self, *_) -> None:
        stop(self.process, signal.SIGTERM)

    def wait_for_file(self, started: float) -> dict:
        """Waits for `stack.json`, which the stack writes last. A killed stack leaves an older file behind."""
        file = LOCAL / "stack.json"
        while not file.exists() or file.stat().st_mtime < started:
            if self.process.poll() is not None:
                raise Failure("the local stack did not start.")
            time.sleep(0.2)
        return json.loads(file.read_text())

    def environment(self) -> dict[str, str]:
        """Environment variables that direct sam to the emulated AWS."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def local_options(self) -> list:
        """Options of every `sam local` command."""
        options = ["--template", self.template, "--docker-network", NETWORK, "--env-vars", LOCAL / "sam-env.json"]
        # With a local image, no registry is needed.
        has_image = run_any(["docker", "image", "inspect", IMAGE]).returncode == 0
        return [*options, *parameters(), *(["--skip-pull-image"] if has_image else [])]

    def invoke(self, function: str, event: dict) -> dict:
        """Invokes a function in a container."""
        command = ["sam", "local", "invoke", function, "--event", "-", *self.local_options()]
        return answer(function, run(command, self.environment(), json.dumps(event)))

    def invoke_deployed(self, function: str, event: dict, stack_name: str) -> dict:
        """Invokes a function of a stack that `sam deploy` has created."""
        command = ["sam", "remote", "invoke", function, "--stack-name", stack_name, "--event-file", "-"]
        return answer(function, run(command, self.environment(), json.dumps(event)))

    def docintell(self, *arguments: str) -> str:
        return run(["cargo", "run", "--quiet", "--", *arguments], self.environment()).stdout.strip()


def answer(function: str, ended: subprocess.CompletedProcess) -> dict:
    """Parses the function's answer, which is the last line of sam's output."""
    try:
        answered = json.loads(ended.stdout.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        raise Failure(f"{function} did not answer:\n{ended.stdout}{ended.stderr}") from None
    if "errorType" in answered:
        raise Failure(f"{function} failed: {answered}\n{ended.stderr}")
    return answered
