//! The sender when AWS calls fail and when endpoints misbehave.

mod blocked;
mod endpoints;
mod health;
mod hostile;
mod interrupted;
mod log;
mod lost_receives;
mod overlap;
mod phases;
mod posts;
mod retries;
mod retry_after;
mod tls;
mod webhook_test;

use std::time::Duration;

use harness::fixtures::{BODY, batch, first_receives, rows, text, webhook_with};
use harness::{FakeAws, Hosted, Queued, Receiver, Script};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryMessage;

/// A fake AWS with these webhooks, and a sender that may post to this machine over plain HTTP.
pub(super) async fn sender<'a>(webhooks: impl IntoIterator<Item = &'a Value>) -> (FakeAws, Hosted) {
    sender_with(webhooks, &[]).await
}

/// Like [`sender`], with some environment variables changed.
async fn sender_with<'a>(
    webhooks: impl IntoIterator<Item = &'a Value>,
    environment: &[(&'static str, &str)],
) -> (FakeAws, Hosted) {
    let aws = FakeAws::with_webhooks(webhooks).await;
    let sender = Hosted::start("sender", &aws.environment_with(environment)).await;
    (aws, sender)
}

/// A receiver that follows `script`, its webhook, and a sender.
pub(super) async fn one_webhook(script: impl Into<Script>) -> (Receiver, Value, FakeAws, Hosted) {
    one_webhook_with(script, json!({})).await
}

/// Like [`one_webhook`], with some fields of the webhook's row changed.
async fn one_webhook_with(
    script: impl Into<Script>,
    fields: Value,
) -> (Receiver, Value, FakeAws, Hosted) {
    let receiver = Receiver::start(script).await;
    let hook = webhook_with(&receiver.url(), fields);
    let (aws, sender) = sender([&hook]).await;
    (receiver, hook, aws, sender)
}

/// Delivers these messages, each received for the first time. Returns the ids that the sender reports.
async fn deliver(sender: &Hosted, messages: &[Value]) -> Vec<String> {
    sender.report(first_receives(messages)).await
}

/// Delivers this message, received for the `count`th time after an attempt at each earlier receive. Returns the ids that
/// the sender reports.
async fn redeliver(aws: &FakeAws, sender: &Hosted, message: &Value, count: u32) -> Vec<String> {
    log_attempts(aws, message, count - 1);
    sender.report(batch([(text(message).as_str(), count)])).await
}

/// Keeps a row of the message's delivery with this many attempts of its first chain.
pub(super) fn log_attempts(aws: &FakeAws, message: &Value, attempts: u32) {
    aws.keep_deliveries();
    if attempts > 0 {
        let row = logged_row(message, attempts);
        aws.put_delivery(&rows([&row])[0]);
    }
}

/// A row in plain JSON; see [`log_attempts`].
fn logged_row(message: &Value, attempts: u32) -> Value {
    let text = |name: &str| message[name].as_str().expect("a message has it");
    let webhook = format!("{}/{}", text("tenant_id"), text("webhook_config_id"));
    let attempt = |number| {
        json!({
            "number": number,
            "at": "2025-12-03T10:30:48Z",
            "duration_ms": 1,
            "status_code": 500,
            "error": "the endpoint answered 500",
        })
    };
    json!({
        "webhook": webhook,
        "delivery_id": text("delivery_id"),
        "undelivered": webhook,
        "event": text("event"),
        "event_id": text("event_id"),
        "occurred_at": text("occurred_at"),
        "body": BODY,
        "status": "pending",
        "chain": 1,
        "attempts": (1..=attempts).map(attempt).collect::<Vec<_>>(),
        "attempt_count": attempts,
        "last_attempt": attempts,
        "last_status_code": 500,
        "last_error": "the endpoint answered 500",
        "next_attempt_at": "2025-12-03T10:30:49Z",
        "ttl": 4_000_000_000_u64,
    })
}

/// Parses a queued delivery message.
fn delivery(queued: &Queued) -> DeliveryMessage {
    serde_json::from_str(&queued.body).expect("it is a delivery message")
}

/// The visibility timeouts that the sender has set, in seconds, sorted by receipt handle.
fn visibilities(aws: &FakeAws) -> Vec<(String, u64)> {
    let mut set: Vec<_> = aws
        .calls_of("ChangeMessageVisibility")
        .into_iter()
        .map(|call| {
            let handle =
                call.input["ReceiptHandle"].as_str().expect("the call has a receipt handle");
            (handle.to_owned(), call.input["VisibilityTimeout"].as_u64().expect("it is a number"))
        })
        .collect();
    set.sort();
    set
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
