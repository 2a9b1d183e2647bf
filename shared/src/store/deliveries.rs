//! `Deliveries`, the log: partition key `webhook_config_id`, sort key `delivery_id`.
//!
//! The rule: the queue is the authority and the log only describes it. A log write that fails is
//! reported to the caller, who counts it and never posts again because of it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::{MAX_BATCH_CALLS, StoreError, backoff, condition_failed};
use crate::aws::AwsError;
use crate::delivery::{Attempt, DeliveryMessage, DeliveryStatus};
use crate::event::EventName;
use crate::id::{DeliveryId, EventId, TenantId, WebhookId};
use crate::timestamp::Timestamp;

type Item = HashMap<String, AttributeValue>;

/// Items that one `BatchWriteItem` may have.
const MAX_BATCH_ITEMS: usize = 25;

/// The delivery log.
#[derive(Debug, Clone)]
pub struct DeliveryLog {
    client: Client,
    table: String,
    keep: Duration,
}

/// What became of a delivery at one receive of its message.
#[derive(Debug, Clone)]
pub struct LogEntry<'a> {
    /// The delivery.
    pub message: &'a DeliveryMessage,
    /// Where it stands now.
    pub status: DeliveryStatus,
    /// The attempt that was made, if one was.
    pub attempt: Option<Attempt>,
    /// Why it ended without success, for a person.
    pub reason: Option<String>,
    /// When this was decided.
    pub at: Timestamp,
}

impl LogEntry<'_> {
    /// Whether this is all that there will ever be to say, so that it can be put without a read.
    #[must_use]
    pub fn is_immediate_success(&self) -> bool {
        self.status == DeliveryStatus::Delivered
            && self.attempt.as_ref().is_some_and(|attempt| attempt.number == 1)
    }

    fn completed_at(&self) -> Option<Timestamp> {
        (self.status != DeliveryStatus::Pending).then_some(self.at)
    }
}

/// A delivery's row as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// The webhook.
    pub webhook_config_id: WebhookId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The webhook's owner.
    pub tenant_id: TenantId,
    /// The event's name.
    pub event: EventName,
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

impl DeliveryLog {
    /// The log in `table`, whose rows are kept for `keep` after their last change.
    #[must_use]
    pub fn new(client: Client, table: String, keep: Duration) -> Self {
        Self { client, table, keep }
    }

