//! The requests that receivers get, as the document's `webhooks`.

use serde_json::{Map, Value, json};
use webhooks::event_type::EventType;

use super::errors::pascal_case;

/// One entry for each event type.
pub(super) fn webhooks() -> Value {
    EventType::ALL
        .map(|event| (event.to_string(), json!({"post": operation(event)})))
        .into_iter()
        .collect::<Map<_, _>>()
        .into()
}

/// The name of the schema of the event's body, and of its example.
pub(super) fn body_name(event: EventType) -> String {
    pascal_case(event.as_str()) + "Event"
}

fn operation(event: EventType) -> Value {
    let body = body_name(event);
    json!({
        "operationId": format!("on{}", pascal_case(event.as_str())),
        "tags": ["Webhooks"],
        "summary": event.description(),
        "description": "Verify a signature on the raw body before you parse it. Delivery is at least once and in any \
            order: `webhook-id` is the same every time.",
        "security": [],
        "parameters": headers(event),
        "requestBody": {
            "required": true,
            "content": {"application/json": {
                "schema": {"$ref": format!("#/components/schemas/{body}")},
                "examples": {"default": {"$ref": format!("#/components/examples/{body}")}},
            }},
        },
        "responses": {
            "2XX": {"description": "Accepted: the delivery is `delivered`. Answer within 10 seconds."},
            "401": {"description": "Final, except while a rotation overlaps: then the request is repeated at once, with \
                the previous secret's signature in `X-DocIntell-Signature`. 403 means the same."},
            "410": {"description": "Final, and switches the webhook off."},
            "4XX": {"description": "Refused: the delivery is `failed` and not retried. The operator can make 408, 425 \
                and 429 retryable."},
            "503": {
                "description": "Failed: retried. The next attempt waits at least as long as `Retry-After` says, at most \
                    15 minutes.",
                "headers": {"Retry-After": {
                    "description": "In seconds, or an HTTP date.",
                    "schema": {"type": "string"},
                }},
            },
            "default": {"description": "Failed: retried after 1, 2, 4, 8 s and so on. Redirects are not followed."},
        },
    })
}

/// Every header that a receiver can use.
fn headers(event: EventType) -> Value {
    let uuid = json!({"type": "string", "format": "uuid"});
    let seconds = json!({"type": "integer"});
    [
        (
            "X-DocIntell-Signature",
            "`sha256=` and the HMAC-SHA256 of the body in hex; the key is the whole secret, including `whsec_`.",
            json!({"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"}),
        ),
        ("X-DocIntell-Event", "The event type.", json!({"type": "string", "enum": [event]})),
        (
            "X-DocIntell-Timestamp",
            "The event's time in Unix seconds, the same on every attempt.",
            seconds.clone(),
        ),
        ("X-DocIntell-Delivery", "The delivery's id, the same on every attempt.", uuid.clone()),
        ("webhook-id", "The event's id, the same on every attempt and for every webhook.", uuid),
        ("webhook-timestamp", "The attempt's time in Unix seconds.", seconds),
        (
            "webhook-signature",
            "A signature as in Standard Webhooks; during a rotation's overlap two, separated by a space.",
            json!({"type": "string", "pattern": "^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)?$"}),
        ),
        (
            "User-Agent",
            "`DocIntell-Webhooks/` and a version.",
            json!({"type": "string", "pattern": "^DocIntell-Webhooks/"}),
        ),
    ]
    .map(|(name, description, schema)| {
        json!({
            "name": name, "in": "header", "required": true, "description": description, "schema": schema,
        })
    })
    .into()
}
