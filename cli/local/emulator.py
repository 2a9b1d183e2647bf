"""Runs the AWS emulator until this program's standard input closes.

The one rule: nothing outlives the process that started this program. Two processes enforce it, and each of them
may be killed at any time:

    caller ──stdin──▶ watch ──stdin──▶ serve (a process group that contains the functions)

When its input closes, `serve` kills its own process group. When `serve` dies, `watch` kills the rest of the group.

When the emulator accepts connections, it prints its addresses to standard output as one line of JSON:
    {"endpoint": "http://127.0.0.1:4566", "api_url": "http://127.0.0.1:3000", "region": "us-east-1"}
"""

import argparse
import asyncio
import json
import os
import re
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
    parser.add_argument("--host", default=LOOPBACK, help="address on which the AWS endpoint listens")
    parser.add_argument("--port", type=int, default=4566, help="port of the AWS endpoint; 0 picks a free one")
    parser.add_argument("--api-port", type=int, default=3000, help="port of the stack's HTTP API; 0 picks a free one")
    parser.add_argument("--folder", type=Path, required=True,
                        help="folder for emulator.log, functions.log and temporary files")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    return serve(arguments) if arguments.serve else watch(arguments)


# --- watch -------------------------------------------------------------------------------------------


def watch(arguments: argparse.Namespace) -> int:
    """Starts `serve` and waits until it ends."""
    # The terminal sends Ctrl-C to every foreground process. This one stops when its input closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The previous run may have been killed before it removed this folder.
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
    stop_requested = threading.Event()

    def stop(*_) -> None:
        stop_requested.set()
        emulator.stdin.close()

    signal.signal(signal.SIGTERM, stop)
    on_input_closed(stop)
    code = emulator.wait()
    kill_group(emulator.pid)
    shutil.rmtree(scratch, ignore_errors=True)
    if stop_requested.is_set():
        return 0
    # Without a log, `serve` has printed the reason to standard error.
    if log.exists():
        print(f"The emulator stopped unexpectedly (exit code {code}): see {log}.", file=sys.stderr)
    return 1


def clean_environment(scratch: str) -> dict[str, str]:
    """The environment of the emulator and the functions, without the caller's own AWS settings."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return kept | {"HOME": scratch, "TMPDIR": scratch}


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # The group has ended already.


def on_input_closed(callback) -> None:
    """Calls `callback` from a thread when standard input closes."""

    def read() -> None:
        # sys.stdin would hold a lock here, and the interpreter could not exit.
        while os.read(0, 4096):
            pass
        callback()

    threading.Thread(target=read, daemon=True).start()


# --- serve -------------------------------------------------------------------------------------------


def serve(arguments: argparse.Namespace) -> int:
    """Runs the emulator until its input closes."""
    on_input_closed(lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
    aws = listen(arguments.host, arguments.port, "--port")
    api = listen(LOOPBACK, arguments.api_port, "--api-port")
    aws_port, api_port = aws.getsockname()[1], api.getsockname()[1]
    endpoint = f"http://{arguments.host}:{aws_port}"
    # The emulator reads these at import, and the functions inherit them.
    os.environ.update(
        {
            "BIND_HOST": arguments.host,
            "GATEWAY_PORT": str(aws_port),
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "AWS_ENDPOINT_URL": endpoint,
            # The emulator's own key may do everything. Each function gets a key with the rights of its role.
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            # On AWS, Lambda sets this from the template's LoggingConfig.
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }
    )
    from hypercorn.asyncio import serve as run
    from hypercorn.config import Config
    from ministack import app as emulator

    import corrections

    corrections.apply()
    copy_function_output((arguments.folder / "functions.log").open("wb", buffering=0))

    print(json.dumps({"endpoint": endpoint, "api_url": f"http://{LOOPBACK}:{api_port}", "region": REGION}), flush=True)
    log = os.open(arguments.folder / LOG_NAME, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)

    config = Config()
    # Both sockets listen already, so the caller can connect as soon as it has read the line above.
    config.bind = [f"fd://{aws.detach()}", f"fd://{api.detach()}"]
    config.keep_alive_timeout = 75
    asyncio.run(run(with_api_at_root(emulator.app, api_port), config))
    return 0


def listen(host: str, port: int, option: str) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=256)
    except OSError as error:
        sys.exit(f"Port {port} on {host} cannot be used ({os.strerror(error.errno)}): choose another port with {option}.")


def copy_function_output(log) -> None:
    """Copies each line that a function writes to `log` at once, as one JSON object.

    The emulator collects output per invocation. Output before the first invocation, after a response or at a kill
    would be late or lost.
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
    # The emulator would wait up to 50 ms for more output after each response. The log has that output already.
    ProvidedWorker._drain_stderr_bounded = lambda worker, **_: worker._drain_stderr()


def log_entry(function: str, line: bytes) -> dict:
    """A line of a function's output with time and function. Plain text becomes a `message`."""
    text = line.decode(errors="replace").rstrip()
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"time": now, "function": short_name(function)}
    try:
        fields = json.loads(text)
    except json.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        return entry | {"message": text}
    return entry | fields


def short_name(function: str) -> str:
    """`fanout` for `docintell-webhooks-FanoutFunction-07D04C032AE5E`."""
    match = re.search(r"-(\w+)Function-\w+$", function)
    return match.group(1).lower() if match else function


def with_api_at_root(emulator, api_port: int):
    """Serves the HTTP API at the root of `api_port`. The emulator itself serves it under a long path."""
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
