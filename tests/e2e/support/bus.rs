//! Catches a tenant's events on the default bus, with a rule and a queue as `docs/OPERATIONS.md` describes.

use aws_sdk_eventbridge::types::Target;
use harness::eventually;
use serde_json::{Value, json};
use webhooks::id::WebhookId;

use super::tenant::Tenant;
use super::world::World;

/// A queue with the events of one tenant.
pub(crate) struct Bus {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
}

impl Bus {
    /// Gets the events from now on.
    pub(crate) async fn of(tenant: &Tenant) -> Self {
        let aws = World::get().aws();
        let (sqs, events) =
            (aws_sdk_sqs::Client::new(&aws), aws_sdk_eventbridge::Client::new(&aws));
        let name = format!("health-{}", WebhookId::random());
        let queue = sqs.create_queue().queue_name(&name).send().await;
        let queue_url = queue.expect("the queue can be created").queue_url.expect("it has a URL");
        let pattern = json!({
            "source": ["docintell.webhooks"],
            "detail": {"tenant_id": [tenant.id.to_string()]},
        });
        let rule = events.put_rule().name(&name).event_pattern(pattern.to_string()).send().await;
        rule.expect("the rule can be created");
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
        let target = Target::builder().id("queue").arn(arn).build().expect("id and ARN are set");
        let targets = events.put_targets().rule(&name).targets(target).send().await;
        targets.expect("the rule can have a target");
        Self { sqs, queue_url }
    }

    /// Waits for the next event. Every test names all events that it causes, so a superfluous one fails it.
    pub(crate) async fn next(&self) -> Value {
        let message = eventually("an event on the bus", async || {
            let received = self.sqs.receive_message().queue_url(&self.queue_url).send().await;
            received.expect("the queue can be read").messages.unwrap_or_default().pop()
        })
        .await;
        let handle = message.receipt_handle.expect("a received message has a handle");
        let delete = self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle);
        delete.send().await.expect("the message can be deleted");
        serde_json::from_str(&message.body.expect("it has a body")).expect("an event is JSON")
    }
}
