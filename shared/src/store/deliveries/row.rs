//! A delivery as an item of the table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Item, LogEntry};
use crate::delivery::{Attempt, DeliveryStatus};
use crate::event_type::EventType;
use crate::id::{DeliveryId, EventId, TenantId, WebhookId};
use crate::store::StoreError;
use crate::timestamp::Timestamp;

/// A delivery's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the change that caused the delivery was recorded.
    pub created_at: Timestamp,
    /// When no further attempt was to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When DynamoDB removes the row, in Unix seconds.
    pub ttl: i64,
}

impl DeliveryRow {
    /// The row that says of its delivery what `entry` says, and is kept for `keep`.
    pub(super) fn new(entry: &LogEntry<'_>, keep: Duration) -> Self {
        let message = entry.message;
        Self {
            webhook_config_id: message.webhook_config_id,
            delivery_id: message.delivery_id,
            tenant_id: message.tenant_id,
            event: message.event,
            event_id: message.event_id,
            body: message.body.get().to_owned(),
            status: entry.status,
            attempts: entry.attempt.iter().cloned().collect(),
            last_attempt: entry.last_attempt(),
            reason: entry.reason.clone(),
            created_at: message.delivery_id.created_at(),
            completed_at: entry.completed_at(),
            ttl: entry.expiry(keep),
        }
    }

    /// Writes the row.
    pub(super) fn to_item(&self) -> Result<serde_dynamo::Item, StoreError> {
        serde_dynamo::to_item(self).map_err(StoreError::Encode)
    }
}

/// Reads a row, for whoever shows the log.
pub fn read(item: Item) -> Result<DeliveryRow, StoreError> {
    let key = item.get("delivery_id").and_then(|id| id.as_s().ok()).cloned().unwrap_or_default();
    let row = serde_dynamo::from_item(item);
    row.map_err(|source| StoreError::CorruptRow { key, source: source.into() })
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
