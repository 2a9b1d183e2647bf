//! Writes the row of an event that happened while deliveries to its webhook were withheld.
//!
//! The rule: unlike other writes of the log, this one is an effect. Nothing else remembers the event, so the caller acts
//! on a failure.

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::operation::put_item::PutItemError;

use super::row::DeliveryRow;
use super::{DeliveryLog, LogEntry};
use crate::aws::AwsError;
use crate::delivery::{DeliveryMessage, DeliveryStatus};
use crate::store::StoreError;
use crate::timestamp::Timestamp;
use crate::withheld::Withheld;

/// Why a skipped delivery has no row.
#[derive(Debug, thiserror::Error)]
pub enum SkipError {
    /// DynamoDB refuses the row itself. Writing it again cannot help.
    #[error("the delivery log refused the row")]
    Refused(#[source] StoreError),
    /// DynamoDB did not accept the row this time.
    #[error("the delivery log did not take the row")]
    Unavailable(#[source] StoreError),
}

impl DeliveryLog {
    /// Puts the row of a delivery that is withheld. A retry or a replay can send it later. Changes nothing if the
    /// delivery has a row.
    pub async fn skip(
        &self,
        message: &DeliveryMessage,
        withheld: Withheld,
        now: Timestamp,
    ) -> Result<(), SkipError> {
        let entry = LogEntry {
            message,
            status: DeliveryStatus::Skipped,
            attempt: None,
            reason: Some(withheld.to_string()),
            next_attempt_at: None,
            at: now,
        };
        let row = DeliveryRow::new(&entry, self.keep).to_item().map_err(SkipError::Refused)?;
        let response = self
            .dynamodb
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row.into()))
            .condition_expression("attribute_not_exists(delivery_id)")
            .send()
            .await;
        let Err(error) = response else { return Ok(()) };
        let refused = error.as_service_error();
        if refused.is_some_and(PutItemError::is_conditional_check_failed_exception) {
            return Ok(());
        }
        let is_invalid = error.code() == Some("ValidationException");
        let error = AwsError::of("PutItem")(error).into();
        Err(if is_invalid { SkipError::Refused(error) } else { SkipError::Unavailable(error) })
    }
}
