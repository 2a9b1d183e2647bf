//! What a rotation writes, with which conditions, and how its overlap ends.

use harness::fixtures::webhook_with;
use harness::{FakeAws, Hosted, Reply, item};
use serde_json::{Value, json};
use webhooks::timestamp::Timestamp;

use super::{DELETE_PREVIOUS_SECRET, ROTATE, api, lines, sample, send};

/// The version that the fake Secrets Manager gives to every new secret.
const NEW_VERSION: &str = "3f1f6f6e-0000-4000-8000-000000000002";

/// The row of the samples' webhook, with these fields replaced.
fn row(fields: Value) -> Value {
    let Value::Object(mut fields) = fields else { panic!("fields are an object") };
    let id = "550e8400-e29b-41d4-a716-446655440000";
    fields.insert("webhook_config_id".to_owned(), id.into());
    webhook_with("https://hooks.invalid/", fields.into())
}

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

/// The values of each write to a webhook's row.
fn writes(aws: &FakeAws) -> Vec<Value> {
    let updates = aws.calls_of("UpdateItem").into_iter().map(|call| call.input);
    let of_row = |input: &Value| !input["Key"]["tenant_id"]["S"].to_string().contains('#');
    updates.filter(of_row).map(|input| input["ExpressionAttributeValues"].clone()).collect()
}

/// Makes every write with a condition on the secret's version fail.
fn refuse_replacement(aws: &FakeAws) {
    aws.on("UpdateItem", |input, _| {
        let condition = input["ConditionExpression"].as_str().unwrap_or_default();
        let is_replacement = condition.starts_with("secret_version");
        is_replacement.then_some(Reply::Refused("ConditionalCheckFailedException"))
    });
}

/// Makes every read return the samples' webhook with these fields.
fn read_row(aws: &FakeAws, fields: Value) {
    let row = item(&row(fields));
    aws.on("GetItem", move |input, _| {
        let is_webhook = input["Key"].get("webhook_config_id").is_some();
        is_webhook.then(|| Reply::Body(json!({"Item": row})))
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
        assert_eq!(write[":old"]["S"], old);
        assert_eq!(write[":secret_version"]["S"], NEW_VERSION);
        let previous = &write[":previous_secret"]["M"];
        assert_eq!(previous["version"]["S"], old);
        let until = previous["until"]["S"].as_str().expect("it is a time");
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
    assert_eq!(writes(&aws)[1][":previous_secret"], json!({"NULL": true}));
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
        assert_eq!(writes(&aws)[1][":secret_label"]["S"], next);
    }
}

#[tokio::test]
async fn a_rotation_whose_repeated_write_finds_its_own_version_succeeds() {
    let expires = "9999-01-01T00:00:00Z";
    for (version, status) in [(NEW_VERSION, 200), ("of another rotation", 409)] {
        let (aws, api) = api_with(json!({})).await;
        refuse_replacement(&aws);
        let mut fields = until(expires);
        fields["secret_version"] = version.into();
        read_row(&aws, fields);
        let response = send(&api, sample(ROTATE)).await;
        assert_eq!(response["statusCode"], status, "{version}");
        let body = &response["body"];
        assert_eq!(body["signing_secret"].is_string(), status == 200, "{version}");
        if status == 200 {
            assert_eq!(body["previous_secret_expires_at"], expires);
        } else {
            assert_eq!(body["error"], "rotation_conflict");
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
    assert_eq!(write[":secret_version"]["S"], NEW_VERSION);
    assert_eq!(write[":previous_secret"], json!({"NULL": true}));
}

#[tokio::test]
async fn ending_an_overlap_removes_the_previous_secret_unless_the_secret_was_rotated_meanwhile() {
    let (aws, api) = api_with(until("9999-01-01T00:00:00Z")).await;
    let response = send(&api, sample(DELETE_PREVIOUS_SECRET)).await;
    assert_eq!((&response["statusCode"], &response["body"]), (&json!(204), &Value::Null));
    let write = &writes(&aws)[0];
    assert_eq!(write[":previous_secret"], json!({"NULL": true}));
    assert_eq!(write[":current"]["S"], row(json!({}))["secret_version"]);

    refuse_replacement(&aws);
    let response = send(&api, sample(DELETE_PREVIOUS_SECRET)).await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(409), &json!("rotation_conflict"))
    );
    aws.replace_webhooks([]);
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
