"""The sample events, with a key, a tenant and a webhook that exist in place of the samples' own.

The one rule: nothing else of a sample is changed.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
# The webhook in the samples' paths.
WEBHOOK = "550e8400-e29b-41d4-a716-446655440000"


def names() -> set[str]:
    """Every sample's name; `env.json` holds variables."""
    return {file.stem for file in FOLDER.glob("*.json")} - {"env"}


def api(name: str, key: str, webhook_id: str) -> dict:
    event = sample(name)
    event["headers"]["authorization"] = f"Bearer {key}"
    path = event["rawPath"].replace(WEBHOOK, webhook_id)
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    return event


def create(key: str, url: str) -> dict:
    """The request for a webhook, at another URL."""
    event = api("api-create", key, WEBHOOK)
    event["body"] = json.dumps(json.loads(event["body"]) | {"url": url})
    return event


def queue_batch(tenant: str, webhook_id: str) -> dict:
    event = sample("queue-batch")
    for record in event["Records"]:
        message = json.loads(record["body"]) | {"tenant_id": tenant, "webhook_config_id": webhook_id}
        record["body"] = json.dumps(message)
    return event


def stream_batch(tenant: str) -> dict:
    event = sample("stream-batch")
    for record in event["Records"]:
        record["dynamodb"]["NewImage"]["tenant_id"] = {"S": tenant}
    return event


def sample(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())
