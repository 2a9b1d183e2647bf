"""An endpoint that verifies deliveries as the webhook guide describes.

The one rule: it computes the signature itself, over the received bytes, without the project's own code.
"""

import hashlib
import hmac
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from programs import TIMEOUT, Failure, done


class Receiver:
    def __init__(self, address: str) -> None:
        # Signing secrets, by path.
        self.secrets: dict[str, str] = {}
        self.arrivals: queue.Queue[tuple[str, str, bool]] = queue.Queue()
        self.server = ThreadingHTTPServer((address, 0), handler(self))
        self.url = f"http://{address}:{self.server.server_port}"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()

    def expect(self, path: str, events: set[str]) -> None:
        """Waits until each of `events` has arrived at `path`."""
        missing = set(events)
        deadline = time.monotonic() + TIMEOUT
        while missing:
            try:
                arrived_at, event, verified = self.arrivals.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failure(f"{', '.join(sorted(missing))} did not arrive within {TIMEOUT} s.") from None
            if not verified:
                raise Failure(f"{event} arrived with a wrong signature.")
            # A delivery may arrive more than once.
            if arrived_at == path and event in missing:
                done(f"{event} arrived, signature verified")
                missing.remove(event)


def handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            secret = receiver.secrets.get(self.path, "")
            expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            verified = hmac.compare_digest(expected, self.headers["X-DocIntell-Signature"])
            self.send_response(200 if verified else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()
            receiver.arrivals.put((self.path, self.headers["X-DocIntell-Event"], verified))

        def log_message(self, *_) -> None:
            pass

    return Handler
