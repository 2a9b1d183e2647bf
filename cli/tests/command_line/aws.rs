//! An AWS with one answer for each kind of request.

use std::net::Ipv4Addr;

use axum::Router;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The id of the only webhook.
pub(crate) const WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";

/// The id of the only key.
pub(crate) const KEY: &str = "550e8400-e29b-41d4-a716-446655440000";

/// The answer to a query for keys, with one key.
pub(crate) fn one_key() -> Value {
    let text = |text: &str| json!({"S": text});
    json!({"Items": [{
        "key_hash": text("0"),
        "tenant_id": text("770e8400-e29b-41d4-a716-446655440002"),
        "key_id": text(KEY),
        "name": text("laptop"),
        "key_suffix": text("abcd"),
        "environment": text("test"),
        "status": text("active"),
        "created_at": text("2025-12-03T10:30:00Z"),
    }]})
}

/// A webhook's row.
fn webhook_row() -> Value {
    let text = |text: &str| json!({"S": text});
    json!({
        "tenant_id": text("770e8400-e29b-41d4-a716-446655440002"),
        "webhook_config_id": text(WEBHOOK),
        "url": text("https://example.com/hook"),
        "events": {"L": [text("document.uploaded")]},
        "is_active": {"BOOL": true},
        "retry_enabled": {"BOOL": true},
        "max_retries": {"N": "5"},
        "created_at": text("2025-12-03T10:30:00Z"),
        "updated_at": text("2025-12-03T10:30:00Z"),
        "secret_version": text("v1"),
    })
}

/// A delivery's row.
fn delivery_row() -> Value {
    let text = |text: &str| json!({"S": text});
    let number = json!({"N": "1"});
    json!({
        "webhook": text(&format!("770e8400-e29b-41d4-a716-446655440002/{WEBHOOK}")),
        "delivery_id": text("019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f"),
        "event_id": text("019ae3b8-7a40-7f00-8a11-0f1e2d3c4b5a"),
        "event": text("document.uploaded"),
        "job_id": text("job\u{1b}[2J"),
        "status": text("failed"),
        "chain": number,
        "attempt_count": number,
        "last_attempt": number,
        "last_error": text("refused\u{9b}31m"),
    })
}

/// The row of a replay that made no progress.
fn replay_row() -> Value {
    let text = |text: &str| json!({"S": text});
    let (time, number) = (text("2025-12-03T10:30:00Z"), json!({"N": "1"}));
    json!({
        "webhook": text(&format!("770e8400-e29b-41d4-a716-446655440002/{WEBHOOK}")),
        "replay_id": text("019ae3c0-1d40-7a31-8e52-6f0c9b7d2e14"),
        "state": text("running"),
        "filter": {"M": {"since": time, "until": time}},
        "rate_per_second": number,
        "counted": number,
        "sent": number,
        "slice": number,
        "created_at": time,
        "updated_at": time,
        "progressed_at": time,
        "ttl": number,
    })
}

/// One webhook with two rows in its log; there and here, another row is malformed. EventBridge refuses every event.
pub(crate) fn one_webhook(operation: &str, body: &str) -> Value {
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    let table = request["TableName"].as_str().unwrap_or_default();
    match operation {
        "GetItem" => json!({"Item": webhook_row()}),
        "Query" if table.contains("Webhook") => json!({"Items": [webhook_row(), {}]}),
        "Query" if table.contains("Replays") => json!({"Items": [replay_row()]}),
        "Query" => json!({"Items": [delivery_row(), {}]}),
        "UpdateItem" => {
            let mut row = webhook_row();
            row["is_active"] = json!({"BOOL": false});
            json!({"Attributes": row})
        }
        "PutEvents" => json!({
            "FailedEntryCount": 1,
            "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "no\u{1b}"}],
        }),
        _ => json!({}),
    }
}

/// Starts an AWS that accepts every request; returns its URL.
pub(crate) async fn aws() -> String {
    aws_with(json!({})).await
}

/// Starts an AWS that answers every request with `answer`; returns its URL.
pub(crate) async fn aws_with(answer: Value) -> String {
    aws_by(move |_, _| answer.clone()).await
}

/// Starts an AWS that answers by operation and request body; returns its URL.
pub(crate) async fn aws_by(
    answer: impl Fn(&str, &str) -> Value + Clone + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    let app = Router::new().fallback(async move |headers: HeaderMap, body: String| {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.split('.').nth(1)).unwrap_or_default();
        axum::Json(answer(operation, &body))
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}
