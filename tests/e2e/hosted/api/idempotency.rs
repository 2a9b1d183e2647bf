//! Creates with an `Idempotency-Key`: what they write, and what a repeat and a race cost.

use harness::fixtures::{TENANT, webhook};
use harness::{FakeAws, Hosted, Reply, item};
use serde_json::{Value, json};
use webhooks::timestamp::Timestamp;

use super::{CREATE, api, lines, sample, send};

const KEY: &str = "order-7,\"customer\"";
/// The SHA-256 of [`KEY`].
const KEY_HASH: &str = "be8fd42beb6f38442aa13ca32895e9b33af4304f09651327c892881e6bb80d1a";
const BODY: &str = r#"{"url": "https://hooks.invalid/"}"#;
/// The SHA-256 of [`BODY`].
const BODY_HASH: &str = "672fa887e6d065e489fd08f6c3829383aa3a43787d02529d794e3737dd123aa5";

/// A create with this key.
async fn create(api: &Hosted, key: &str, body: &str) -> Value {
    let mut event = sample(CREATE);
    event["headers"]["idempotency-key"] = key.into();
    event["body"] = body.into();
    send(api, event).await
}

fn code(response: &Value) -> (&Value, &Value) {
    (&response["statusCode"], &response["body"]["error"])
}

/// Unix seconds.
fn now() -> i64 {
    Timestamp::now().unix_seconds()
}

/// The row of [`KEY`] after a create from [`BODY`] that made `webhook`.
fn key_row(webhook: &Value, ttl: i64) -> Value {
    item(&json!({
        "tenant_id": format!("idempotency#{TENANT}"),
        "webhook_config_id": KEY_HASH,
        "body_hash": BODY_HASH,
        "created_webhook": webhook["webhook_config_id"],
        "ttl": ttl,
    }))
}

/// The operations since the start, without those of the key and the limit of changes.
fn operations(aws: &FakeAws) -> Vec<String> {
    aws.calls().into_iter().skip(2).map(|call| call.operation).collect()
}

fn assert_is_repeat_of(response: &Value, webhook: &Value) {
    assert_eq!(response["statusCode"], 200, "{response}");
    assert_eq!(response["headers"]["idempotent-replayed"], "true");
    assert_eq!(response["headers"]["location"], Value::Null);
    assert_eq!(response["body"]["webhook_config_id"], webhook["webhook_config_id"]);
    assert_eq!(response["body"].get("signing_secret"), None);
}

#[tokio::test]
async fn the_creates_transaction_notes_hashes_of_key_and_body_for_24_hours() {
    let (aws, api) = api().await;
    let before = now();
    let response = create(&api, KEY, BODY).await;
    assert_eq!(response["statusCode"], 201, "{response}");
    assert_eq!(response["headers"].get("idempotent-replayed"), None);
    let [transaction] = &aws.calls_of("TransactWriteItems")[..] else { panic!("not one") };
    let writes = transaction.input["TransactItems"].as_array().expect("a list of writes");
    let put = &writes.last().expect("there are writes")["Put"];
    let ttl: i64 = put["Item"]["ttl"]["N"].as_str().expect("a number").parse().expect("digits");
    assert_eq!(put["Item"], key_row(&response["body"], ttl));
    assert!((before + 86_400..=now() + 86_400).contains(&ttl), "{ttl}");
    let calls = format!("{:?}", aws.calls());
    assert!(!calls.contains("order-7"), "the key is in no request");
}

#[tokio::test]
async fn a_create_without_a_key_notes_nothing_and_reads_nothing_more() {
    let (aws, api) = api().await;
    super::create(&api, "https://hooks.invalid/").await;
    assert_eq!(operations(&aws), ["GetItem", "CreateSecret", "TransactWriteItems"]);
    let text = aws.calls_of("TransactWriteItems")[0].input.to_string();
    assert!(!text.contains("idempotency#"), "{text}");
}

#[tokio::test]
async fn a_repeat_reads_the_webhook_and_writes_nothing_even_at_the_limit_of_webhooks() {
    let (aws, api) = api().await;
    let hook = webhook("https://hooks.invalid/");
    aws.put_webhook(item(&hook));
    aws.put_webhook(key_row(&hook, now() + 60));
    let count = json!({"tenant_id": format!("count#{TENANT}"), "webhook_config_id": "count", "webhooks": 50});
    aws.put_webhook(item(&count));
    assert_is_repeat_of(&create(&api, KEY, BODY).await, &hook);
    assert_eq!(operations(&aws), ["GetItem", "GetItem"]);
    let reads = aws.calls_of("GetItem");
    assert!(reads.iter().skip(1).all(|call| call.input["ConsistentRead"] == true));
}

