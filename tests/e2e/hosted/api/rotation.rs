//! What a rotation writes, with which conditions, and how its overlap ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{FakeAws, Hosted, Reply, item};
use serde_json::{Value, json};
use webhooks::timestamp::Timestamp;

use super::{DELETE_PREVIOUS_SECRET, ROTATE, api, lines, row, sample, send};

/// The version that the fake Secrets Manager gives to every new secret.
const NEW_VERSION: &str = "3f1f6f6e-0000-4000-8000-000000000002";

/// An overlap that ends at this time.
fn until(time: &str) -> Value {
    json!({"previous_secret": {"version": "previous", "until": time}})
}

async fn api_with(fields: Value) -> (FakeAws, Hosted) {
    let (aws, api) = api().await;
    aws.replace_webhooks([&row(fields)]);
    (aws, api)
}

/// A rotation with this body and `Content-Type`.
fn rotation(content_type: &str, body: &str) -> Value {
    let mut event = sample(ROTATE);
    event["headers"]["content-type"] = content_type.into();
    event["body"] = body.into();
    event
}

/// The attributes that each write to the webhook's row changes.
fn writes(aws: &FakeAws) -> Vec<Value> {
    let updates = aws.webhook_updates().into_iter();
    // The others count towards a limit.
    updates.filter(|update| update.get("taken").is_none()).collect()
}

/// Makes every read of the webhook, after the first `unchanged` ones, return the row with these fields.
pub(super) fn read_later(aws: &FakeAws, unchanged: usize, fields: Value) {
    let (row, reads) = (item(&row(fields)), AtomicUsize::new(0));
    aws.on("GetItem", move |input, _| {
        let is_webhook = input["Key"].get("webhook_config_id").is_some();
        let is_changed = is_webhook && reads.fetch_add(1, Ordering::Relaxed) >= unchanged;
        is_changed.then(|| Reply::Body(json!({"Item": row})))
    });
}

