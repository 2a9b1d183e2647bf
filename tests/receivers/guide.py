"""The receiver of the webhooks guide, and a server around it that a test controls.

Writes one line to standard output per event, and "listening PORT" before. Each line of standard input is the secret
from then on, which answers "switched". Ends when standard input ends.
"""

from flask import Flask, request
import hmac, hashlib

app = Flask(__name__)
WEBHOOK_SECRET = "whsec_your_secret"

@app.route("/webhooks/docintel", methods=["POST"])
def handle_webhook():
    # Verify signature
    signature = request.headers.get("X-DocIntell-Signature")
    payload = request.get_data()
    expected = "sha256=" + hmac.new(
        WEBHOOK_SECRET.encode(), payload, hashlib.sha256
    ).hexdigest()

    if not hmac.compare_digest(signature, expected):
        return {"error": "Invalid signature"}, 401

    event = request.get_json()

    if event["event"] == "document.processing.completed":
        # Document extraction completed successfully
        process_document(event["data"]["document_id"])
    elif event["event"] == "document.processing.failed":
        # Document extraction failed
        handle_failure(event["data"]["document_id"], event["data"]["error_message"])
    elif event["event"] == "document.uploaded":
        # Document uploaded and queued for processing
        log_upload(event["data"]["document_id"])

    return {"status": "ok"}, 200


# The guide ends here.


def process_document(document_id):
    report("processed", document_id)


def handle_failure(document_id, error_message):
    report("failed", document_id, error_message)


def log_upload(document_id):
    report("uploaded", document_id)


def report(*words):
    # One write, so that lines of concurrent requests do not mix.
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


if __name__ == "__main__":
    import logging
    import os
    import sys
    import threading

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WEBHOOK_SECRET = sys.stdin.readline().strip()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    report("listening", server.server_port)
    for line in sys.stdin:
        WEBHOOK_SECRET = line.strip()
        report("switched")
    os._exit(0)
