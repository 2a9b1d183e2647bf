//! The row of a webhook's history that each change writes, in the change's own transaction.

use harness::fixtures::TENANT;
use harness::{FakeAws, Hosted, Reply, assert_lacks};
use serde_json::{Value, json};
use webhooks::timestamp::Timestamp;

use super::{CREATE, DELETE, DELETE_PREVIOUS_SECRET, KEY_ID, ROTATE, UPDATE, WEBHOOK};
use super::{api, row, sample, send};

const AUDIT_DAYS: i64 = 400;

async fn api_with_a_webhook() -> (FakeAws, Hosted) {
    let (aws, api) = api().await;
    let previous = json!({"version": "previous", "until": "9999-01-01T00:00:00Z"});
    aws.replace_webhooks([&row(json!({"previous_secret": previous}))]);
    (aws, api)
}

/// The sample, or a change of `max_retries` instead of the sample's.
fn event(text: &str) -> Value {
    let mut event = sample(text);
    match text {
        CREATE => event["body"] = json!({"url": "https://hooks.invalid/"}).to_string().into(),
        UPDATE => event["body"] = json!({"max_retries": 9}).to_string().into(),
        _ => {}
    }
    event
}

/// The kind and the table of each write of a transaction.
fn writes(input: &Value) -> Vec<(String, String)> {
    let writes = input["TransactItems"].as_array().expect("a transaction has writes").iter();
    let write = |write: &Value| {
        let (kind, write) = write.as_object().and_then(|it| it.iter().next()).expect("a write");
        (kind.clone(), write["TableName"].as_str().expect("a table has a name").to_owned())
    };
    writes.map(write).collect()
}

#[tokio::test]
async fn each_change_and_its_row_of_the_history_are_one_transaction() {
    let [webhooks, audit] = ["WebhookConfigs", "WebhookAudit"];
    let put = ("Put", audit);
    for (text, action, expected) in [
        (CREATE, "create", vec![("Update", webhooks), ("Put", webhooks), put]),
        (UPDATE, "update", vec![("Update", webhooks), put]),
        (ROTATE, "rotate", vec![("Update", webhooks), put]),
        (DELETE_PREVIOUS_SECRET, "end_overlap", vec![("Update", webhooks), put]),
        (DELETE, "delete", vec![("Delete", webhooks), ("Update", webhooks), put]),
    ] {
        let (aws, api) = api_with_a_webhook().await;
        let response = send(&api, event(text)).await;
        assert!(response["statusCode"].as_u64().is_some_and(|status| status < 300), "{response}");
        let [transaction] = aws.calls_of("TransactWriteItems").try_into().expect("one transaction");
        let found = writes(&transaction.input);
        let found: Vec<_> = found.iter().map(|(kind, it)| (kind.as_str(), it.as_str())).collect();
        assert_eq!(found, expected, "{action}");

        let [row] = aws.audited().try_into().expect("one row");
        let id = match text {
            CREATE => response["body"]["webhook_config_id"].as_str().expect("there is an id"),
            _ => WEBHOOK,
        };
        assert_eq!(row["webhook"], format!("{TENANT}/{id}"), "{action}");
        assert_eq!((&row["actor"], &row["key_id"]), (&json!("key"), &json!(KEY_ID)), "{action}");
        assert_eq!(row["action"], action);
        assert_eq!(row["before"].is_null(), text == CREATE, "{action}");
        assert_eq!(row["after"].is_null(), text == DELETE, "{action}");
        let at = Timestamp::parse(row["at"].as_str().expect("it is a time")).expect("it is a time");
        assert_eq!(row["ttl"], at.unix_seconds() + AUDIT_DAYS * 86_400, "{action}");
        let text = row.to_string();
        for secret in ["whsec", "secret_version", "3f1f6f6e", "previous\""] {
            assert_lacks(&text, secret);
        }
    }
}

