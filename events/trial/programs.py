"""Programs that a trial runs: sam, cargo, docker.

The one rule: none of them sees the person's own AWS settings.
"""

import os
import platform
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REGION = "us-east-1"
# Lambda's name for this machine's processor; None for one that it has not.
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
# Seconds that a server may take to start or to stop, and a delivery to arrive.
PATIENCE = 60


class Failure(Exception):
    """Why a step failed, as a sentence for a person."""


def step(what: str) -> None:
    print(f"\n== {what}", flush=True)


def done(what: str) -> None:
    print(f"   {what}", flush=True)


def environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    return kept | region | {"SAM_CLI_TELEMETRY": "0"} | more


def run(command: list, more: dict[str, str] | None = None, text: str = "") -> subprocess.CompletedProcess:
    """Runs a program to its end, with `text` as its input and `more` in its environment. One that fails is quoted."""
    ended = run_any(command, more, text)
    if ended.returncode:
        words = " ".join(map(str, command))
        raise Failure(f"`{words}` ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended


def run_any(command: list, more: dict[str, str] | None = None, text: str = "") -> subprocess.CompletedProcess:
    """Runs a program to its end, which may be a failure."""
    words = list(map(str, command))
    return subprocess.run(
        words, cwd=ROOT, env=environment(more or {}), input=text, text=True, capture_output=True, check=False
    )


def stop(process: subprocess.Popen, by: signal.Signals) -> None:
    """Asks a program to end, and waits until it has."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def parameters(**more: str) -> list[str]:
    """The template's parameters, as each command of sam takes them."""
    values = {"Architecture": ARCHITECTURE} | more
    return ["--parameter-overrides", *(f"{name}={value}" for name, value in values.items())]