    /// Puts deliveries that succeeded at once, 25 in a call. Two entries must not be of the same
    /// delivery, or the call is refused as a whole.
    pub async fn put_all(&self, entries: &[LogEntry<'_>]) -> Result<(), StoreError> {
        for batch in entries.chunks(MAX_BATCH_ITEMS) {
            let puts =
                batch.iter().map(|entry| self.put_request(entry)).collect::<Result<_, _>>()?;
            self.write_batch(puts).await?;
        }
        Ok(())
    }

    /// Adds what happened at one receive to the delivery's row, making the row if there is none.
    ///
    /// Does nothing, and succeeds, where the row says delivered, and where it already has this failed
    /// attempt or a later one.
    pub async fn append(&self, entry: &LogEntry<'_>) -> Result<(), StoreError> {
        let message = entry.message;
        let text = |value: &dyn ToString| AttributeValue::S(value.to_string());
        let mut set = vec![
            "#status = :status",
            "tenant_id = :tenant_id",
            "#event = :event",
            "event_id = :event_id",
            "body = :body",
            "created_at = :created_at",
            "#ttl = :ttl",
        ];
        let mut values = HashMap::from([
            (":status", text(&entry.status.as_str())),
            (":delivered", text(&DeliveryStatus::Delivered.as_str())),
            (":tenant_id", text(&message.tenant_id)),
            (":event", text(&message.event)),
            (":event_id", text(&message.event_id)),
            (":body", text(&RawValue::get(&message.body))),
            (":created_at", text(&message.delivery_id.created_at())),
            (":ttl", AttributeValue::N(self.expiry(entry.at).to_string())),
            (":none", AttributeValue::L(Vec::new())),
            (":number", AttributeValue::N(attempt_number(entry).to_string())),
        ]);
        let mut condition = "(attribute_not_exists(#status) OR #status <> :delivered)".to_owned();
        let mut remove = "";
        let attempts = if let Some(attempt) = &entry.attempt {
            // A success is told also when a message that was moved back from the dead-letter queue, and
            // counts its attempts from 1 again, brings it.
            if entry.status == DeliveryStatus::Delivered {
                remove = " REMOVE reason";
            } else {
                condition.push_str(
                    " AND (attribute_not_exists(last_attempt) OR last_attempt < :number)",
                );
            }
            set.push("last_attempt = :number");
            vec![serde_dynamo::to_attribute_value(attempt).map_err(StoreError::Encode)?]
        } else {
            set.push("last_attempt = if_not_exists(last_attempt, :number)");
            Vec::new()
        };
        set.push("attempts = list_append(if_not_exists(attempts, :none), :attempts)");
        values.insert(":attempts", AttributeValue::L(attempts));
        if let Some(reason) = &entry.reason {
            set.push("reason = :reason");
            values.insert(":reason", text(reason));
        }
        if let Some(completed_at) = entry.completed_at() {
            set.push("completed_at = :completed_at");
            values.insert(":completed_at", text(&completed_at));
        }
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("webhook_config_id", text(&message.webhook_config_id))
            .key("delivery_id", text(&message.delivery_id))
            .update_expression(format!("SET {}{remove}", set.join(", ")))
            .condition_expression(condition)
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#event", "event")
            .expression_attribute_names("#ttl", "ttl")
            .set_expression_attribute_values(Some(
                values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => Ok(()),
            Err(error) => Err(AwsError::of("UpdateItem")(error).into()),
        }
    }

    fn put_request(&self, entry: &LogEntry<'_>) -> Result<WriteRequest, StoreError> {
        let message = entry.message;
        let row = DeliveryRow {
            webhook_config_id: message.webhook_config_id,
            delivery_id: message.delivery_id,
            tenant_id: message.tenant_id,
            event: message.event,
            event_id: message.event_id,
            body: message.body.get().to_owned(),
            status: entry.status,
            attempts: entry.attempt.iter().cloned().collect(),
            last_attempt: attempt_number(entry),
            reason: None,
            created_at: message.delivery_id.created_at(),
            completed_at: entry.completed_at(),
            ttl: self.expiry(entry.at),
        };
        let put = PutRequest::builder()
            .set_item(Some(serde_dynamo::to_item(row).map_err(StoreError::Encode)?))
            .build()
            .map_err(AwsError::of("BatchWriteItem"))?;
        Ok(WriteRequest::builder().put_request(put).build())
    }

    async fn write_batch(&self, mut open: Vec<WriteRequest>) -> Result<(), StoreError> {
        for call in 0..MAX_BATCH_CALLS {
            if call > 0 {
                sleep(backoff(call)).await;
            }
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.table, open)
                .send()
                .await
                .map_err(AwsError::of("BatchWriteItem"))?;
            open = answer
                .unprocessed_items
                .into_iter()
                .flat_map(HashMap::into_values)
                .flatten()
                .collect();
            if open.is_empty() {
                return Ok(());
            }
        }
        Err(StoreError::Unprocessed { operation: "BatchWriteItem", count: open.len() })
    }

    fn expiry(&self, at: Timestamp) -> i64 {
        at.unix_seconds() + i64::try_from(self.keep.as_secs()).unwrap_or(0)
    }
}

fn attempt_number(entry: &LogEntry<'_>) -> u32 {
    entry.attempt.as_ref().map_or(entry.message.attempts_before, |attempt| attempt.number)
}

/// Reads a row, for whoever shows the log.
pub fn read(item: Item) -> Result<DeliveryRow, StoreError> {
    let key = item.get("delivery_id").and_then(|id| id.as_s().ok()).cloned().unwrap_or_default();
    serde_dynamo::from_item(item).map_err(|source| StoreError::CorruptRow { key, source })
}
