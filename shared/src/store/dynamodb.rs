//! DynamoDB as the stores call it: one SDK client with our retries, and another client for batches.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_types::SdkConfig;

use super::batch_client::BatchClient;
use super::transaction::Conflicts;

/// The DynamoDB clients of a function. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    /// Retries on its own.
    pub(super) client: Client,
    /// Does not retry, because a retry of a batch must send only the unprocessed part.
    pub(super) batch_client: BatchClient,
}

impl DynamoDb {
    /// DynamoDB in the region and at the endpoint of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        let config = Builder::from(sdk).retry_classifier(Conflicts).build();
        Self { client: Client::from_conf(config), batch_client: BatchClient::new(sdk) }
    }
}
