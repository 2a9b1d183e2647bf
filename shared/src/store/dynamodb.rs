//! DynamoDB as the stores call it: one client with the retries that our writes need, another for batches.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_types::SdkConfig;

use super::batch_client::BatchClient;
use super::transaction::Conflicts;

/// Calls DynamoDB. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    /// Retries by itself.
    pub(super) client: Client,
    /// Does not retry: of a batch, only what is left may be sent again.
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
