//! Tests of webhooks: the real sender behind a fake Lambda, and what Lambda itself can do instead.

use std::time::Duration;

use harness::fixtures::{TENANT, webhook_with};
use harness::{FakeAws, Hosted, Lambda, Receiver, Reply, assert_lacks, status};
use serde_json::{Value, json};

use super::{KEY_ID, TEST, fake_updates, key_record, lines, sample, send};

/// The webhook in the samples' paths.
const WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";

/// A fake AWS with the samples' key and webhook, both functions, and the webhook's receiver.
struct Account {
    aws: FakeAws,
    api: Hosted,
    sender: Hosted,
    receiver: Receiver,
}

impl Account {
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// An account whose webhook's row has these fields replaced.
    async fn with(mut fields: Value) -> Self {
        let receiver = Receiver::start(status(204)).await;
        fields["webhook_config_id"] = WEBHOOK.into();
        let aws = FakeAws::with_webhooks(&[webhook_with(&receiver.url(), fields)]).await;
        aws.put_api_key(key_record());
        let sender = Hosted::start("sender", &aws.environment()).await;
        aws.on_invoke(Lambda::Runs(sender.invoker()));
        let api = sender.start_beside("api", &aws.environment()).await;
        Self { aws, api, sender, receiver }
    }

    /// Sends the sample's request to test the webhook.
    async fn test(&self) -> Value {
        send(&self.api, sample(TEST)).await
    }

    /// Status and code of the error that a test gets.
    async fn error(&self) -> (u64, String) {
        let response = self.test().await;
        let code = response["body"]["error"].as_str().expect("it is an error").to_owned();
        (response["statusCode"].as_u64().expect("there is a status"), code)
    }
}

fn unavailable() -> (u64, String) {
    (503, "service_unavailable".to_owned())
}

#[tokio::test]
async fn a_test_returns_what_the_sender_saw_and_the_api_reads_no_secret() {
    let account = Account::new().await;
    let response = account.test().await;
    assert_eq!(response["statusCode"], 200, "{response}");
    let body = response["body"].as_object().expect("it is an object");
    let mut names: Vec<&str> = body.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "error",
        "request",
        "response_body",
        "response_time_ms",
        "status_code",
        "success",
        "tested_at",
        "url",
        "webhook_config_id",
    ];
    assert_eq!(names, expected);
    assert_eq!((&body["success"], &body["status_code"]), (&json!(true), &json!(204)));
    let arrivals = account.receiver.arrivals();
    assert_eq!((arrivals.len(), body["request"]["body"].as_str()), (1, Some(arrivals[0].text())));

    let invocations = account.aws.calls_of("Invoke");
    let expected = json!({"test": {"tenant_id": TENANT, "webhook_config_id": WEBHOOK, "event": "document.processing.completed"}});
    assert_eq!((invocations.len(), &invocations[0].input), (1, &expected));
    // The api's key and webhook, and the sender's webhook and secret.
    let calls: Vec<_> = account.aws.calls().into_iter().map(|call| call.operation).collect();
    let expected = [
        "GetItem",
        "UpdateItem",
        "GetItem",
        "UpdateItem",
        "Invoke",
        "BatchGetItem",
        "GetSecretValue",
    ];
    assert_eq!(calls, expected);
    let log = account.api.finish().await;
    assert_eq!(lines(&log, "webhook tested").len(), 1, "{log}");
    assert_lacks(&log, "whsec_");
}

/// A row that needs a test.
fn untested() -> Value {
    json!({"needs_test_since": "2025-12-03T10:30:00Z"})
}

#[tokio::test]
async fn only_a_success_ends_the_need_of_a_test_in_one_transaction_with_its_history() {
    let account = Account::with(untested()).await;
    account.receiver.now(status(404));
    assert_eq!(account.test().await["body"]["success"], false);
    assert_eq!(account.aws.calls_of("TransactWriteItems").len(), 0);

    account.receiver.now(status(200));
    assert_eq!(account.test().await["body"]["success"], true);
    let [transaction] = &account.aws.calls_of("TransactWriteItems")[..] else {
        panic!("not one transaction")
    };
    let writes = transaction.input["TransactItems"].as_array().expect("it has writes");
    let [update, history] = writes.as_slice() else { panic!("{writes:?}") };
    let expression = update["Update"]["UpdateExpression"].as_str().expect("it is text");
    assert!(expression.contains(" REMOVE #needs_test_since"), "{expression}");
    let change = &history["Put"]["Item"];
    assert_eq!((&change["action"]["S"], &change["actor"]["S"]), (&json!("verify"), &json!("key")));
    assert_eq!(change["key_id"]["S"], KEY_ID);
    let log = account.api.finish().await;
    assert_eq!(lines(&log, "webhook verified; it gets deliveries").len(), 1, "{log}");
}

