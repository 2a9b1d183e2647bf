//! The tables. Each store is one table; every key of tenant data carries the tenant or a webhook of theirs.

pub mod api_keys;
mod batch;
mod batch_client;
pub mod deliveries;
mod dynamodb;
pub mod rate_limit;
mod transaction;
pub mod webhooks;

use std::error::Error;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use crate::aws::AwsError;

pub use api_keys::ApiKeyStore;
pub use deliveries::DeliveryLog;
pub use dynamodb::DynamoDb;
pub use rate_limit::RateLimiter;
pub use webhooks::WebhookStore;

/// Why a table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not answer, or refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A row does not hold what its table's rows hold.
    #[error("the row {key} cannot be read")]
    CorruptRow {
        /// By which id the row is known: the webhook's, the delivery's, the API key's.
        key: String,
        /// Which attribute is wrong, and how.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A value cannot be written as a row.
    #[error("the row cannot be written")]
    Encode(#[source] serde_dynamo::Error),
    /// DynamoDB left keys or items unprocessed through every retry.
    #[error("{operation} left some unprocessed")]
    Unprocessed {
        /// The AWS operation.
        operation: &'static str,
    },
}

/// Whether an update was not made because its condition did not hold.
fn condition_failed<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
