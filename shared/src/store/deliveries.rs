//! `Deliveries`, the log: partition key `webhook_config_id`, sort key `delivery_id`.
//!
//! The rule: the queue is the authority and the log only describes it. A log write that fails is
//! reported to the caller, who counts it and never posts again because of it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde::Deserialize;
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

/// A delivery's row as it is read; [`DeliveryLog`] writes it.
#[derive(Debug, Clone, Deserialize)]
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
            let puts = batch.iter().map(|entry| put_request(self.row(entry)));
            self.write_batch(puts.collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    }

    /// Adds what happened at one receive to the delivery's row, making the row if there is none.
    ///
    /// Does nothing, and succeeds, where the row says delivered, and where it already has this failed
    /// attempt or a later one.
    pub async fn append(&self, entry: &LogEntry<'_>) -> Result<(), StoreError> {
        let message = entry.message;
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
            (":status", text(entry.status.as_str())),
            (":delivered", text(DeliveryStatus::Delivered.as_str())),
            (":tenant_id", text(message.tenant_id)),
            (":event", text(message.event.as_str())),
            (":event_id", text(message.event_id)),
            (":body", text(message.body.get())),
            (":created_at", text(message.delivery_id.created_at())),
            (":ttl", number(self.expiry(entry.at))),
            (":none", AttributeValue::L(Vec::new())),
            (":number", number(attempt_number(entry))),
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
            vec![attempt_value(attempt)]
        } else {
            set.push("last_attempt = if_not_exists(last_attempt, :number)");
            Vec::new()
        };
        set.push("attempts = list_append(if_not_exists(attempts, :none), :attempts)");
        values.insert(":attempts", AttributeValue::L(attempts));
        if let Some(reason) = &entry.reason {
            set.push("reason = :reason");
            values.insert(":reason", text(reason.as_str()));
        }
        if let Some(completed_at) = entry.completed_at() {
            set.push("completed_at = :completed_at");
            values.insert(":completed_at", text(completed_at));
        }
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("webhook_config_id", text(message.webhook_config_id))
            .key("delivery_id", text(message.delivery_id))
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

    /// The whole row of a delivery that succeeded at once. Each delivery makes one, so it is put together
    /// here: to go through serde takes three times as long.
    fn row(&self, entry: &LogEntry<'_>) -> Item {
        let message = entry.message;
        let mut row = HashMap::with_capacity(13);
        let mut set = |name: &str, value| row.insert(name.to_owned(), value);
        set("webhook_config_id", text(message.webhook_config_id));
        set("delivery_id", text(message.delivery_id));
        set("tenant_id", text(message.tenant_id));
        set("event", text(message.event.as_str()));
        set("event_id", text(message.event_id));
        set("body", text(message.body.get()));
        set("status", text(entry.status.as_str()));
        set("attempts", AttributeValue::L(entry.attempt.iter().map(attempt_value).collect()));
        set("last_attempt", number(attempt_number(entry)));
        set("created_at", text(message.delivery_id.created_at()));
        set("ttl", number(self.expiry(entry.at)));
        if let Some(completed_at) = entry.completed_at() {
            set("completed_at", text(completed_at));
        }
        row
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

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl ToString + Copy) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn attempt_value(attempt: &Attempt) -> AttributeValue {
    let mut fields = HashMap::with_capacity(6);
    let mut set = |name: &str, value| fields.insert(name.to_owned(), value);
    set("number", number(attempt.number));
    set("at", text(attempt.at));
    set("duration_ms", number(attempt.duration_ms));
    if let Some(code) = attempt.status_code {
        set("status_code", number(code));
    }
    if let Some(error) = &attempt.error {
        set("error", text(error.as_str()));
    }
    if let Some(body) = &attempt.response_body {
        set("response_body", text(body.as_str()));
    }
    AttributeValue::M(fields)
}

fn put_request(row: Item) -> Result<WriteRequest, StoreError> {
    let put = PutRequest::builder().set_item(Some(row)).build();
    let put = put.map_err(AwsError::of("BatchWriteItem"))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn attempt_number(entry: &LogEntry<'_>) -> u32 {
    entry.attempt.as_ref().map_or(entry.message.attempts_before, |attempt| attempt.number)
}

/// Reads a row, for whoever shows the log.
pub fn read(item: Item) -> Result<DeliveryRow, StoreError> {
    let key = item.get("delivery_id").and_then(|id| id.as_s().ok()).cloned().unwrap_or_default();
    serde_dynamo::from_item(item).map_err(|source| StoreError::CorruptRow { key, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_written_is_read_as_it_was_meant() {
        let sample = include_str!("../../../events/queue-batch.json");
        let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
        let message: DeliveryMessage =
            serde_json::from_str(sample["Records"][0]["body"].as_str().unwrap()).unwrap();
        let at = Timestamp::from_unix_millis(1_764_757_800_123);
        let attempt = Attempt {
            number: 1,
            at,
            duration_ms: 52,
            status_code: Some(200),
            error: None,
            response_body: None,
        };
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest());
        let client = Client::from_conf(dynamodb.build());
        let log = DeliveryLog::new(client, "log".to_owned(), Duration::from_hours(24));
        let entry = LogEntry {
            message: &message,
            status: DeliveryStatus::Delivered,
            attempt: Some(attempt.clone()),
            reason: None,
            at,
        };
        let row = read(log.row(&entry)).unwrap();
        assert_eq!(row.webhook_config_id, message.webhook_config_id);
        assert_eq!(row.delivery_id, message.delivery_id);
        assert_eq!(row.tenant_id, message.tenant_id);
        assert_eq!((row.event, row.event_id), (message.event, message.event_id));
        assert_eq!(row.body, message.body.get());
        assert_eq!(row.status, DeliveryStatus::Delivered);
        assert_eq!((row.attempts, row.last_attempt), (vec![attempt], 1));
        assert_eq!((row.reason, row.completed_at), (None, Some(at)));
        assert_eq!(row.created_at, message.delivery_id.created_at());
        assert_eq!(row.ttl, 1_764_757_800 + 24 * 60 * 60);
    }
}
