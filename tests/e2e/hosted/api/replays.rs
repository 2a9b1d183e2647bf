//! Replays that are counted in a large log, and replays whose message cannot be queued.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use harness::fixtures::{self, REPLAYS, TENANT, WebhookKey, replay_row, webhook_with};
use harness::{FakeAws, Hosted, Reply, item};
use serde_json::{Value, json};
use webhooks::id::DeliveryId;

use super::{api, sample, send};

const REPLAY: &str = include_str!("../../../../events/api-replay.json");
const RETRY: &str = include_str!("../../../../events/api-retry.json");
const WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";

/// The function, and the webhook of the sample.
async fn with_webhook() -> (FakeAws, Hosted) {
    let (aws, api) = api().await;
    let id = json!({"webhook_config_id": WEBHOOK});
    aws.put_webhook(item(&webhook_with("https://hooks.invalid/", id)));
    (aws, api)
}

/// Up to `limit` failed deliveries, one a millisecond from the lowest id of the request.
fn page(input: &Value, limit: u64) -> Value {
    // Made once: the function waits at most 10 s for 41 pages, also on a busy machine.
    static ROW: LazyLock<Value> = LazyLock::new(|| {
        let webhook = format!("{TENANT}/{WEBHOOK}");
        item(&json!({
            "webhook": webhook,
            "undelivered": webhook,
            "event_id": "019ae3c3-0440-7f00-8a11-0f1e2d3c4b5a",
            "event": "document.uploaded",
            "status": "failed",
            "chain": 1,
            "attempt_count": 5,
            "last_attempt": 5,
        }))
    });
    let lowest = &input["ExpressionAttributeValues"][":lowest"]["S"];
    let lowest: DeliveryId = lowest.as_str().and_then(|id| id.parse().ok()).expect("it is an id");
    let row = |number| {
        let at = lowest.created_at().plus(Duration::from_millis(number));
        let mut row = ROW.clone();
        row["delivery_id"] = json!({"S": DeliveryId::last_at(at)});
        row
    };
    let rows: Vec<Value> = (0..limit).map(row).collect();
    let last = rows.last().map(|row| row["delivery_id"].clone());
    json!({"Items": rows, "LastEvaluatedKey": {"delivery_id": last}})
}

#[tokio::test]
async fn a_dry_run_stops_counting_at_ten_thousand() {
    let (aws, api) = with_webhook().await;
    aws.on("Query", |input, _| {
        let limit = input["Limit"].as_u64()?;
        (input["TableName"] == "Deliveries").then(|| Reply::Body(page(input, limit)))
    });
    let response = send(&api, sample(REPLAY)).await;
    assert_eq!(response["statusCode"], 200);
    let body = &response["body"];
    assert_eq!((&body["count"], &body["count_is_exact"]), (&json!(10_000), &json!(false)));
    assert_eq!(body["estimated_seconds"], 200);
    assert_eq!(body["sample"].as_array().map(Vec::len), Some(10));
    let queries = aws.calls_of("Query");
    assert_eq!(queries.len(), 41, "250 rows each");
    assert!(queries.iter().all(|query| query.input["IndexName"] == "undelivered-index"));
    assert!(api.memory_kib("VmHWM") < 64 * 1024, "{} KiB", api.memory_kib("VmHWM"));
}

#[tokio::test]
async fn a_replay_whose_message_is_not_queued_is_cancelled() {
    let (aws, api) = with_webhook().await;
    let row = Arc::new(Mutex::new(json!({})));
    let stored = Arc::clone(&row);
    aws.on("TransactWriteItems", move |input, _| {
        let put = input["TransactItems"][1]["Put"]["Item"].clone();
        *stored.lock().unwrap_or_else(PoisonError::into_inner) = put;
        None
    });
    let stored = Arc::clone(&row);
    aws.on("GetItem", move |input, _| {
        let row = stored.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (input["TableName"] == "Replays").then(|| Reply::Body(json!({"Item": row})))
    });
    let stored = Arc::clone(&row);
    aws.on("UpdateItem", move |input, _| {
        let mut row = stored.lock().unwrap_or_else(PoisonError::into_inner);
        row["state"] = input["ExpressionAttributeValues"][":state"].clone();
        (input["TableName"] == "Replays").then(|| Reply::Body(json!({"Attributes": *row})))
    });
    aws.break_queue("SendMessage", REPLAYS);
    let mut event = sample(REPLAY);
    event["body"] = json!({"since": "2025-12-03T10:00:00Z"}).to_string().into();
    let response = send(&api, event).await;
    let error = (&response["statusCode"], &response["body"]["error"]);
    assert_eq!(error, (&json!(503), &json!("service_unavailable")));
    let row = row.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        (&row["replay_id"]["S"].is_string(), &row["state"]["S"]),
        (&true, &json!("cancelled"))
    );
    assert!(aws.queued(REPLAYS).is_empty());
}

#[tokio::test]
async fn a_paused_replay_of_a_webhook_that_needs_a_test_is_not_resumed() {
    let (aws, api) = api().await;
    let fields = json!({"webhook_config_id": WEBHOOK, "needs_test_since": "2025-12-03T10:00:00Z"});
    aws.put_webhook(item(&webhook_with("https://hooks.invalid/", fields)));
    let key = WebhookKey {
        tenant: TENANT.parse().expect("it is an id"),
        webhook: WEBHOOK.parse().expect("it is an id"),
    };
    let mut event = sample(RETRY);
    event["rawPath"] = format!("/v1/webhooks/{WEBHOOK}/replays/{}/resume", fixtures::REPLAY).into();
    for (state, error) in [("paused", "webhook_needs_test"), ("completed", "replay_ended")] {
        let mut row = replay_row(key, 50);
        row["state"] = json!({"S": state});
        aws.put_replay(&row);
        let response = send(&api, event.clone()).await;
        assert_eq!(
            (&response["statusCode"], &response["body"]["error"]),
            (&json!(409), &json!(error))
        );
    }
    assert!(aws.queued(REPLAYS).is_empty());
}

#[tokio::test]
async fn a_change_that_loses_every_race_is_a_conflict_and_not_an_end() {
    let (aws, api) = with_webhook().await;
    let key = WebhookKey {
        tenant: TENANT.parse().expect("it is an id"),
        webhook: WEBHOOK.parse().expect("it is an id"),
    };
    let row = replay_row(key, 50);
    let item = json!({"Item": row});
    aws.on("GetItem", move |input, _| {
        (input["TableName"] == "Replays").then(|| Reply::Body(item.clone()))
    });
    // Others pause it and resume it, each time before this request.
    aws.on("UpdateItem", move |input, _| {
        (input["TableName"] == "Replays").then(|| Reply::ConditionFailed(row.clone()))
    });
    let mut event = sample(RETRY);
    event["rawPath"] = format!("/v1/webhooks/{WEBHOOK}/replays/{}/pause", fixtures::REPLAY).into();
    let response = send(&api, event).await;
    let error = (&response["statusCode"], &response["body"]["error"]);
    assert_eq!(error, (&json!(409), &json!("replay_conflict")));
    let updates = aws.calls_of("UpdateItem");
    assert_eq!(updates.iter().filter(|call| call.input["TableName"] == "Replays").count(), 3);
}
