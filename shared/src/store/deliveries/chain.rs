//! Starts the next chain of attempts of a delivery: a retry or a replay.
//!
//! The rule: one conditional update takes the chain's number, so that two callers never start the same chain.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use uuid::Uuid;

use super::row::{self, DeliveryRow, DeliverySummary, expiry};
use super::{DeliveryLog, key};
use crate::aws::AwsError;
use crate::delivery::DeliveryStatus;
use crate::id::ReplayId;
use crate::store::{StoreError, condition_failed};
use crate::timestamp::Timestamp;

impl DeliveryLog {
    /// Starts the next chain of the delivery, which becomes pending. The caller then queues the row's
    /// [`message`](DeliveryRow::message), or gives the chain up with [`Self::fail_chain`].
    ///
    /// Returns `None` if the row is gone or no longer what the caller saw: another caller started a chain, or an attempt
    /// was made.
    pub async fn start_chain(
        &self,
        seen: &DeliverySummary,
        replay: Option<ReplayId>,
        now: Timestamp,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        let number = |number: u32| AttributeValue::N(number.to_string());
        // The SDK may repeat an update that succeeded. Then the condition fails, and the row has our claim.
        let claim = AttributeValue::S(Uuid::new_v4().to_string());
        let mut set = String::from(
            "SET #chain = :next, #status = :pending, undelivered = :webhook, \
             next_attempt_at = :now, last_attempt = :none, claim = :claim, #ttl = :ttl",
        );
        let mut remove = String::from(" REMOVE completed_at");
        let mut request = self.dynamodb.client.update_item();
        match replay {
            Some(replay) => {
                set.push_str(", replay_id = :replay");
                request = request
                    .expression_attribute_values(":replay", AttributeValue::S(replay.to_string()));
            }
            None => remove.push_str(", replay_id"),
        }
        let response = request
            .table_name(&self.table)
            .set_key(Some(key(seen.webhook, seen.delivery_id)))
            .update_expression(set + &remove)
            .condition_expression(
                "#chain = :chain AND #status = :status AND last_attempt = :last_attempt",
            )
            .expression_attribute_names("#chain", "chain")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":next", number(seen.chain + 1))
            .expression_attribute_values(":pending", status(DeliveryStatus::Pending))
            .expression_attribute_values(":webhook", AttributeValue::S(seen.webhook.to_string()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":claim", claim.clone())
            .expression_attribute_values(
                ":ttl",
                AttributeValue::N(expiry(now, self.keep).to_string()),
            )
            .expression_attribute_values(":chain", number(seen.chain))
            .expression_attribute_values(":status", status(seen.status))
            .expression_attribute_values(":last_attempt", number(seen.last_attempt))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let started = match response {
            Ok(updated) => updated.attributes,
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    failed.item().filter(|row| row.get("claim") == Some(&claim)).cloned()
                }
                _ => return Err(AwsError::of("UpdateItem")(error).into()),
            },
        };
        started.map(row::read).transpose()
    }

    /// Ends a chain that was started but whose message could not be queued. Changes nothing if an attempt was made
    /// nevertheless, or a later chain was started.
    pub async fn fail_chain(
        &self,
        started: &DeliverySummary,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let response = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(started.webhook, started.delivery_id)))
            .update_expression(
                "SET #status = :failed, last_error = :error, completed_at = :now \
                 REMOVE next_attempt_at",
            )
            .condition_expression("#chain = :chain AND #status = :pending AND last_attempt = :none")
            .expression_attribute_names("#chain", "chain")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":failed", status(DeliveryStatus::Failed))
            .expression_attribute_values(":error", AttributeValue::S(error.to_owned()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .expression_attribute_values(":chain", AttributeValue::N(started.chain.to_string()))
            .expression_attribute_values(":pending", status(DeliveryStatus::Pending))
            .expression_attribute_values(":none", AttributeValue::N("0".to_owned()))
            .send()
            .await;
        match response {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => Ok(()),
            Err(error) => Err(AwsError::of("UpdateItem")(error).into()),
        }
    }
}

fn status(status: DeliveryStatus) -> AttributeValue {
    AttributeValue::S(status.as_str().to_owned())
}
