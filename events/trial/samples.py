"""The sample events with the API key, tenant and webhook of the local stack.

The one rule: the rest of a sample stays unchanged.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
# The webhook in the samples' paths.
WEBHOOK = "550e8400-e29b-41d4-a716-446655440000"


def names() -> set[str]:
    """The name of every sample; `env.json` is not a sample."""
    return {file.stem for file in FOLDER.glob("*.json")} - {"env"}


def api(name: str, key: str, webhook_id: str) -> dict:
    event = sample(name)
    if "authorization" in event["headers"]:
        event["headers"]["authorization"] = f"Bearer {key}"
    path = event["rawPath"].replace(WEBHOOK, webhook_id)
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    return event


def create(key: str, url: str) -> dict:
    """A request that creates a webhook for `url`."""
    event = api("api-create", key, WEBHOOK)
    event["body"] = json.dumps(json.loads(event["body"]) | {"url": url})
    return event


def queue_batch(tenant: str, webhook_id: str) -> dict:
    event = sample("queue-batch")
    for record in event["Records"]:
        message = json.loads(record["body"]) | {"tenant_id": tenant, "webhook_config_id": webhook_id}
        record["body"] = json.dumps(message)
    return event


def sender_test(tenant: str, webhook_id: str) -> dict:
    event = sample("sender-test")
    event["test"] |= {"tenant_id": tenant, "webhook_config_id": webhook_id}
    return event


def stream_batch(tenant: str) -> dict:
    event = sample("stream-batch")
    for record in event["Records"]:
        record["dynamodb"]["NewImage"]["tenant_id"] = {"S": tenant}
    return event


def sample(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())
