//! DynamoDB's batch operations.
//!
//! The rule: a retry sends only the keys or items that DynamoDB left unprocessed.

use std::time::Duration;

use serde_dynamo::Item;
use tokio::time::timeout;

use super::{DynamoDb, StoreError};
use crate::aws::AwsError;
use crate::aws::retry::{backoff, retry};

/// Why one call did not process the whole batch.
#[derive(Debug)]
pub(super) enum BatchError {
    Unprocessed,
    /// The call failed. `is_retryable` if it may succeed a moment later.
    Failed {
        error: AwsError,
        is_retryable: bool,
    },
}

impl DynamoDb {
    /// The current items at up to 100 keys. Missing items are left out. Makes at most three tries.
    pub(super) async fn get_all(
        &self,
        table: &str,
        mut keys: Vec<Item>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::new();
        process_all("BatchGetItem", self.batch_client.call_timeout, async || {
            let (items, left) = self.batch_client.batch_get(table, &keys).await?;
            found.extend(items);
            keys = left;
            if keys.is_empty() { Ok(()) } else { Err(BatchError::Unprocessed) }
        })
        .await?;
        Ok(found)
    }

    /// Puts up to 25 items with different keys. Makes at most three tries.
    pub(super) async fn put_all(
        &self,
        table: &str,
        mut items: Vec<Item>,
    ) -> Result<(), StoreError> {
        process_all("BatchWriteItem", self.batch_client.call_timeout, async || {
            items = self.batch_client.batch_write(table, &items).await?;
            if items.is_empty() { Ok(()) } else { Err(BatchError::Unprocessed) }
        })
        .await
    }
}

/// Repeats `call`, which sends what the previous call left unprocessed, for at most `limit`.
async fn process_all(
    operation: &'static str,
    limit: Duration,
    call: impl AsyncFnMut() -> Result<(), BatchError>,
) -> Result<(), StoreError> {
    let is_retryable = |error: &BatchError| match error {
        BatchError::Unprocessed => true,
        BatchError::Failed { is_retryable, .. } => *is_retryable,
    };
    let result = timeout(limit, retry(backoff(), is_retryable, call)).await;
    result.map_err(AwsError::timeout(operation))?.map_err(|error| match error {
        BatchError::Unprocessed => StoreError::Unprocessed { operation },
        BatchError::Failed { error, .. } => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
    use serde_dynamo::AttributeValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::test_server::{Answer, TestServer, refusal, success};
    use crate::aws::{TRY_TIMEOUT, chain};

    fn item(id: &str) -> Item {
        HashMap::from([("id".to_owned(), AttributeValue::S(id.to_owned()))]).into()
    }

    /// The result of reading items 1 and 2 from a server with these responses, and the requests.
    async fn read(
        answers: impl IntoIterator<Item = Answer>,
    ) -> (Result<Vec<Item>, StoreError>, Vec<Value>) {
        let server = TestServer::start(answers).await;
        let keys = vec![item("1"), item("2")];
        let result = DynamoDb::new(&server.sdk()).get_all("T", keys).await;
        (result, server.received().into_iter().map(|it| it.body).collect())
    }

    fn partial() -> Answer {
        success(json!({
            "Responses": {"T": [{"id": {"S": "1"}}]},
            "UnprocessedKeys": {"T": {"Keys": [{"id": {"S": "2"}}], "ConsistentRead": true}},
        }))
    }

    #[tokio::test]
    async fn an_attribute_name_with_json_escapes_is_read() {
        let items = json!([{"id": {"S": "1"}, "a\"\\\n\u{1}b": {"S": ""}}, {"id": {"S": "2"}}]);
        let body = json!({"Responses": {"T": items}});
        let found = read([success(body)]).await.0.unwrap();
        assert_eq!((found.len(), &found[0]["id"]), (2, &AttributeValue::S("1".to_owned())));
        assert!(found[0].contains_key("a\"\\\n\u{1}b"));
    }

    #[tokio::test]
    async fn failures_and_unprocessed_keys_share_three_tries() {
        let broken = || refusal(500, "InternalServerError");
        let rest = success(json!({"Responses": {"T": [{"id": {"S": "2"}}]}}));
        let (found, requests) = read([broken(), partial(), rest]).await;
        assert_eq!(found.unwrap(), [item("1"), item("2")]);
        let keys = |at: usize| requests[at]["RequestItems"]["T"]["Keys"].as_array().map(Vec::len);
        assert_eq!((requests.len(), keys(1), keys(2)), (3, Some(2), Some(1)));

        let (result, requests) = read([broken(), partial()]).await;
        assert!(matches!(result, Err(StoreError::Unprocessed { .. })), "{result:?}");
        assert_eq!(requests.len(), 3);
    }

    #[tokio::test]
    async fn the_errors_that_the_sdk_retries_are_retried_and_no_others() {
        for (status, code, tries) in [
            (400, "ProvisionedThroughputExceededException", 3),
            (400, "ThrottlingException", 3),
            (400, "InvalidSignatureException", 3),
            (500, "InternalServerError", 3),
            (503, "ServiceUnavailable", 3),
            (400, "ResourceNotFoundException", 1),
            (400, "AccessDeniedException", 1),
        ] {
            let (result, requests) = read([refusal(status, code)]).await;
            assert!(matches!(result, Err(StoreError::Aws(_))), "{result:?}");
            assert_eq!(requests.len(), tries, "{code}");
        }
    }

    #[tokio::test]
    async fn a_slow_read_succeeds_within_the_limit_of_the_configuration() {
        let latency = TRY_TIMEOUT * 2;
        let server = TestServer::start_slow(latency, [success(json!({}))]).await;
        let limits = TimeoutConfig::builder().operation_attempt_timeout(latency * 10).build();
        let sdk = server.sdk().into_builder().timeout_config(limits).build();
        DynamoDb::new(&sdk).get_all("T", vec![item("1")]).await.unwrap();
        assert_eq!(server.received().len(), 1);
    }

    #[tokio::test]
    async fn an_error_names_its_request() {
        let error = read([refusal(400, "ResourceNotFoundException")]).await.0.unwrap_err();
        let text = chain(&error);
        assert!(text.starts_with("BatchGetItem failed (request REQUEST)"), "{text}");
        assert!(text.contains("ResourceNotFoundException"), "{text}");
    }

    #[tokio::test]
    async fn a_wrong_clock_is_corrected_from_the_response() {
        let (status, _, body) = refusal(400, "InvalidSignatureException");
        let date = ("date", "Wed, 03 Dec 2031 10:30:00 GMT".to_owned());
        let wrong = (status, vec![date], body);
        let server = TestServer::start([wrong, success(json!({}))]).await;
        DynamoDb::new(&server.sdk()).get_all("T", vec![item("1")]).await.unwrap();
        let requests = server.received();
        let signed = |at: usize| requests[at].headers["x-amz-date"].to_str().unwrap();
        assert!(!signed(0).starts_with("20311203T10"), "{}", signed(0));
        assert!(signed(1).starts_with("20311203T103"), "{}", signed(1));
    }

    #[tokio::test]
    async fn unprocessed_items_are_written_again() {
        let left = json!({"T": [{"PutRequest": {"Item": {"id": {"S": "2"}}}}]});
        let partial = success(json!({"UnprocessedItems": left}));
        let server = TestServer::start([partial, success(json!({"UnprocessedItems": {}}))]).await;
        let items = vec![item("1"), item("2")];
        DynamoDb::new(&server.sdk()).put_all("T", items).await.unwrap();
        let requests = server.received();
        assert_eq!((requests.len(), &requests[1].body["RequestItems"]), (2, &left));
    }
}
