//! The delivery log's conditional writes, on a table that evaluates conditions.

use std::time::Duration;

use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus, Phases};
use webhooks::id::WebhookId;
use webhooks::store::deliveries::{DeliveryRow, LogEntry};
use webhooks::store::{DeliveryLog, DynamoDb};
use webhooks::timestamp::Timestamp;

use crate::support::tenant::{Hook, Tenant};
use crate::support::world::World;

/// A delivery that is on no queue, and the delivery log of the deployed stack.
struct Logged {
    tenant: Tenant,
    hook: Hook,
    message: DeliveryMessage,
    log: DeliveryLog,
}

impl Logged {
    async fn new() -> Self {
        let (tenant, world) = (Tenant::new().await, World::get());
        let sample = include_str!("../../events/queue-batch.json");
        let batch: serde_json::Value = serde_json::from_str(sample).expect("it is JSON");
        let body = batch["Records"][0]["body"].as_str().expect("it is text");
        let message: DeliveryMessage = serde_json::from_str(body).expect("it is a message");
        let webhook = WebhookId::random();
        let message =
            DeliveryMessage { tenant_id: tenant.id, webhook_config_id: webhook, ..message };
        let log = DeliveryLog::new(
            DynamoDb::new(&world.aws()),
            world.info().outputs.deliveries_table.clone(),
            Duration::from_hours(1),
        );
        let hook = Hook { id: webhook.to_string(), secret: String::new() };
        Self { tenant, hook, message, log }
    }

    async fn append(&self, number: u32, status: DeliveryStatus) {
        let attempt = Attempt {
            chain: 1,
            number,
            at: Timestamp::now(),
            duration_ms: 1,
            phases: Phases::default(),
            first_status_code: None,
            status_code: None,
            error: None,
            response_body: None,
        };
        let entry = LogEntry {
            message: &self.message,
            status,
            attempt: Some(attempt),
            reason: None,
            at: Timestamp::now(),
        };
        self.log.append(&entry).await.expect("the log can be written");
    }

    async fn row(&self) -> DeliveryRow {
        self.tenant.deliveries(&self.hook).await.remove(0)
    }

    async fn numbers(&self) -> Vec<u32> {
        self.row().await.attempts.iter().map(|attempt| attempt.number).collect()
    }
}

#[tokio::test]
async fn the_log_keeps_the_first_49_attempts_and_the_latest_one() {
    let logged = Logged::new().await;
    for number in 1..=52 {
        logged.append(number, DeliveryStatus::Pending).await;
    }
    assert_eq!(logged.numbers().await, [(1..=49).collect(), vec![52]].concat());
    logged.append(53, DeliveryStatus::Delivered).await;
    logged.append(54, DeliveryStatus::Failed).await;
    assert_eq!(logged.numbers().await[49..], [53], "a success is never overwritten");
    assert_eq!(logged.row().await.status, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_repeated_or_earlier_attempt_is_not_added() {
    let logged = Logged::new().await;
    for number in [1, 1, 3, 2] {
        logged.append(number, DeliveryStatus::Pending).await;
    }
    assert_eq!(logged.numbers().await, [1, 3]);
}
