//! DynamoDB as the stores call it: one SDK client with our retries, and another client for batches.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_types::SdkConfig;

use super::SdkItem;
use super::batch_client::BatchClient;
use super::transaction::Conflicts;
use super::update::text;
use crate::aws::AwsError;
use crate::id::WebhookKey;

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

    /// At most `limit` rows of `webhook`, the partition key of `table`, after the row with the key `after`. The highest
    /// sort key, which is the latest, comes first.
    pub(super) async fn latest_rows(
        &self,
        table: &str,
        webhook: WebhookKey,
        after: Option<SdkItem>,
        limit: usize,
    ) -> Result<QueryOutput, AwsError> {
        self.client
            .query()
            .table_name(table)
            .key_condition_expression("webhook = :webhook")
            .expression_attribute_values(":webhook", text(webhook))
            .set_exclusive_start_key(after)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true)
            .send()
            .await
            .map_err(AwsError::of("Query"))
    }
}
