//! DynamoDB as the stores call it: one client with the retries that our writes need.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_types::SdkConfig;

use super::transaction::Conflicts;

/// Calls DynamoDB. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    /// Retries by itself.
    pub(super) client: Client,
    /// Does not retry: of a batch, only what is left may be sent again.
    pub(super) batch_client: Client,
}

impl DynamoDb {
    /// DynamoDB in the region and at the endpoint of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        let config = Builder::from(sdk).retry_classifier(Conflicts);
        let once = config.clone().retry_config(RetryConfig::disabled());
        Self {
            client: Client::from_conf(config.build()),
            batch_client: Client::from_conf(once.build()),
        }
    }
}
