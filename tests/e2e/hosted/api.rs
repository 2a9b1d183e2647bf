//! The api function on a fake AWS: failed AWS calls, and endpoints that cannot be registered.

mod audit;
mod bodies;
mod changes;
mod health;
mod idempotency;
mod limits;
mod replays;
mod retry;
mod rotation;
mod unreadable;
mod webhook_test;

use harness::fixtures::{TENANT, api_key_row, webhook, webhook_with};
use harness::{FakeAws, Hosted, Reply, assert_contains, assert_lacks, item};
use serde_json::{Value, json};

use crate::support::openapi;

const KEY: &str = "dk_test_EXAMPLE-EXAMPLE-EXAMPLE-EXAMPLE-EXAMPLE-abc";
const KEY_ID: &str = "550e8400-e29b-41d4-a716-446655440009";

/// A fake AWS with [`KEY`], and the function with the strictest endpoint policy.
async fn api() -> (FakeAws, Hosted) {
    api_logging("INFO").await
}

async fn api_logging(level: &str) -> (FakeAws, Hosted) {
    let aws = FakeAws::with_webhooks([]).await;
    aws.put_api_key(key_record());
    let api = Hosted::start(
        "api",
        &aws.environment_with(&[
            ("ALLOW_HTTP_ENDPOINTS", "false"),
            ("ALLOWED_NETWORKS", ""),
            ("LOG_LEVEL", level),
        ]),
    )
    .await;
    (aws, api)
}

const CREATE: &str = include_str!("../../../events/api-create.json");
const GET: &str = include_str!("../../../events/api-get.json");
const UPDATE: &str = include_str!("../../../events/api-update.json");
const ROTATE: &str = include_str!("../../../events/api-rotate.json");
const DELETE_PREVIOUS_SECRET: &str =
    include_str!("../../../events/api-delete-previous-secret.json");
const TEST: &str = include_str!("../../../events/api-test.json");
const DELETE: &str = include_str!("../../../events/api-delete.json");

fn sample(text: &str) -> Value {
    serde_json::from_str(text).expect("a sample is JSON")
}

/// The row of [`KEY`].
fn key_record() -> Value {
    api_key_row(TENANT.parse().expect("it is a UUID"))
}

/// Sends the event. Returns the function's response with its body as JSON, or null without one. Fails if it is not as
/// the API's document describes it.
async fn send(api: &Hosted, event: Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (method, path) =
        (text(&event["requestContext"]["http"]["method"]), text(&event["rawPath"]));
    let mut response = api.invoke(event).await.expect("the function succeeds");
    let body = response["body"].as_str().expect("there is a body").to_owned();
    response["body"] = serde_json::from_str(&body).unwrap_or_default();
    let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let header = |name: &str| response["headers"][name.to_lowercase()].as_str();
    let status = status.expect("there is a status");
    openapi::check_response(&method, &path, status, header, &response["body"]);
    response
}

/// Creates a webhook for `url`. Returns the status and the body of the response.
async fn create(api: &Hosted, url: &str) -> (u64, Value) {
    let mut event = sample(CREATE);
    event["body"] = json!({"url": url}).to_string().into();
    let mut response = send(api, event).await;
    (response["statusCode"].as_u64().expect("there is a status"), response["body"].take())
}

/// The lines of the log with this message.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
    lines.filter(|line| line["fields"]["message"] == message).collect()
}

/// The samples' webhook.
const WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";

/// The row of the samples' webhook, with these fields replaced or added.
fn row(mut fields: Value) -> Value {
    fields["webhook_config_id"] = WEBHOOK.into();
    webhook_with("https://hooks.invalid/", fields)
}

/// Makes every `UpdateItem` return the samples' webhook, or fail its condition if `is_refused` returns true.
fn fake_updates(aws: &FakeAws, is_refused: impl Fn(&Value) -> bool + Send + 'static) {
    let row = item(&webhook("https://hooks.invalid/"));
    aws.on("UpdateItem", move |input, _| {
        let counter = input["Key"]["tenant_id"]["S"].as_str().is_some_and(|key| key.contains('#'));
        Some(match input {
            input if is_refused(input) => Reply::Refused("ConditionalCheckFailedException"),
            _ if counter => Reply::Body(json!({})),
            _ => Reply::Body(json!({"Attributes": row})),
        })
    });
}

#[tokio::test]
async fn a_failed_aws_call_is_a_503_without_details() {
    for (operation, reply) in [
        ("GetItem", Reply::Broken),
        ("GetItem", Reply::Refused("AccessDeniedException")),
        ("UpdateItem", Reply::Broken),
        ("UpdateItem", Reply::Refused("AccessDeniedException")),
        ("CreateSecret", Reply::Broken),
        ("TransactWriteItems", Reply::Refused("AccessDeniedException")),
    ] {
        let (aws, api) = api().await;
        aws.always(operation, reply);
        let expected = json!({
            "error": "service_unavailable",
            "message":
                "The service is temporarily unavailable; wait the number of seconds in the Retry-After header.",
            "details": {},
        });
        assert_eq!(create(&api, "https://hooks.invalid/").await, (503, expected), "{operation}");
        assert!(api.finish().await.contains(operation), "the log says which call failed");
    }
}

#[tokio::test]
async fn an_unreadable_row_is_a_500_without_details() {
    let (aws, api) = api().await;
    aws.always("GetItem", Reply::Body(json!({"Item": {"key_hash": {"S": "no more than this"}}})));
    let expected = json!({"error": "internal_error", "message": "Something went wrong on our side.", "details": {}});
    assert_eq!(create(&api, "https://hooks.invalid/").await, (500, expected));
}

#[tokio::test]
async fn a_secret_is_deleted_when_its_webhooks_row_cannot_be_written() {
    let (aws, api) = api().await;
    aws.always("TransactWriteItems", Reply::Refused("ValidationException"));
    create(&api, "https://hooks.invalid/").await;
    let names = |operation, field: &str| {
        aws.calls_of(operation)
            .into_iter()
            .map(|call| call.input[field].clone())
            .collect::<Vec<_>>()
    };
    let created = names("CreateSecret", "Name");
    assert_eq!(created.len(), 1);
    assert_eq!(names("DeleteSecret", "SecretId"), created);
}

#[tokio::test]
async fn a_forbidden_endpoint_is_refused_before_anything_is_written() {
    let (aws, api) = api().await;
    for url in [
        // A name that resolves to loopback.
        "https://localhost:8443/",
        "https://127.0.0.1/",
        "https://[::1]:8443/",
        "https://169.254.169.254/latest/meta-data",
    ] {
        let (status, body) = create(&api, url).await;
        let expected = json!({"url": "the endpoint's address is not allowed"});
        assert_eq!((status, &body["details"]), (422, &expected), "{url}");
    }
    assert!(aws.calls_of("CreateSecret").is_empty());
    assert_eq!(
        create(&api, "https://hooks.invalid/").await.0,
        201,
        "a name that does not resolve is accepted"
    );
    api.assert_nobody_else_called();
}

#[tokio::test]
async fn the_debug_log_contains_no_key_and_no_secret() {
    let (aws, api) = api_logging("DEBUG").await;
    let (status, body) = create(&api, "https://hooks.invalid/").await;
    assert_eq!(status, 201);
    let secret = body["signing_secret"].as_str().expect("create returns the secret").to_owned();
    let stored = aws.calls_of("CreateSecret")[0].input["SecretString"].to_string();
    assert!(stored.contains(&secret));
    let log = api.finish().await;
    assert_contains(&log, "webhook created");
    assert_lacks(&log, &secret);
    assert_lacks(&log, KEY);
}
