"""Runs sam, cargo and docker.

The one rule: no program sees the user's own AWS settings.
"""

import os
import platform
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REGION = "us-east-1"
# Lambda's name for this machine's processor; None if Lambda does not support it.
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
# Seconds for a server to start or stop, and for a delivery to arrive.
TIMEOUT = 60


class Failure(Exception):
    """Why a step failed, as a sentence for the user."""


def step(title: str) -> None:
    print(f"\n== {title}", flush=True)


def done(result: str) -> None:
    print(f"   {result}", flush=True)


def environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    return kept | region | {"SAM_CLI_TELEMETRY": "0"} | more


def run(command: list, more: dict[str, str] | None = None, text: str = "") -> subprocess.CompletedProcess:
    """Runs a program with `text` as its input and `more` in its environment. Fails, with its output, if it fails."""
    ended = run_any(command, more, text)
    if ended.returncode:
        words = " ".join(map(str, command))
        raise Failure(f"`{words}` exited with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended


def run_any(command: list, more: dict[str, str] | None = None, text: str = "") -> subprocess.CompletedProcess:
    """Runs a program that may fail."""
    words = list(map(str, command))
    return subprocess.run(
        words, cwd=ROOT, env=environment(more or {}), input=text, text=True, capture_output=True, check=False
    )


def stop(process: subprocess.Popen, by: signal.Signals) -> None:
    """Sends a signal to a program and waits until it exits. Kills it after the timeout."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def parameters(**more: str) -> list[str]:
    """The template's parameters, as options of a sam command."""
    values = {"Architecture": ARCHITECTURE} | more
    return ["--parameter-overrides", *(f"{name}={value}" for name, value in values.items())]
