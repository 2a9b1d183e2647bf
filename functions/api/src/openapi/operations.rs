//! The operations: what their paths and methods do, what they answer, and the errors that their own code returns.
//!
//! The rule: what the arguments of a handler say is not repeated here.

use serde_json::{Map, Value, json};
use webhooks::replay::ReplayState;

use super::operation::Operation;
use crate::error::ApiError;
use crate::{audit, deliveries, documents, handlers, replays, webhook_test};

const TAGS: [(&str, &str); 4] = [
    ("Webhooks", "Endpoints, the events that they get, and their secrets."),
    ("Deliveries", "What was sent to a webhook, and how it was answered."),
    ("Replays", "Past deliveries of a webhook, sent again."),
    ("Documents", "What the events and this API look like. They need no key."),
];

pub(super) fn tags() -> Value {
    let tag = |(name, description)| json!({"name": name, "description": description});
    TAGS.into_iter().map(tag).collect()
}

/// Every operation of the API, in the order of its routes.
pub(super) fn all() -> Vec<Operation> {
    let mut all: Vec<_> =
        [webhooks(), deliveries(), replays(), documents()].into_iter().flatten().collect();
    link(&mut all);
    all
}

/// Where the ids in paths come from: the operation and its status, the id's name, and its place in the response.
const SOURCES: [(&str, &str, &str, &str); 3] = [
    ("createWebhook", "201", "webhook_id", "/webhook_config_id"),
    ("startReplay", "201", "replay_id", "/replay_id"),
    ("listDeliveries", "200", "delivery_id", "/deliveries/0/delivery_id"),
];

/// Links each source of an id to the operations whose paths end in this id or in a verb after it.
fn link(operations: &mut [Operation]) {
    for (source, status, id, place) in SOURCES {
        let mut links = Map::new();
        for target in operations.iter() {
            if target.path.rsplit_once('{').is_none_or(|(_, last)| !last.starts_with(id)) {
                continue;
            }
            let mut parameters = json!({id: format!("$response.body#{place}")});
            if id != "webhook_id" {
                parameters["webhook_id"] = "$request.path.webhook_id".into();
            }
            links.insert(
                target.id.to_owned(),
                json!({"operationId": target.id, "parameters": parameters}),
            );
        }
        let source = operations.iter_mut().find(|operation| operation.id == source).unwrap();
        source.add_links(status, links);
    }
}

fn webhooks() -> Vec<Operation> {
    const CREATE: &str = "/v1/webhooks";
    const ONE: &str = "/v1/webhooks/{webhook_id}";
    let of = |method, path| Operation::new("Webhooks", method, path);
    vec![
        of("post", CREATE)
            .calls("createWebhook", "Create a webhook", &handlers::create)
            .says(
                "Store the `signing_secret` of the response: it is not shown again. If no response arrives, repeat the \
                 request with the same `Idempotency-Key`.",
            )
            .takes("NewWebhook")
            .answers("200", "A repeat: the webhook that the first request has created, as it is now.", "Webhook")
            .with_header("200", "Idempotent-Replayed")
            .answers("201", "The webhook, with its secret.", "WebhookWithSecret")
            .with_header("201", "Location")
            .with_header("201", "Cache-Control")
            .with_example("201", "WebhookWithSecret")
            .fails([ApiError::WebhookLimitReached(50)]),
        of("get", CREATE)
            .calls("listWebhooks", "List webhooks", &handlers::list)
            .answers("200", "A page of webhooks.", "WebhookList"),
        of("get", ONE)
            .calls("getWebhook", "Get a webhook", &handlers::get)
            .answers("200", "The webhook.", "Webhook"),
        of("patch", ONE)
            .calls("updateWebhook", "Update a webhook", &handlers::update)
            .says(
                "A field that is left out stays as it is. `is_active: true` switches a webhook on again, whatever \
                 switched it off.",
            )
            .takes("WebhookChanges")
            .answers("200", "The webhook.", "Webhook")
            .fails([ApiError::WebhookConflict]),
        of("delete", ONE)
            .calls("deleteWebhook", "Delete a webhook", &handlers::delete)
            .says("Queued deliveries are cancelled.")
            .answers_nothing("The webhook is deleted.")
            .fails([ApiError::WebhookConflict]),
        of("post", "/v1/webhooks/{webhook_id}/rotate")
            .calls("rotateSecret", "Rotate a secret", &handlers::rotate)
            .says(
                "Puts a new secret in force. The previous one still signs for `overlap_seconds`. At most two secrets \
                 are in force: a rotation during an overlap drops the older one.",
            )
            .takes("Rotation")
            .answers("200", "The webhook, with its new secret.", "WebhookWithSecret")
            .with_header("200", "Cache-Control")
            .fails([ApiError::RotationConflict, ApiError::WebhookConflict]),
        of("delete", "/v1/webhooks/{webhook_id}/previous-secret")
            .calls("endOverlap", "End a rotation's overlap", &handlers::delete_previous_secret)
            .says("The secret before the last rotation stops signing at once.")
            .answers_nothing("One secret is in force.")
            .fails([ApiError::RotationConflict, ApiError::WebhookConflict]),
        of("post", "/v1/webhooks/{webhook_id}/test")
            .calls("testWebhook", "Test a webhook", &webhook_test::test)
            .says(
                "Sends one example event now, also while the webhook is switched off. A test is not a delivery: it is \
                 not retried and not in the delivery log. The response is 200 whatever the endpoint answers.",
            )
            .takes("WebhookTest")
            .answers("200", "What happened.", "TestResult")
            .fails([ApiError::WebhookConflict]),
        of("get", "/v1/webhooks/{webhook_id}/audit")
            .calls("listChanges", "List the changes of a webhook", &audit::list)
            .says(
                "Latest first, also after the webhook's deletion. Repeat the request with `cursor` until `next_cursor` is \
                 null.",
            )
            .answers("200", "A page of changes.", "ChangeList"),
    ]
}

