//! Access to the DynamoDB tables. Every key of tenant data contains the tenant's id or that of one of its webhooks.

pub mod api_keys;
pub mod audit;
mod batch;
mod batch_client;
pub mod deliveries;
mod dynamodb;
pub mod rate_limit;
pub mod replays;
mod transaction;
mod update;
pub mod webhooks;

use std::collections::HashMap;
use std::error::Error;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;
use serde_dynamo::Item;

use crate::aws::AwsError;

pub use api_keys::ApiKeyStore;
pub use audit::AuditStore;
pub use deliveries::DeliveryLog;
pub use dynamodb::DynamoDb;
pub use rate_limit::RateLimiter;
pub use replays::ReplayStore;
pub use webhooks::{WebhookEditor, WebhookStore};

/// An item as the SDK has it. `serde_dynamo` has a type of its own, `Item`, which converts to and from rows.
type SdkItem = HashMap<String, AttributeValue>;

/// A table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused the call or did not answer it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A row does not have the format of its table.
    #[error("the row {key} cannot be read")]
    CorruptRow {
        /// The id of the row's webhook, delivery or API key; empty if the row has none.
        key: String,
        /// The attribute that is wrong, and how.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A value cannot be written as a row.
    #[error("the row cannot be written")]
    Encode(#[source] serde_dynamo::Error),
    /// DynamoDB left keys or items unprocessed after every retry.
    #[error("{operation} left some items unprocessed")]
    Unprocessed {
        /// The AWS operation.
        operation: &'static str,
    },
}

/// True if an update failed because its condition did not hold.
fn condition_failed<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}

/// Parses a row. The error contains the row's id, which is the attribute `id`.
fn parse<T: DeserializeOwned>(item: impl Into<Item>, id: &str) -> Result<T, StoreError> {
    let item = item.into();
    let key = match item.get(id) {
        Some(serde_dynamo::AttributeValue::S(id)) => id.clone(),
        _ => String::new(),
    };
    serde_dynamo::from_item(item)
        .map_err(|source| StoreError::CorruptRow { key, source: source.into() })
}
