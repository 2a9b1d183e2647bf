//! The format of a row of the delivery log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use serde_dynamo::Item;

use super::{LogEntry, SdkItem};
use crate::delivery::{Attempt, DeliveryStatus};
use crate::event_type::EventType;
use crate::id::{DeliveryId, EventId, TenantId, WebhookId};
use crate::store::StoreError;
use crate::timestamp::Timestamp;

/// One delivery in the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// Partition key.
    pub webhook_config_id: WebhookId,
    /// Sort key.
    pub delivery_id: DeliveryId,
    /// The webhook's owner.
    pub tenant_id: TenantId,
    /// The name of the event, such as `document.uploaded`.
    pub event: EventType,
    /// The same for all deliveries of the event.
    pub event_id: EventId,
    /// The exact body of the request.
    pub body: String,
    /// The status after the last logged receive.
    pub status: DeliveryStatus,
    /// At most 50, in order.
    pub attempts: Vec<Attempt>,
    /// Number of the last logged attempt; 0 if there is none.
    pub last_attempt: u32,
    /// Why the delivery failed or was cancelled, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the job's change was recorded.
    pub created_at: Timestamp,
    /// When the delivery reached its final status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Unix time in seconds after which DynamoDB deletes the row.
    pub ttl: i64,
}

impl DeliveryRow {
    /// A row with the content of `entry` alone. It expires `keep` after the entry.
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

    pub(super) fn to_item(&self) -> Result<Item, StoreError> {
        serde_dynamo::to_item(self).map_err(StoreError::Encode)
    }
}

/// Parses an item of the table. The error contains the delivery's id.
pub fn read(item: SdkItem) -> Result<DeliveryRow, StoreError> {
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
        let item: Item = serde_json::from_str(json).unwrap();
        let row = read(item.into()).unwrap();
        assert_eq!((row.status, row.last_attempt), (DeliveryStatus::Failed, 2));
        assert_eq!(row.attempts[0].response_body.as_deref(), Some("out of order"));
        assert_eq!(row.attempts[1].status_code, None);
        assert_eq!(row.reason.as_deref(), Some("no answer within 10 s"));
        assert!(row.body.contains(r#""processing_time_seconds":45.20"#));
    }
}
