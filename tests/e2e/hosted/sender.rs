//! The sender when AWS calls fail and when endpoints misbehave.

mod blocked;
mod endpoints;
mod health;
mod hostile;
mod interrupted;
mod log;
mod overlap;
mod phases;
mod posts;
mod retries;
mod retry_after;
mod tls;
mod webhook_test;

use std::time::Duration;

use harness::fixtures::{batch, first_receives, text, webhook_with};
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

/// Delivers this message, received for the `count`th time. Returns the ids that the sender reports.
async fn redeliver(sender: &Hosted, message: &Value, count: u32) -> Vec<String> {
    sender.report(batch([(text(message).as_str(), count)])).await
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