#[tokio::test]
async fn a_change_whose_row_of_the_history_cannot_be_written_is_a_503_and_no_other_write() {
    for (text, before) in
        [(UPDATE, 1), (ROTATE, 3), (DELETE_PREVIOUS_SECRET, 1), (DELETE, 1), (CREATE, 1)]
    {
        let (aws, api) = api_with_a_webhook().await;
        aws.always("TransactWriteItems", Reply::Cancelled(&["None", "None", "ValidationError"]));
        let response = send(&api, event(text)).await;
        assert_eq!(
            (&response["statusCode"], &response["body"]["error"]),
            (&json!(503), &json!("service_unavailable")),
            "{text}"
        );
        // They count the request towards its limits, and claim the rotation.
        assert_eq!(aws.calls_of("UpdateItem").len(), before, "{text}");
        let deleted = aws.calls_of("DeleteSecret").len();
        assert_eq!(deleted, usize::from(text == CREATE), "only a webhook that never was loses it");
    }
}

#[tokio::test]
async fn a_change_that_others_overtake_is_applied_to_what_they_wrote() {
    let (aws, api) = api_with_a_webhook().await;
    let theirs =
        json!({"url": "https://their.hooks.invalid/", "updated_at": "2025-12-02T00:00:00Z"});
    aws.on("TransactWriteItems", |_, before| {
        (before == 0).then_some(Reply::Cancelled(&["ConditionalCheckFailed", "None"]))
    });
    super::rotation::read_later(&aws, 1, theirs);
    let response = send(&api, event(UPDATE)).await;
    assert_eq!(response["statusCode"], 200);
    assert_eq!(response["body"]["url"], "https://their.hooks.invalid/");
    let transactions = aws.calls_of("TransactWriteItems");
    let [refused, written] = transactions.as_slice() else { panic!("{transactions:?}") };
    assert_ne!(refused.input["ClientRequestToken"], written.input["ClientRequestToken"]);
    let seen = |call: &harness::Call| {
        let update = &call.input["TransactItems"][0]["Update"];
        update["ExpressionAttributeValues"][":seen_updated_at"]["S"].clone()
    };
    assert_eq!(seen(refused), "2025-12-01T00:00:00Z");
    assert_eq!(seen(written), "2025-12-02T00:00:00Z");
}

#[tokio::test]
async fn a_change_that_others_overtake_every_time_is_a_409_that_says_what_to_do() {
    for text in [UPDATE, DELETE] {
        let (aws, api) = api_with_a_webhook().await;
        let refused = Reply::Cancelled(&["ConditionalCheckFailed", "None", "None"]);
        aws.always("TransactWriteItems", refused);
        let response = send(&api, event(text)).await;
        let expected = json!({
            "error": "webhook_conflict",
            "message": "Other requests are changing this webhook; try again in a few seconds.",
            "details": {},
        });
        assert_eq!((&response["statusCode"], &response["body"]), (&json!(409), &expected));
        assert_eq!(aws.calls_of("TransactWriteItems").len(), 8);
        assert!(aws.calls_of("DeleteSecret").is_empty());
    }
}

#[tokio::test]
async fn a_patch_that_changes_nothing_writes_nothing() {
    let (aws, api) = api_with_a_webhook().await;
    for body in [json!({}), json!({"max_retries": 5, "is_active": true})] {
        let mut event = sample(UPDATE);
        event["body"] = body.to_string().into();
        let response = send(&api, event).await;
        assert_eq!(response["statusCode"], 200, "{body}");
        assert_eq!(response["body"]["updated_at"], row(json!({}))["updated_at"], "{body}");
    }
    assert!(aws.calls_of("TransactWriteItems").is_empty());
}

#[tokio::test]
async fn a_webhook_whose_row_cannot_be_read_can_be_deleted() {
    let (aws, api) = api().await;
    aws.replace_webhooks([&row(json!({"max_retries": "many"}))]);
    assert_eq!(send(&api, sample(DELETE)).await["statusCode"], 204);
    let [row] = aws.audited().try_into().expect("one row");
    assert_eq!((&row["action"], &row["before"]), (&json!("delete"), &json!({})));
    assert_eq!(aws.calls_of("DeleteSecret").len(), 1);
}
