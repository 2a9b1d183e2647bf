//! Rows of the delivery log whose deliveries were never on a queue.

use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus, FormatVersion, Phases};
use webhooks::event_type::EventType;
use webhooks::id::{DeliveryId, EventId};
use webhooks::store::deliveries::LogEntry;
use webhooks::store::{DeliveryLog, DynamoDb};
use webhooks::timestamp::Timestamp;

use super::tenant::{Hook, Tenant};
use super::world::World;

/// One delivery to write to the log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    /// Seconds since the epoch; no two deliveries of a webhook may share it.
    pub second: u64,
    pub status: DeliveryStatus,
    pub event: EventType,
    pub document_id: &'static str,
    pub job_id: &'static str,
    pub next_attempt_at: Option<Timestamp>,
}

impl Logged {
    /// An upload of document `document` by job `job`, at this second.
    pub(crate) fn at(second: u64, status: DeliveryStatus) -> Self {
        Self {
            second,
            status,
            event: EventType::DocumentUploaded,
            document_id: "document",
            job_id: "job",
            next_attempt_at: None,
        }
    }

    fn message(&self, tenant: &Tenant, hook: &Hook) -> DeliveryMessage {
        let at = Timestamp::from_unix_millis(self.second * 1000);
        let data = json!({"document_id": self.document_id, "job_id": self.job_id});
        let body = json!({"event": self.event, "timestamp": at, "data": data}).to_string();
        DeliveryMessage {
            v: FormatVersion,
            delivery_id: DeliveryId::first_at(at),
            event_id: EventId::random(),
            tenant_id: tenant.id,
            webhook_config_id: hook.id.parse().expect("it is a UUID"),
            event: self.event,
            occurred_at: at,
            chain: 1,
            attempts_before: 0,
            blocked_since: None,
            body: RawValue::from_string(body).expect("it is JSON"),
        }
    }

    /// One attempt, unless the delivery was skipped.
    fn attempt(&self) -> Option<Attempt> {
        let is_success = self.status == DeliveryStatus::Delivered;
        (self.status != DeliveryStatus::Skipped).then(|| Attempt {
            chain: 1,
            number: 1,
            at: Timestamp::from_unix_millis(self.second * 1000),
            duration_ms: 1,
            phases: Phases { first_byte_ms: Some(1), ..Phases::default() },
            first_status_code: None,
            status_code: Some(if is_success { 200 } else { 500 }),
            error: (!is_success).then(|| "the endpoint answered 500".to_owned()),
            response_body: None,
        })
    }
}

/// Writes the deliveries. Returns their ids in the same order.
pub(crate) async fn log(tenant: &Tenant, hook: &Hook, deliveries: &[Logged]) -> Vec<String> {
    let world = World::get();
    let table = world.info().outputs.deliveries_table.clone();
    let log = DeliveryLog::new(DynamoDb::new(&world.aws()), table, Duration::from_hours(1));
    let messages: Vec<_> = deliveries.iter().map(|it| it.message(tenant, hook)).collect();
    let entries: Vec<_> = deliveries
        .iter()
        .zip(&messages)
        .map(|(it, message)| LogEntry {
            message,
            status: it.status,
            attempt: it.attempt(),
            reason: None,
            next_attempt_at: it.next_attempt_at,
            at: Timestamp::now(),
        })
        .collect();
    log.put_all(&entries).await.expect("the log can be written");
    messages.iter().map(|message| message.delivery_id.to_string()).collect()
}
