//! `Deliveries`, the log: partition key `webhook_config_id`, sort key `delivery_id`.
//!
//! The rule: the queue is the authority and the log only describes it. A log write that fails is
//! reported to the caller, who counts it and never posts again because of it.

mod row;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::batch::process_all;
use super::{StoreError, condition_failed};
use crate::aws::AwsError;
use crate::aws::direct::Direct;
use crate::delivery::{Attempt, DeliveryMessage, DeliveryStatus};
use crate::timestamp::Timestamp;

use row::Put;
pub use row::{DeliveryRow, read};

type Item = HashMap<String, AttributeValue>;

/// Items that one `BatchWriteItem` may have.
const MAX_BATCH_ITEMS: usize = 25;

/// The delivery log.
#[derive(Debug, Clone)]
pub struct DeliveryLog {
    client: Client,
    direct: Direct,
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

    fn last_attempt(&self) -> u32 {
        self.attempt.as_ref().map_or(self.message.attempts_before, |attempt| attempt.number)
    }

    fn expiry(&self, keep: Duration) -> i64 {
        self.at.unix_seconds() + i64::try_from(keep.as_secs()).unwrap_or(0)
    }
}

impl DeliveryLog {
    /// The log in `table`, whose rows are kept for `keep` after their last change.
    #[must_use]
    pub fn new(client: Client, direct: Direct, table: String, keep: Duration) -> Self {
        Self { client, direct, table, keep }
    }

    /// Puts deliveries that succeeded at once, 25 in a call. Two entries must not be of the same
    /// delivery, or the call is refused as a whole.
    pub async fn put_all(&self, entries: &[LogEntry<'_>]) -> Result<(), StoreError> {
        for batch in entries.chunks(MAX_BATCH_ITEMS) {
            let puts: Vec<_> = batch.iter().map(|entry| Put::new(entry, self.keep)).collect();
            process_all(&self.direct, "BatchWriteItem", &self.table, puts, |_| {}).await?;
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
            (":ttl", number(entry.expiry(self.keep))),
            (":none", AttributeValue::L(Vec::new())),
            (":number", number(entry.last_attempt())),
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
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl ToString + Copy) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