#[tokio::test]
async fn an_invalid_body_is_refused_and_writes_nothing() {
    let range = "must be a whole number from 0 to 604800";
    let (aws, api) = api_with(json!({})).await;
    for (body, details) in [
        (r#"{"overlap_seconds": 604801}"#, json!({"overlap_seconds": range})),
        (r#"{"overlap_seconds": -1}"#, json!({"overlap_seconds": range})),
        (r#"{"overlap_seconds": 1.5}"#, json!({"overlap_seconds": range})),
        (r#"{"overlap_seconds": "60"}"#, json!({"overlap_seconds": range})),
        (r#"{"overlap_seconds": true}"#, json!({"overlap_seconds": range})),
        (r#"{"overlap_seconds": 99999999999999999999}"#, json!({"overlap_seconds": range})),
        (
            r#"{"overlap_seconds": 1, "overlap_seconds": 2}"#,
            json!({"overlap_seconds": "is given more than once"}),
        ),
        (r#"{"overlap_seconds": 1, "overlap": 2}"#, json!({"overlap": "is not a known field"})),
        (r#"{"signing_secret": "x"}"#, json!({"signing_secret": "is not a known field"})),
        ("[]", json!({})),
        ("7", json!({})),
    ] {
        let response = send(&api, rotation("application/json", body)).await;
        assert_eq!(response["statusCode"], 422, "{body}");
        assert_eq!(response["body"]["error"], "validation_error", "{body}");
        assert_eq!(response["body"]["details"], details, "{body}");
    }
    for (content_type, body, status, code) in [
        ("application/json", "{", 400, "invalid_json"),
        ("application/json", " ", 400, "invalid_json"),
        ("text/plain", "{}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", "overlap_seconds=1", 415, "unsupported_media_type"),
    ] {
        let response = send(&api, rotation(content_type, body)).await;
        assert_eq!(
            (&response["statusCode"], &response["body"]["error"]),
            (&json!(status), &json!(code)),
            "{body}"
        );
    }
    assert_eq!((writes(&aws).len(), aws.calls_of("PutSecretValue").len()), (0, 0));
}

#[tokio::test]
async fn one_conditional_write_sets_the_new_version_its_label_and_the_previous_secret() {
    let day = 86_400;
    for (event, seconds) in [
        (sample(ROTATE), day),
        (rotation("application/x-www-form-urlencoded", ""), day),
        (rotation("application/json", "{}"), day),
        (rotation("application/json", r#"{"overlap_seconds": null}"#), day),
        (rotation("application/json", r#"{"overlap_seconds": 604800}"#), 7 * day),
        (rotation("application/merge-patch+json", r#"{"overlap_seconds": 1}"#), 1),
    ] {
        // Inside an overlap: the rotation drops the oldest secret.
        let (aws, api) = api_with(until("9999-01-01T00:00:00Z")).await;
        let old = row(json!({}))["secret_version"].clone();
        let before = Timestamp::now().unix_millis();
        assert_eq!(send(&api, event).await["statusCode"], 200);
        let [_claim, write] = writes(&aws).try_into().expect("a claim and a write");
        let transaction = &aws.calls_of("TransactWriteItems")[0].input;
        let update = &transaction["TransactItems"][0]["Update"];
        let condition = update["ConditionExpression"].as_str().expect("there is a condition");
        assert!(condition.contains("secret_version = :seen_secret_version"), "{condition}");
        assert_eq!(update["ExpressionAttributeValues"][":seen_secret_version"]["S"], old);
        assert_eq!(write["secret_version"], NEW_VERSION);
        assert_eq!(write["rotating_until"], 0, "the claim ends");
        let previous = &write["previous_secret"];
        assert_eq!(previous["version"], old);
        let until = previous["until"].as_str().expect("it is a time");
        let until = Timestamp::parse(until).expect("it is a time").unix_millis();
        let allowed = before + seconds * 1000..=Timestamp::now().unix_millis() + seconds * 1000;
        assert!(allowed.contains(&until), "{until} is not in {allowed:?}");
        assert_eq!(aws.calls_of("GetSecretValue").len(), 0, "api never reads a secret");
    }
}

#[tokio::test]
async fn a_rotation_without_an_overlap_leaves_no_previous_secret() {
    let (aws, api) = api_with(until("9999-01-01T00:00:00Z")).await;
    let event = rotation("application/json", r#"{"overlap_seconds": 0}"#);
    assert_eq!(send(&api, event).await["statusCode"], 200);
    assert_eq!(writes(&aws)[1].get("previous_secret"), Some(&Value::Null), "it is removed");
}

#[tokio::test]
async fn a_new_version_gets_a_label_that_no_secret_in_force_has() {
    for (current, next) in [
        (Value::Null, "rotation-a"),
        (json!("rotation-a"), "rotation-b"),
        (json!("rotation-b"), "rotation-c"),
        (json!("rotation-c"), "rotation-a"),
    ] {
        let (aws, api) = api_with(json!({"secret_label": current})).await;
        assert_eq!(send(&api, sample(ROTATE)).await["statusCode"], 200);
        let put = &aws.calls_of("PutSecretValue")[0].input;
        // `AWSCURRENT` stays where it is, on the first version.
        assert_eq!(put["VersionStages"], json!([next]), "{current}");
        assert_eq!(writes(&aws)[1]["secret_label"], next);
    }
}

#[tokio::test]
async fn a_rotation_whose_write_has_an_unknown_result_succeeds_if_its_version_is_in_force() {
    let expires = "9999-01-01T00:00:00Z";
    for (version, status) in [(NEW_VERSION, 200), ("of another rotation", 503)] {
        let (aws, api) = api_with(json!({})).await;
        aws.always("TransactWriteItems", Reply::Broken);
        let mut fields = until(expires);
        fields["secret_version"] = version.into();
        read_later(&aws, 1, fields);
        let response = send(&api, sample(ROTATE)).await;
        assert_eq!(response["statusCode"], status, "{version}");
        let body = &response["body"];
        assert_eq!(body["signing_secret"].is_string(), status == 200, "{version}");
        if status == 200 {
            assert_eq!(body["previous_secret_expires_at"], expires);
        }
    }
}

#[tokio::test]
async fn a_rotation_creates_a_secret_that_was_lost_and_leaves_no_previous_secret() {
    let (aws, api) = api_with(until("9999-01-01T00:00:00Z")).await;
    aws.always("PutSecretValue", Reply::Refused("ResourceNotFoundException"));
    let response = send(&api, sample(ROTATE)).await;
    assert_eq!(response["statusCode"], 200);
    assert!(response["body"]["signing_secret"].is_string(), "{response}");
    let [created] = aws.calls_of("CreateSecret").try_into().expect("one secret is created");
    let name = created.input["Name"].as_str().expect("a secret has a name");
    assert!(name.ends_with("/550e8400-e29b-41d4-a716-446655440000"), "{name}");
    let [_claim, write] = writes(&aws).try_into().expect("a claim and a write");
    assert_eq!(write["secret_version"], NEW_VERSION);
    assert_eq!(write.get("previous_secret"), Some(&Value::Null), "it is removed");
}

#[tokio::test]
async fn ending_an_overlap_removes_the_previous_secret_unless_the_secret_was_rotated_meanwhile() {
    let (aws, api) = api_with(until("9999-01-01T00:00:00Z")).await;
    let response = send(&api, sample(DELETE_PREVIOUS_SECRET)).await;
    assert_eq!((&response["statusCode"], &response["body"]), (&json!(204), &Value::Null));
    assert_eq!(writes(&aws)[0].get("previous_secret"), Some(&Value::Null), "it is removed");

    let mut rotated = until("9999-01-01T00:00:00Z");
    rotated["secret_version"] = "of a rotation".into();
    read_later(&aws, 1, rotated);
    let response = send(&api, sample(DELETE_PREVIOUS_SECRET)).await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(409), &json!("rotation_conflict"))
    );
    aws.replace_webhooks([]);
    aws.on("GetItem", |_, _| None);
    let response = send(&api, sample(DELETE_PREVIOUS_SECRET)).await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(404), &json!("webhook_not_found"))
    );
    assert_eq!(lines(&api.finish().await, "overlap of signing secrets ended").len(), 1);
}

#[tokio::test]
async fn ending_an_overlap_that_has_ended_writes_nothing() {
    for fields in [json!({}), until("2025-12-03T10:30:00Z")] {
        let (aws, api) = api_with(fields).await;
        let response = send(&api, sample(DELETE_PREVIOUS_SECRET)).await;
        assert_eq!(response["statusCode"], 204);
        assert_eq!(writes(&aws), [Value::Null; 0]);
    }
}