#[tokio::test]
async fn a_success_that_cannot_be_noted_is_an_error_and_the_tenant_can_test_again() {
    let account = Account::with(untested()).await;
    account.aws.always("TransactWriteItems", Reply::Broken);
    assert_eq!(account.error().await, unavailable());
    assert_eq!(account.receiver.arrivals().len(), 1);
}

#[tokio::test]
async fn a_webhook_that_is_deleted_before_the_sender_reads_it_is_404() {
    let account = Account::new().await;
    account
        .aws
        .always("BatchGetItem", Reply::Body(json!({"Responses": {}, "UnprocessedKeys": {}})));
    assert_eq!(account.error().await, (404, "webhook_not_found".to_owned()));
    assert_eq!(account.receiver.connections(), 0);
}

#[tokio::test]
async fn an_unknown_webhook_is_404_and_neither_counted_nor_invoked_for() {
    let account = Account::new().await;
    let mut event = sample(TEST);
    event["rawPath"] = format!("/v1/webhooks/{TENANT}/test").into();
    assert_eq!(send(&account.api, event).await["statusCode"], 404);
    let counters: Vec<_> = account.aws.calls_of("UpdateItem");
    assert_eq!((counters.len(), account.aws.calls_of("Invoke").len()), (1, 0));
}

#[tokio::test]
async fn an_unreadable_secret_is_503_if_aws_failed_and_500_if_it_is_malformed() {
    let account = Account::new().await;
    account.aws.always("GetSecretValue", Reply::Broken);
    assert_eq!(account.error().await, unavailable());

    let account = Account::with(json!({"secret_version": "malformed"})).await;
    account.aws.keep_secret("malformed", "whsec_malformed!");
    assert_eq!(account.error().await, (500, "internal_error".to_owned()));
    assert_eq!(account.receiver.connections(), 0);
    let log = account.api.finish().await;
    assert!(log.contains("the sender failed"), "{log}");
    assert_lacks(&log, "whsec_");
}

#[tokio::test]
async fn a_sender_that_dies_is_a_500() {
    let Account { aws, api, sender, receiver } = Account::new().await;
    sender.finish().await;
    let response = send(&api, sample(TEST)).await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(500), &json!("internal_error"))
    );
    assert_eq!((aws.calls_of("Invoke").len(), receiver.connections()), (1, 0));
}

#[tokio::test]
async fn a_throttled_invocation_is_a_503_with_retry_after() {
    let account = Account::new().await;
    account.aws.on_invoke(Lambda::Throttles(7));
    let response = account.test().await;
    assert_eq!(
        (&response["statusCode"], &response["headers"]["retry-after"]),
        (&json!(503), &json!("7")),
        "{response}"
    );
    assert_eq!(response["body"]["error"], "service_unavailable");
    assert_eq!(account.aws.calls_of("Invoke").len(), 1, "the call is not repeated");
}

#[tokio::test]
async fn an_invocation_that_lambda_refuses_or_loses_is_a_503_and_not_repeated() {
    for lambda in [Lambda::Unknown, Lambda::Breaks, Lambda::Hangs] {
        let account = Account::new().await;
        account.aws.on_invoke(lambda.clone());
        let begun = tokio::time::Instant::now();
        assert_eq!(account.error().await, unavailable(), "{lambda:?}");
        if matches!(lambda, Lambda::Hangs) {
            assert!(begun.elapsed() >= Duration::from_secs(15), "{:?}", begun.elapsed());
        }
        assert_eq!(account.aws.calls_of("Invoke").len(), 1, "{lambda:?}");
    }
}

#[tokio::test]
async fn a_test_over_the_webhooks_limit_is_429_and_invokes_nothing() {
    let account = Account::new().await;
    let counter = format!("tests#{TENANT}#{WEBHOOK}");
    fake_updates(&account.aws, move |input| input["Key"]["tenant_id"]["S"] == counter.as_str());
    let response = account.test().await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(429), &json!("rate_limited"))
    );
    let seconds = response["headers"]["retry-after"].as_str().expect("there is a Retry-After");
    assert!((1..=60).contains(&seconds.parse().expect("whole seconds")), "{seconds}");
    let message = response["body"]["message"].as_str().expect("there is a message");
    assert!(message.contains("10 tests"), "{message}");
    assert_eq!(account.aws.calls_of("Invoke").len(), 0);
}
