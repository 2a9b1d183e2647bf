"""Runs the AWS emulator for as long as this program's standard input stays open.

The one rule: nothing outlives whoever holds the other end of standard input. Two processes keep it, so
that any of them may be killed at any time:

    whoever started us ──stdin──▶ watch ──stdin──▶ serve (a process group with the functions in it)

When its input ends, `serve` kills its own group. When `serve` dies by itself, `watch` kills what is left
of the group.

Once connections are accepted, one line of JSON on standard output says where:
    {"endpoint": "http://127.0.0.1:4566", "api_url": "http://127.0.0.1:3000", "region": "us-east-1"}
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
LOG_NAME = "emulator.log"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default=LOOPBACK, help="address of this machine that the AWS endpoint listens on")
    parser.add_argument("--port", type=int, default=4566, help="port of the AWS endpoint, 0 for any free one")
    parser.add_argument("--api-port", type=int, default=3000, help="port that serves the stack's HTTP API, 0 for any")
    parser.add_argument("--folder", type=Path, required=True,
                        help="where emulator.log, functions.log and temporary files go")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    return serve(arguments) if arguments.serve else watch(arguments)


# --- watch -------------------------------------------------------------------------------------------


def watch(arguments: argparse.Namespace) -> int:
    """Starts `serve` and waits for its end."""
    # Ctrl-C reaches the terminal's whole foreground; only the end of our input is meant for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Also cleared here, at the start: the last run may not have got to its end.
    scratch = arguments.folder.resolve() / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    log = arguments.folder / LOG_NAME
    log.unlink(missing_ok=True)
    emulator = subprocess.Popen(
        [sys.executable, __file__, *sys.argv[1:], "--serve"],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env=clean_environment(str(scratch)),
    )
    asked_to_end = threading.Event()

    def end(*_) -> None:
        asked_to_end.set()
        emulator.stdin.close()

    signal.signal(signal.SIGTERM, end)
    when_input_ends(end)
    code = emulator.wait()
    kill_group(emulator.pid)
    shutil.rmtree(scratch, ignore_errors=True)
    if asked_to_end.is_set():
        return 0
    # Before there is a log, `serve` itself has said on standard error why it ended.
    if log.exists():
        print(f"The emulator ended by itself (code {code}): see {log}.", file=sys.stderr)
    return 1


def clean_environment(scratch: str) -> dict[str, str]:
    """What the emulator and, through it, the functions see: nothing of the person's own AWS settings."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return kept | {"HOME": scratch, "TMPDIR": scratch}


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # Nothing was left of it.


def when_input_ends(then) -> None:
    """Calls `then` from a thread when standard input ends."""

    def read() -> None:
        # Not sys.stdin: its lock, held here, would make the interpreter's exit fail.
        while os.read(0, 4096):
            pass
        then()

    threading.Thread(target=read, daemon=True).start()


# --- serve -------------------------------------------------------------------------------------------


def serve(arguments: argparse.Namespace) -> int:
    """Is the emulator, until its input ends."""
    when_input_ends(lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
    aws = listen(arguments.host, arguments.port, "--port")
    api = listen(LOOPBACK, arguments.api_port, "--api-port")
    aws_port, api_port = aws.getsockname()[1], api.getsockname()[1]
    endpoint = f"http://{arguments.host}:{aws_port}"
    # Read by the emulator when it is imported, and inherited by the functions.
    os.environ.update(
        {
            "BIND_HOST": arguments.host,
            "GATEWAY_PORT": str(aws_port),
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "AWS_ENDPOINT_URL": endpoint,
            # The emulator's own key, which may do everything; each function gets a key of its role.
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            # On AWS these two follow from the template's LoggingConfig.
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
        }
    )
    from hypercorn.asyncio import serve as run
    from hypercorn.config import Config
    from ministack import app as emulator

    import corrections

    corrections.apply()
    copy_function_output((arguments.folder / "functions.log").open("wb", buffering=0))

    print(json.dumps({"endpoint": endpoint, "api_url": f"http://{LOOPBACK}:{api_port}", "region": REGION}), flush=True)
    log = os.open(arguments.folder / LOG_NAME, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)

    config = Config()
    # Both are listening already, so that whoever read the line above may connect at once.
    config.bind = [f"fd://{aws.detach()}", f"fd://{api.detach()}"]
    config.keep_alive_timeout = 75
    asyncio.run(run(with_api_at_root(emulator.app, api_port), config))
    return 0


def listen(host: str, port: int, option: str) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=256)
    except OSError as error:
        sys.exit(f"Port {port} on {host} cannot be used ({os.strerror(error.errno)}): choose another with {option}.")


def copy_function_output(log) -> None:
    """Copies each line of a function's output to `log` as it is written, as one JSON object.

    The emulator keeps output by invocation: what a function says before its first one, after its answer,
    or when it is killed would be late or lost.
    """
    from ministack.core.lambda_runtime import ProvidedWorker

    pump = ProvidedWorker._pump_output

    class Copied:
        def __init__(self, stream, name: str) -> None:
            self.stream, self.name, self.close = stream, name, stream.close

        def readline(self) -> bytes:
            line = self.stream.readline()
            if line.strip():
                entry = json.dumps(log_entry(self.name, line), ensure_ascii=False)
                log.write(entry.encode(errors="replace") + b"\n")
            return line

    ProvidedWorker._pump_output = lambda worker, stream, queue: pump(
        worker, Copied(stream, worker.func_name), queue
    )
    # After each answer the emulator would wait up to 50 ms for output that is in our copy anyway.
    ProvidedWorker._drain_stderr_bounded = lambda worker, **_: worker._drain_stderr()


def log_entry(function: str, line: bytes) -> dict:
    """A line of a function's output, with its time. What is not a JSON object, such as a panic, is a `message`."""
    text = line.decode(errors="replace").rstrip()
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"time": now, "function": function}
    try:
        said = json.loads(text)
    except json.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return entry | {"message": text}
    # The innermost span, which is the last of `spans` too.
    if "spans" in said:
        said.pop("span", None)
    return entry | said


def with_api_at_root(emulator, api_port: int):
    """Serves the one HTTP API at the root of `api_port`; the emulator itself puts it behind a long path."""
    from ministack.services import apigateway

    async def app(scope, receive, send) -> None:
        if scope["type"] == "http" and scope["server"][1] == api_port:
            api = next((key[-1] for key, _ in apigateway._apis.all_items()), "not-deployed-yet")
            prefix = f"/_aws/execute-api/{api}/$default"
            scope = scope | {"path": prefix + scope["path"], "raw_path": prefix.encode() + scope["raw_path"]}
        await emulator(scope, receive, send)

    return app


if __name__ == "__main__":
    sys.exit(main())
