"""A typical sender in Python, for comparison with the real one.

The rule: if nothing fails, it does the same as the real sender: the same AWS calls, and the same headers and body for
the endpoint. It has no error handling beyond the basics: no backoff between attempts and no stop after a 4xx (the
queue redelivers instead), no reasons in the dead-letter queue, no log of failed and cancelled deliveries, a row of the
last attempt only, no check of the addresses that a name resolves to, no limit on the size and total time of a response,
and no retry of items that DynamoDB leaves unprocessed. It serializes the body again, while the real sender keeps the exact bytes.

It needs boto3 and its dependencies, and reads the real sender's environment variables. With aiohttp, which is not one
of them, a delivery takes about a fifth less processor time.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import lru_cache
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

RUNTIME = "/2018-06-01/runtime/invocation"
# Size of the largest measured batch. As in the real sender, all posts of a batch are in flight at once.
MAX_IN_FLIGHT = 100
MAX_BATCH_ITEMS = 25  # limit of one BatchWriteItem

WEBHOOKS_TABLE = os.environ["WEBHOOKS_TABLE"]
DELIVERIES_TABLE = os.environ["DELIVERIES_TABLE"]
SECRETS_PREFIX = os.environ["SECRETS_PREFIX"]
KEEP_SECONDS = int(os.environ["DELIVERY_LOG_DAYS"]) * 24 * 60 * 60
ALLOW_HTTP = os.environ["ALLOW_HTTP_ENDPOINTS"] == "true"
ALLOWED_NETWORKS = [
    ipaddress.ip_network(network.strip())
    for network in os.environ.get("ALLOWED_NETWORKS", "").split(",")
    if network.strip()
]

aws = Config(
    region_name=os.environ["AWS_REGION"],
    connect_timeout=1,
    read_timeout=1,
    retries={"mode": "standard", "max_attempts": 2},
    # The requests below are always well formed.
    parameter_validation=False,
)
dynamodb = boto3.client("dynamodb", config=aws)
secrets_manager = boto3.client("secretsmanager", config=aws)
secrets_lock = threading.Lock()

tls = ssl.create_default_context()
if os.environ.get("EXTRA_CA_FILE"):
    tls.load_verify_locations(os.environ["EXTRA_CA_FILE"])
endpoints = urllib3.PoolManager(
    num_pools=MAX_IN_FLIGHT,
    maxsize=MAX_IN_FLIGHT,
    ssl_context=tls,
    timeout=urllib3.Timeout(total=10),
    retries=False,
)
threads = ThreadPoolExecutor(MAX_IN_FLIGHT)


def handle(event):
    """Delivers a batch of queue messages. The response names the failed ones, which the queue delivers again."""
    failed, received = [], []
    for record in event["Records"]:
        try:
            message = json.loads(record["body"])
            if message["v"] != 1:
                raise ValueError("unknown message format")
            number = message["attempts_before"] + int(record["attributes"]["ApproximateReceiveCount"])
            received.append((record["messageId"], message, number))
        except (ValueError, TypeError, KeyError) as error:
            report("a message cannot be read", error)
            failed.append(record["messageId"])

    webhooks = look_up({(message["tenant_id"], message["webhook_config_id"]) for _, message, _ in received})
    attempts = [threads.submit(deliver, message, number, webhooks) for _, message, number in received]

    rows = {}  # by delivery, because DynamoDB refuses a batch write with the same key twice
    for (message_id, _, _), attempt in zip(received, attempts):
        try:
            row = attempt.result()
        except Exception as error:  # must not affect the other deliveries
            report("a delivery failed", error)
            failed.append(message_id)
        else:
            if row:
                rows[row["delivery_id"]["S"]] = row
    log(list(rows.values()))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def look_up(ids):
    """The current webhooks, by tenant and id."""
    if not ids:
        return {}
    keys = [{"tenant_id": {"S": tenant}, "webhook_config_id": {"S": webhook}} for tenant, webhook in ids]
    answer = dynamodb.batch_get_item(RequestItems={WEBHOOKS_TABLE: {"Keys": keys, "ConsistentRead": True}})
    if answer.get("UnprocessedKeys"):
        raise RuntimeError("not all webhooks could be read")
    rows = answer["Responses"][WEBHOOKS_TABLE]
    return {(row["tenant_id"]["S"], row["webhook_config_id"]["S"]): row for row in rows}


def deliver(message, number, webhooks):
    """Makes the attempt. Returns the row to log, or None if the webhook is deleted or inactive."""
    tenant_id, webhook_id = message["tenant_id"], message["webhook_config_id"]
    webhook = webhooks.get((tenant_id, webhook_id))
    if webhook is None or not webhook["is_active"]["BOOL"]:
        return None
    with secrets_lock:  # otherwise each thread would read the same new secret
        secret, key = secret_of(tenant_id, webhook_id, webhook["secret_version"]["S"])

    url = webhook["url"]["S"]
    check_url(url)
    body = json.dumps(message["body"], separators=(",", ":"), ensure_ascii=False).encode()
    begun, at = time.monotonic(), time.time()
    response = endpoints.request(
        "POST", url, body=body, headers=headers(message, body, int(at), secret, key), redirect=False
    )
    if not 200 <= response.status < 300:
        raise RuntimeError(f"the endpoint answered {response.status}")
    duration_ms = int((time.monotonic() - begun) * 1000)
    return row_of(message, body, number, at, duration_ms, response.status)


def headers(message, body, at, secret, key):
    """All headers except Host and Content-Length, with both signatures."""
    event_id = message["event_id"]
    standard = hmac.digest(key, b"%s.%d.%s" % (event_id.encode(), at, body), hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "User-Agent": "DocIntell-Webhooks/0.1.0",
        "X-DocIntell-Signature": "sha256=" + hmac.digest(secret, body, hashlib.sha256).hex(),
        "X-DocIntell-Event": message["event"],
        "X-DocIntell-Timestamp": str(unix_seconds(message["occurred_at"])),
        "X-DocIntell-Delivery": message["delivery_id"],
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(standard).decode(),
    }


@lru_cache(maxsize=10_000)
def secret_of(tenant_id, webhook_id, version):
    """The keys of both signatures. A version never changes, so it is read once."""
    name = f"{SECRETS_PREFIX}/{tenant_id}/{webhook_id}"
    answer = secrets_manager.get_secret_value(SecretId=name, VersionId=version)
    secret = json.loads(answer["SecretString"])["current"]
    return secret.encode(), base64.b64decode(secret.removeprefix("whsec_"), validate=True)


@lru_cache(maxsize=10_000)
def check_url(url):
    """Checks the URL itself. The real sender also checks every address that a name resolves to."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not ALLOW_HTTP:
        raise ValueError("the URL must start with https://")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return  # a host name
    if not address.is_global and not any(address in network for network in ALLOWED_NETWORKS):
        raise ValueError("the endpoint's address is not allowed")


