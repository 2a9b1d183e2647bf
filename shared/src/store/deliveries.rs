//! `Deliveries`, the log: partition key `webhook_config_id`, sort key `delivery_id`.
//!
//! The rule: the queue is the authority and the log only describes it. A log write that fails is
//! reported to the caller, who counts it and never posts again because of it.

mod row;
mod update;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tracing::warn;

use super::{DynamoDb, StoreError};
use crate::aws::{AwsError, chain};
use crate::delivery::{Attempt, DeliveryMessage, DeliveryStatus};
use crate::timestamp::Timestamp;

pub use row::{DeliveryRow, read};
use update::{Place, Update};

type Item = HashMap<String, AttributeValue>;

/// Items that one `BatchWriteItem` may have.
const MAX_BATCH_ITEMS: usize = 25;

/// Attempts that a row keeps. With texts of 500 characters and a body of 64 KiB it stays below DynamoDB's 400 KB.
pub const MAX_ATTEMPTS: usize = 50;

/// The delivery log.
#[derive(Debug, Clone)]
pub struct DeliveryLog {
    dynamodb: DynamoDb,
    table: String,
    keep: Duration,
}

/// What became of an update.
enum Updated {
    /// The row says what it should: by this update, or already.
    Done,
    /// The row has as many attempts as it keeps, or says as much already.
    ListFull,
    /// DynamoDB does not take the row as it would be.
    TooLarge(AwsError),
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
    pub fn new(dynamodb: DynamoDb, table: String, keep: Duration) -> Self {
        Self { dynamodb, table, keep }
    }

    /// Puts deliveries that succeeded at once, 25 in a call. Two entries must not be of the same
    /// delivery, or the call is refused as a whole.
    pub async fn put_all(&self, entries: &[LogEntry<'_>]) -> Result<(), StoreError> {
        for batch in entries.chunks(MAX_BATCH_ITEMS) {
            let rows = batch.iter().map(|entry| DeliveryRow::new(entry, self.keep).to_item());
            self.dynamodb.put_all(&self.table, rows.collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    }

    /// Adds what happened at one receive to the delivery's row, making the row if there is none.
    ///
    /// Of more than [`MAX_ATTEMPTS`] attempts the row keeps the first ones and the last. A row that can take no
    /// attempt at all still takes the status.
    ///
    /// Does nothing, and succeeds, where the row says delivered, and where it already has this failed
    /// attempt or a later one.
    pub async fn append(&self, entry: &LogEntry<'_>) -> Result<(), StoreError> {
        if entry.attempt.is_some() {
            let mut updated = self.update(entry, Place::AtTheEnd).await?;
            if let Updated::ListFull = updated {
                updated = self.update(entry, Place::OverTheLast).await?;
            }
            let Updated::TooLarge(error) = updated else { return Ok(()) };
            warn!(
                delivery.id = %entry.message.delivery_id,
                error = %chain(&error),
                "the row takes no further attempt, so only its status is written"
            );
        }
        match self.update(entry, Place::None).await? {
            Updated::Done | Updated::ListFull => Ok(()),
            Updated::TooLarge(error) => Err(error.into()),
        }
    }

    /// One `UpdateItem` that puts the attempt in its place and everything else where it belongs.
    async fn update(&self, entry: &LogEntry<'_>, place: Place) -> Result<Updated, StoreError> {
        let update = Update::new(entry, self.keep, place)?;
        let answer = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .update_expression(update.expression())
            .condition_expression(update.conditions.join(" AND "))
            .set_key(Some(update.key))
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(Updated::Done) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let attempts = failed.item().and_then(|row| row.get("attempts")?.as_l().ok());
                let is_full = attempts.is_some_and(|attempts| attempts.len() >= MAX_ATTEMPTS);
                Ok(if is_full { Updated::ListFull } else { Updated::Done })
            }
            // The only thing about an update that can be invalid is how large it makes the row.
            Some(service) if service.meta().code() == Some("ValidationException") => {
                Ok(Updated::TooLarge(AwsError::of("UpdateItem")(error)))
            }
            _ => Err(AwsError::of("UpdateItem")(error).into()),
        }
    }
}
