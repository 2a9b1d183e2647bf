//! The `Deliveries` table, which is the delivery log: partition key `webhook` (`<tenant_id>/<webhook_config_id>`), sort
//! key `delivery_id`. A sparse index has every row that is not delivered.
//!
//! The rule: the queue is the authority, and the log only describes it. If a log write fails, the caller logs
//! the error and does not post again.

mod chain;
mod lookup;
mod query;
mod row;
mod skip;
mod update;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tracing::warn;

use super::{DynamoDb, SdkItem, StoreError};
use crate::aws::{AwsError, chain};
use crate::delivery::{Attempt, DeliveryMessage, DeliveryStatus, first_chain};
use crate::id::{DeliveryId, WebhookKey};
use crate::timestamp::Timestamp;

pub use query::{DeliveryFilter, MAX_EXAMINED, Order, Page, Range};
pub use row::{DeliveryRow, DeliverySummary, read};
pub use skip::SkipError;
use update::{Place, Update};

/// Maximum items of one `BatchWriteItem`.
const MAX_BATCH_ITEMS: usize = 25;

/// Maximum attempts in a row. With texts of 500 characters and a body of 64 KiB, a row stays below DynamoDB's
/// limit of 400 KB.
const MAX_ATTEMPTS: usize = 50;

/// Reads and writes the delivery log.
#[derive(Debug, Clone)]
pub struct DeliveryLog {
    dynamodb: DynamoDb,
    table: String,
    keep: Duration,
}

/// The result of an update.
enum Updated {
    /// The row is up to date, because of this update or an earlier one.
    Done,
    /// The row has a later chain.
    OlderChain,
    /// The update's condition does not hold, and the list of attempts is full.
    ListFull,
    /// DynamoDB refuses the row because it would become too large.
    TooLarge(AwsError),
}

/// The outcome of one receive of a delivery message.
#[derive(Debug, Clone)]
pub struct LogEntry<'a> {
    /// The message that was received.
    pub message: &'a DeliveryMessage,
    /// The delivery's status after this receive.
    pub status: DeliveryStatus,
    /// The attempt; `None` if none was made.
    pub attempt: Option<Attempt>,
    /// Why the delivery failed or was cancelled, as a sentence; by default the attempt's error.
    pub reason: Option<String>,
    /// When the next attempt is due; `None` if no attempt follows.
    pub next_attempt_at: Option<Timestamp>,
    /// When the outcome was decided.
    pub at: Timestamp,
}

impl LogEntry<'_> {
    /// True if the first attempt of the first chain succeeded. The delivery has no row yet, or is skipped, so its row can
    /// be put without a condition.
    #[must_use]
    pub fn is_immediate_success(&self) -> bool {
        self.status == DeliveryStatus::Delivered
            && self.message.chain == first_chain()
            && self.attempt.as_ref().is_some_and(|attempt| attempt.number == 1)
    }

    fn completed_at(&self) -> Option<Timestamp> {
        (self.status != DeliveryStatus::Pending).then_some(self.at)
    }

    fn last_attempt(&self) -> u32 {
        self.attempt.as_ref().map_or(self.message.attempts_before, |attempt| attempt.number)
    }
}

impl DeliveryLog {
    /// The log in `table`. A row expires `keep` after its last change.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, table: String, keep: Duration) -> Self {
        Self { dynamodb, table, keep }
    }

    /// Writes deliveries that succeeded at the first attempt, 25 per call. DynamoDB refuses a call with two
    /// entries of the same delivery.
    pub async fn put_all(&self, entries: &[LogEntry<'_>]) -> Result<(), StoreError> {
        for batch in entries.chunks(MAX_BATCH_ITEMS) {
            let rows = batch.iter().map(|entry| DeliveryRow::new(entry, self.keep).to_item());
            self.dynamodb.put_all(&self.table, rows.collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    }

    /// Adds the outcome of one receive to the delivery's row. Creates the row if it does not exist.
    ///
    /// A row keeps at most 50 attempts: the first 49 and the latest. If a row is too large for another attempt,
    /// only its status is updated.
    ///
    /// Changes nothing if the entry's chain is delivered, or already has this failed attempt or a later one. If the row
    /// has a later chain, the attempt is added and nothing else changes.
    pub async fn append(&self, entry: &LogEntry<'_>) -> Result<(), StoreError> {
        let update =
            |place| async move { self.update(entry, Update::new(entry, self.keep, place)?).await };
        if entry.attempt.is_some() {
            let mut updated = update(Place::AtTheEnd).await?;
            if let Updated::ListFull = updated {
                updated = update(Place::OverTheLast).await?;
            }
            if let Updated::OlderChain = updated {
                updated = self.update(entry, Update::of_an_older_chain(entry, self.keep)?).await?;
            }
            let Updated::TooLarge(error) = updated else { return Ok(()) };
            warn!(
                delivery.id = %entry.message.delivery_id,
                webhook.id = %entry.message.webhook_config_id,
                tenant.id = %entry.message.tenant_id,
                event.id = %entry.message.event_id,
                error = %chain(&error),
                "the row has no room for another attempt; only its status is written"
            );
        }
        match update(Place::None).await? {
            Updated::Done | Updated::ListFull | Updated::OlderChain => Ok(()),
            Updated::TooLarge(error) => Err(error.into()),
        }
    }

    /// One `UpdateItem`.
    async fn update(&self, entry: &LogEntry<'_>, update: Update) -> Result<Updated, StoreError> {
        let response = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .update_expression(update.expression())
            .condition_expression(update.condition())
            .set_key(Some(update.key))
            // DynamoDB refuses an empty map.
            .set_expression_attribute_names((!update.names.is_empty()).then_some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = response else { return Ok(Updated::Done) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(failed.item().map_or(Updated::Done, |row| refused_by(row, entry)))
            }
            // An update is invalid only if it makes the row too large.
            Some(service) if service.meta().code() == Some("ValidationException") => {
                Ok(Updated::TooLarge(AwsError::of("UpdateItem")(error)))
            }
            _ => Err(AwsError::of("UpdateItem")(error).into()),
        }
    }
}

/// Why `row` refused an update with `entry`.
fn refused_by(row: &SdkItem, entry: &LogEntry<'_>) -> Updated {
    let number = |name| row.get(name)?.as_n().ok()?.parse::<u32>().ok();
    let attempts = row.get("attempts").and_then(|attempts| attempts.as_l().ok());
    if number("chain").is_some_and(|chain| chain > entry.message.chain) {
        Updated::OlderChain
    } else if attempts.is_some_and(|attempts| attempts.len() >= MAX_ATTEMPTS) {
        Updated::ListFull
    } else {
        Updated::Done
    }
}

fn key(webhook: WebhookKey, delivery: DeliveryId) -> SdkItem {
    HashMap::from([
        ("webhook".to_owned(), AttributeValue::S(webhook.to_string())),
        ("delivery_id".to_owned(), AttributeValue::S(delivery.to_string())),
    ])
}