def row_of(message, body, number, at, duration_ms, status):
    """The log row of a delivery that has succeeded."""
    now, data = time.time(), message["body"]["data"]
    attempt = {
        "number": {"N": str(number)},
        "at": {"S": rfc3339(at)},
        "duration_ms": {"N": str(duration_ms)},
        "status_code": {"N": str(status)},
    }
    return {
        "webhook": {"S": f"{message['tenant_id']}/{message['webhook_config_id']}"},
        "delivery_id": {"S": message["delivery_id"]},
        "event": {"S": message["event"]},
        "event_id": {"S": message["event_id"]},
        "document_id": {"S": data["document_id"]},
        "job_id": {"S": data["job_id"]},
        "status": {"S": "delivered"},
        "chain": {"N": str(message.get("chain", 1))},
        "attempt_count": {"N": "1"},
        "last_attempt": {"N": str(number)},
        "last_status_code": {"N": str(status)},
        "completed_at": {"S": rfc3339(now)},
        "occurred_at": {"S": message["occurred_at"]},
        "body": {"S": body.decode()},
        "attempts": {"L": [{"M": attempt}]},
        "ttl": {"N": str(int(now) + KEEP_SECONDS)},
    }


def log(rows):
    """Writes the rows. If that fails, reports the error and does not post again."""
    puts = [{"PutRequest": {"Item": row}} for row in rows]
    for start in range(0, len(puts), MAX_BATCH_ITEMS):
        try:
            answer = dynamodb.batch_write_item(RequestItems={DELIVERIES_TABLE: puts[start : start + MAX_BATCH_ITEMS]})
            if answer.get("UnprocessedItems"):
                report("rows of the delivery log were not written", answer["UnprocessedItems"].keys())
        except (BotoCoreError, ClientError) as error:
            report("cannot write the delivery log", error)


def unix_seconds(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def report(sentence, reason):
    print(json.dumps({"message": sentence, "error": str(reason)}), flush=True)


def main():
    """Handles invocations on one connection until the Runtime API closes it."""
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(method, path, body=None):
        runtime.request(method, f"{RUNTIME}/{path}", body)
        response = runtime.getresponse()
        return response.headers, response.read()

    while True:
        headers, payload = call("GET", "next")
        request_id = headers["lambda-runtime-aws-request-id"]
        try:
            answer = handle(json.loads(payload))
        except Exception as error:  # the queue delivers the whole batch again
            report("the batch failed", error)
            error = {"errorType": type(error).__name__, "errorMessage": str(error)}
            call("POST", f"{request_id}/error", json.dumps(error).encode())
        else:
            call("POST", f"{request_id}/response", json.dumps(answer).encode())


if __name__ == "__main__":
    main()