#[tokio::test]
async fn another_body_and_a_deleted_webhook_are_conflicts_and_write_nothing() {
    for (body, is_deleted, part) in [
        (r#"{"url":"https://hooks.invalid/"}"#, false, "another body"),
        (r#"{"url": "http://not-allowed.invalid/"}"#, false, "another body"),
        (BODY, true, "is deleted"),
    ] {
        let (aws, api) = api().await;
        let hook = webhook("https://hooks.invalid/");
        aws.put_webhook(key_row(&hook, now() + 60));
        if !is_deleted {
            aws.put_webhook(item(&hook));
        }
        let response = create(&api, KEY, body).await;
        assert_eq!(code(&response), (&json!(409), &json!("idempotency_conflict")), "{body}");
        let message = response["body"]["message"].as_str().expect("it is text");
        assert!(message.contains(part), "{message}");
        assert!(operations(&aws).iter().all(|operation| operation == "GetItem"));
    }
}

#[tokio::test]
async fn a_key_counts_as_unused_after_24_hours_even_if_its_row_is_still_there() {
    let (aws, api) = api().await;
    let hook = webhook("https://hooks.invalid/");
    aws.put_webhook(item(&hook));
    aws.put_webhook(key_row(&hook, now()));
    let response = create(&api, KEY, BODY).await;
    assert_eq!(response["statusCode"], 201, "{response}");
    let input = &aws.calls_of("TransactWriteItems")[0].input;
    let put = &input["TransactItems"].as_array().and_then(|it| it.last()).expect("a write")["Put"];
    let condition = "attribute_not_exists(webhook_config_id) OR #ttl <= :now";
    assert_eq!(put["ConditionExpression"], condition);
}

#[tokio::test]
async fn a_create_that_loses_a_race_deletes_its_secret_and_answers_as_a_repeat() {
    const KEY_USED: &[&str] = &["None", "None", "None", "ConditionalCheckFailed"];
    const LIMIT_TOO: &[&str] =
        &["ConditionalCheckFailed", "None", "None", "ConditionalCheckFailed"];
    for reasons in [KEY_USED, LIMIT_TOO] {
        let (aws, api) = api().await;
        let hook = webhook("https://hooks.invalid/");
        aws.put_webhook(item(&hook));
        aws.put_webhook(key_row(&hook, now() + 60));
        aws.always("TransactWriteItems", Reply::Cancelled(reasons));
        // The other request writes the row after this one has read it for the first time: at its second read, after that
        // of the API key.
        aws.on("GetItem", |_, before| (before == 1).then(|| Reply::Body(json!({}))));
        assert_is_repeat_of(&create(&api, KEY, BODY).await, &hook);
        let names = |operation: &str, field: &str| -> Vec<Value> {
            aws.calls_of(operation).iter().map(|call| call.input[field].clone()).collect()
        };
        let created = names("CreateSecret", "Name");
        assert_eq!((created.len(), &created), (1, &names("DeleteSecret", "SecretId")));
        // The log names the webhook that there is.
        let log = api.finish().await;
        for message in ["create repeated", "request answered"] {
            let line = lines(&log, message).remove(0);
            let span = line["spans"].as_array().and_then(|spans| spans.last()).expect("a span");
            assert_eq!(span["webhook.id"], hook["webhook_config_id"], "{line}");
        }
    }
}

#[tokio::test]
async fn a_malformed_key_is_400_and_named_before_anything_is_read_or_written() {
    let (aws, api) = api().await;
    let keys = ["", "a b", " ", &"k".repeat(256)];
    for key in keys {
        let response = create(&api, key, BODY).await;
        assert_eq!(code(&response), (&json!(400), &json!("malformed_header")), "{key:?}");
        let details = response["body"]["details"].as_object().expect("it is an object");
        assert_eq!(details.keys().collect::<Vec<_>>(), ["idempotency-key"]);
    }
    assert_eq!(aws.calls().len(), 2 * keys.len(), "each reads its API key and counts as a change");
}

#[tokio::test]
async fn a_transaction_whose_response_is_lost_is_sent_again_with_the_same_token() {
    let (aws, api) = api().await;
    aws.on("TransactWriteItems", |_, before| (before == 0).then_some(Reply::Broken));
    let response = create(&api, KEY, BODY).await;
    assert_eq!(response["statusCode"], 201, "{response}");
    let tries: Vec<Value> =
        aws.calls_of("TransactWriteItems").into_iter().map(|call| call.input).collect();
    let [first, second] = &tries[..] else { panic!("{tries:?}") };
    assert!(first["ClientRequestToken"].is_string());
    assert_eq!(first, second);
    assert!(aws.calls_of("DeleteSecret").is_empty());
}

#[tokio::test]
async fn a_create_whose_row_is_there_after_a_failed_transaction_has_succeeded() {
    for reply in
        [Reply::Broken, Reply::Cancelled(&["None", "None", "None", "ConditionalCheckFailed"])]
    {
        let (aws, api) = api().await;
        aws.always("TransactWriteItems", reply);
        let row = item(&webhook("https://hooks.invalid/"));
        aws.on("GetItem", move |input, _| {
            let is_webhook = input["Key"]["tenant_id"]["S"] == TENANT;
            is_webhook.then(|| Reply::Body(json!({"Item": row})))
        });
        let response = create(&api, KEY, BODY).await;
        assert_eq!(response["statusCode"], 201, "{response}");
        assert!(response["body"]["signing_secret"].is_string());
        assert!(aws.calls_of("DeleteSecret").is_empty());
    }
}
