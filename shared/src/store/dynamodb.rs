//! DynamoDB as the stores call it: one SDK client with our retries, and another client for batches.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_types::SdkConfig;

use super::SdkItem;
use super::batch_client::BatchClient;
use super::transaction::Conflicts;
use crate::aws::AwsError;

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

    /// The current state of one item; `None` if it does not exist.
    pub(super) async fn get(&self, table: &str, key: SdkItem) -> Result<Option<SdkItem>, AwsError> {
        let request = self.client.get_item().table_name(table).set_key(Some(key));
        let response = request.consistent_read(true).send().await;
        Ok(response.map_err(AwsError::of("GetItem"))?.item)
    }
}
