//! DynamoDB transactions, and retries after conflicts between them.
//!
//! The rule: a write that conflicts with a transaction, or is throttled, has no effect, so the SDK retries it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_smithy_runtime_api::client::interceptors::context;

use crate::aws::{AwsError, FIRST_BACKOFF};

/// Tries of a transaction. More than for a single write, because each conflicting transaction can cost a try.
const TRANSACTION_TRIES: u32 = 6;
/// Cancellation reasons after which a transaction may succeed a moment later.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const TRANSIENT_REASONS: [&str; 3] =
    ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

/// A transaction failed, or its result is unknown.
#[derive(Debug)]
pub(super) struct TransactionError {
    /// Index of the first write whose condition did not hold, if that is the cause.
    pub(super) failed_condition: Option<usize>,
    pub(super) source: AwsError,
}

/// Makes all `writes` or none, in at most six tries and 3 s.
///
/// The SDK sends the same token with every try, so that the transaction is carried out only once.
pub(super) async fn transact(
    client: &Client,
    writes: Vec<TransactWriteItem>,
) -> Result<(), TransactionError> {
    let retries = RetryConfig::standard()
        .with_max_attempts(TRANSACTION_TRIES)
        .with_initial_backoff(FIRST_BACKOFF);
    let request = client
        .transact_write_items()
        .set_transact_items(Some(writes))
        .customize()
        .config_override(Config::builder().retry_config(retries));
    let Err(error) = request.send().await else { return Ok(()) };
    let reasons = error.as_service_error().map(reasons).unwrap_or_default();
    let failed_condition = reasons.iter().position(|code| *code == "ConditionalCheckFailed");
    let source = AwsError::of("TransactWriteItems")(error);
    Err(TransactionError { failed_condition, source })
}

/// Makes the SDK retry conflicts that it treats as permanent: a write that conflicts with a transaction, and a
/// transaction that conflicts with another or is throttled.
#[derive(Debug)]
pub(super) struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        match error.and_then(|error| error.as_operation_error()) {
            Some(error) if is_transient(error) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

fn is_transient(error: &context::Error) -> bool {
    if let Some(error) = error.downcast_ref::<TransactWriteItemsError>() {
        let mut reasons = reasons(error);
        reasons.retain(|reason| *reason != "None");
        return !reasons.is_empty() && reasons.iter().all(|it| TRANSIENT_REASONS.contains(it));
    }
    let update =
        error.downcast_ref().is_some_and(UpdateItemError::is_transaction_conflict_exception);
    update || error.downcast_ref().is_some_and(PutItemError::is_transaction_conflict_exception)
}

/// DynamoDB's reason for each write of a cancelled transaction; `None` as text if the write was not the cause.
fn reasons(error: &TransactWriteItemsError) -> Vec<&str> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return Vec::new();
    };
    cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{AttributeValue, Update};
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::test_server::{Answer, TestServer, refusal, success};
    use crate::store::DynamoDb;

    fn cancelled(reasons: &[&str]) -> Answer {
        let (status, headers, mut body) = refusal(400, "TransactionCanceledException");
        body["CancellationReasons"] = reasons.iter().map(|code| json!({"Code": code})).collect();
        (status, headers, body)
    }

    /// The result of a transaction on a server with these responses, and the requests.
    async fn transaction(answers: Vec<Answer>) -> (Result<(), TransactionError>, Vec<Value>) {
        let server = TestServer::start(answers).await;
        let key = AttributeValue::S("key".to_owned());
        let update =
            Update::builder().table_name("T").key("id", key).update_expression("SET a = b");
        let write = TransactWriteItem::builder().update(update.build().unwrap()).build();
        let result = transact(&DynamoDb::new(&server.sdk()).client, vec![write]).await;
        (result, server.received().into_iter().map(|it| it.body).collect())
    }

    #[tokio::test]
    async fn a_conflicting_or_throttled_transaction_is_retried_with_the_same_token() {
        let (result, requests) = transaction(vec![
            cancelled(&["None", "TransactionConflict"]),
            cancelled(&["ThrottlingError", "None"]),
            cancelled(&["ProvisionedThroughputExceeded", "TransactionConflict"]),
            success(json!({})),
        ])
        .await;
        assert!(result.is_ok());
        assert_eq!(requests.len(), 4);
        let token = &requests[0]["ClientRequestToken"];
        assert!(token.is_string() && requests.iter().all(|it| it["ClientRequestToken"] == *token));
    }

    #[tokio::test]
    async fn a_failed_condition_is_not_retried() {
        let reasons = ["TransactionConflict", "ConditionalCheckFailed"];
        let (result, requests) = transaction(vec![cancelled(&reasons)]).await;
        assert_eq!((result.unwrap_err().failed_condition, requests.len()), (Some(1), 1));
    }

    #[tokio::test]
    async fn a_write_that_conflicts_with_a_transaction_is_retried() {
        let conflict = refusal(400, "TransactionConflictException");
        let key = AttributeValue::S("key".to_owned());

        let server = TestServer::start([conflict.clone(), success(json!({}))]).await;
        let client = DynamoDb::new(&server.sdk()).client;
        client.update_item().table_name("T").key("id", key.clone()).send().await.unwrap();
        assert_eq!(server.received().len(), 2);

        let server = TestServer::start([conflict, success(json!({}))]).await;
        let client = DynamoDb::new(&server.sdk()).client;
        client.put_item().table_name("T").item("id", key).send().await.unwrap();
        assert_eq!(server.received().len(), 2);
    }
}
