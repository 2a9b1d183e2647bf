//! A delivery as an item of the table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Item, LogEntry};
use crate::delivery::{Attempt, DeliveryStatus};
use crate::event_type::EventType;
use crate::id::{DeliveryId, EventId, TenantId, WebhookId};
use crate::store::StoreError;
use crate::store::json::{L, M, N, S, l, m, n, s};
use crate::timestamp::Timestamp;

/// A delivery's row as it is read.
#[derive(Debug, Clone, Deserialize)]
pub struct DeliveryRow {
    /// The webhook.
    pub webhook_config_id: WebhookId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The webhook's owner.
    pub tenant_id: TenantId,
    /// The event's name.
    pub event: EventType,
    /// The event's id.
    pub event_id: EventId,
    /// The bytes that are posted.
    pub body: String,
    /// Where the delivery stands.
    pub status: DeliveryStatus,
    /// The attempts so far, in order.
    pub attempts: Vec<Attempt>,
    /// The number of the attempt that was logged last.
    pub last_attempt: u32,
    /// Why the delivery ended without success.
    #[serde(default)]
    pub reason: Option<String>,
    /// When the change that caused the delivery was recorded.
    pub created_at: Timestamp,
    /// When no further attempt was to follow.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// When DynamoDB removes the row, in Unix seconds.
    pub ttl: i64,
}

/// Reads a row, for whoever shows the log.
pub fn read(item: Item) -> Result<DeliveryRow, StoreError> {
    let key = item.get("delivery_id").and_then(|id| id.as_s().ok()).cloned().unwrap_or_default();
    let row = serde_dynamo::from_item(item);
    row.map_err(|source| StoreError::CorruptRow { key, source: source.into() })
}

/// A request to write the whole row of a delivery that succeeded at once.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Put<'a> {
    put_request: PutRequest<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest<'a> {
    item: PutRow<'a>,
}

#[derive(Serialize)]
struct PutRow<'a> {
    webhook_config_id: S<WebhookId>,
    delivery_id: S<DeliveryId>,
    tenant_id: S<TenantId>,
    event: S<EventType>,
    event_id: S<EventId>,
    body: S<&'a str>,
    status: S<DeliveryStatus>,
    attempts: L<Vec<M<PutAttempt>>>,
    last_attempt: N<u32>,
    created_at: S<Timestamp>,
    completed_at: S<Timestamp>,
    ttl: N<i64>,
}

#[derive(Serialize)]
struct PutAttempt {
    number: N<u32>,
    at: S<Timestamp>,
    duration_ms: N<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<N<u16>>,
}

impl<'a> Put<'a> {
    /// Asks for the row of `entry`, to be kept for `keep`.
    pub(super) fn new(entry: &'a LogEntry<'_>, keep: Duration) -> Self {
        let message = entry.message;
        let attempt = entry.attempt.iter().map(|attempt| {
            m(PutAttempt {
                number: n(attempt.number),
                at: s(attempt.at),
                duration_ms: n(attempt.duration_ms),
                status_code: attempt.status_code.map(n),
            })
        });
        let item = PutRow {
            webhook_config_id: s(message.webhook_config_id),
            delivery_id: s(message.delivery_id),
            tenant_id: s(message.tenant_id),
            event: s(message.event),
            event_id: s(message.event_id),
            body: s(message.body.get()),
            status: s(entry.status),
            attempts: l(attempt.collect()),
            last_attempt: n(entry.last_attempt()),
            created_at: s(message.delivery_id.created_at()),
            completed_at: s(entry.at),
            ttl: n(entry.expiry(keep)),
        };
        Self { put_request: PutRequest { item } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_version_0_1_0_is_read() {
        let json = include_str!("../../../../tests/formats/0.1.0/delivery-row.json");
        let item: serde_dynamo::Item = serde_json::from_str(json).unwrap();
        let row = read(item.into()).unwrap();
        assert_eq!((row.status, row.last_attempt), (DeliveryStatus::Failed, 2));
        assert_eq!(row.attempts[0].response_body.as_deref(), Some("out of order"));
        assert_eq!(row.attempts[1].status_code, None);
        assert_eq!(row.reason.as_deref(), Some("no answer within 10 s"));
        assert!(row.body.contains(r#""processing_time_seconds":45.20"#));
    }
}