fn deliveries() -> Vec<Operation> {
    const ONE: &str = "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}";
    let of = |method, path| Operation::new("Deliveries", method, path);
    vec![
        of("get", "/v1/webhooks/{webhook_id}/deliveries")
            .calls("listDeliveries", "List deliveries", &deliveries::list)
            .says(
                "Newest first. Repeat the request with `cursor` until `next_cursor` is null. A page can have fewer \
                 deliveries than `limit`, even none, and still have a `next_cursor`.",
            )
            .answers("200", "A page of deliveries.", "DeliveryList")
            .with_example("200", "DeliveryList"),
        of("get", ONE)
            .calls("getDelivery", "Get a delivery in full", &deliveries::get)
            .answers("200", "The delivery, with its body and its attempts.", "DeliveryDetail"),
        of("post", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry")
            .calls("retryDelivery", "Send a delivery again", &deliveries::retry)
            .says("The same ids and the same body go to the webhook's current URL, in a new chain of attempts.")
            .answers("202", "The delivery, which is now pending.", "DeliveryDetail")
            .fails([ApiError::DeliveryPending, ApiError::WebhookInactive, ApiError::WebhookNeedsTest]),
    ]
}

fn replays() -> Vec<Operation> {
    const ALL: &str = "/v1/webhooks/{webhook_id}/replays";
    const ONE: &str = "/v1/webhooks/{webhook_id}/replays/{replay_id}";
    let of = |method, path| Operation::new("Replays", method, path);
    let ended = || ApiError::ReplayEnded(ReplayState::Completed);
    vec![
        of("post", ALL)
            .calls("startReplay", "Start a replay", &replays::create)
            .says("A webhook has one replay at a time. A dry run sends nothing and starts nothing.")
            .takes("NewReplay")
            .answers("200", "What the replay would send, for a dry run.", "ReplayCount")
            .answers("201", "The replay.", "Replay")
            .with_header("201", "Location")
            .with_example("201", "Replay")
            .fails([
                ApiError::WebhookInactive,
                ApiError::WebhookNeedsTest,
                ApiError::ReplayRunning,
            ]),
        of("get", ALL).calls("listReplays", "List replays", &replays::list).answers(
            "200",
            "The newest replays.",
            "ReplayList",
        ),
        of("get", ONE).calls("getReplay", "Get a replay", &replays::get).answers(
            "200",
            "The replay.",
            "Replay",
        ),
        of("delete", ONE)
            .calls("cancelReplay", "Cancel a replay", &replays::cancel)
            .answers("200", "The cancelled replay.", "Replay")
            .fails([ended(), ApiError::ReplayConflict]),
        of("post", "/v1/webhooks/{webhook_id}/replays/{replay_id}/pause")
            .calls("pauseReplay", "Pause a replay", &replays::pause)
            .answers("200", "The paused replay.", "Replay")
            .fails([ended(), ApiError::ReplayConflict]),
        of("post", "/v1/webhooks/{webhook_id}/replays/{replay_id}/resume")
            .calls("resumeReplay", "Resume a replay", &replays::resume)
            .says("A failed replay can be resumed until another one is started.")
            .answers("200", "The running replay.", "Replay")
            .fails([
                ended(),
                ApiError::ReplayConflict,
                ApiError::WebhookInactive,
                ApiError::WebhookNeedsTest,
            ]),
    ]
}

fn documents() -> Vec<Operation> {
    let of = |path| Operation::new("Documents", "get", path);
    vec![
        of("/v1/event-types")
            .calls("listEventTypes", "List event types", &documents::event_types)
            .says("All event types, with a JSON Schema and an example of the body of each.")
            .answers("200", "The event types.", "EventTypeList")
            .with_header("200", "Cache-Control"),
        of("/v1/openapi.json")
            .calls("getOpenApi", "Get this document", &documents::openapi)
            .answers("200", "An OpenAPI document.", "OpenApi")
            .with_header("200", "Cache-Control"),
    ]
}
