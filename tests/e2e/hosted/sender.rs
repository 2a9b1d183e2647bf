//! The sender when AWS fails it and when endpoints misbehave.

mod blocked;
mod endpoints;
mod hostile;
mod log;
mod posts;
mod retries;
mod tls;

use std::time::Duration;

use harness::fixtures::{batch, first_receives, text, webhook_with};
use harness::{FakeAws, Hosted, Queued, Receiver, Script};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryMessage;

/// A sender that may post to this machine over http, with an account that has these webhooks.
pub(super) async fn sender<'a>(webhooks: impl IntoIterator<Item = &'a Value>) -> (FakeAws, Hosted) {
    sender_with(webhooks, &[]).await
}

/// The same with other values for some variables of its environment.
async fn sender_with<'a>(
    webhooks: impl IntoIterator<Item = &'a Value>,
    environment: &[(&'static str, &str)],
) -> (FakeAws, Hosted) {
    let aws = FakeAws::with_webhooks(webhooks).await;
    let sender = Hosted::start("sender", &aws.environment_with(environment)).await;
    (aws, sender)
}

/// An endpoint that does what `script` says, its webhook, and a sender that knows it.
pub(super) async fn one_webhook(script: impl Into<Script>) -> (Receiver, Value, FakeAws, Hosted) {
    one_webhook_with(script, json!({})).await
}

/// The same with other values in some fields of the webhook's row.
async fn one_webhook_with(
    script: impl Into<Script>,
    fields: Value,
) -> (Receiver, Value, FakeAws, Hosted) {
    let receiver = Receiver::start(script).await;
    let hook = webhook_with(&receiver.url(), fields);
    let (aws, sender) = sender([&hook]).await;
    (receiver, hook, aws, sender)
}

/// The ids that the sender reports for these messages, each received for the first time.
async fn deliver(sender: &Hosted, messages: &[Value]) -> Vec<String> {
    sender.report(first_receives(messages)).await
}

/// The ids that the sender reports for this message, received for the `count`th time.
async fn redeliver(sender: &Hosted, message: &Value, count: u32) -> Vec<String> {
    sender.report(batch([(text(message).as_str(), count)])).await
}

/// The delivery message that a queue has taken.
fn delivery(queued: &Queued) -> DeliveryMessage {
    serde_json::from_str(&queued.body).expect("it is a delivery message")
}

/// What each message's visibility was set to, in seconds, by receipt handle and in that order.
fn visibilities(aws: &FakeAws) -> Vec<(String, u64)> {
    let mut set: Vec<_> = aws
        .calls_of("ChangeMessageVisibility")
        .into_iter()
        .map(|call| {
            let handle = call.input["ReceiptHandle"].as_str().expect("it names the receive");
            (handle.to_owned(), call.input["VisibilityTimeout"].as_u64().expect("it is a number"))
        })
        .collect();
    set.sort();
    set
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
