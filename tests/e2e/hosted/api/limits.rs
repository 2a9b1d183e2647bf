//! Requests over a limit, and the AWS calls that they make.

use harness::fixtures::{TENANT, webhook};
use harness::{Reply, item};
use serde_json::{Value, json};

use super::{CREATE, DELETE, GET, KEY_ID, ROTATE, TEST, UPDATE};
use super::{api, create, fake_updates, key_record, sample, send};

/// True if the partition key of an `UpdateItem` starts with `prefix`.
fn key_starts_with(input: &Value, prefix: &str) -> bool {
    input["Key"]["tenant_id"]["S"].as_str().is_some_and(|key| key.starts_with(prefix))
}

#[tokio::test]
async fn a_webhook_over_the_limit_creates_no_secret() {
    let (aws, api) = api().await;
    let record = key_record();
    aws.on("GetItem", move |input, _| {
        let is_counter = input["Key"]["tenant_id"]["S"] == format!("count#{TENANT}");
        let count = json!({"webhooks": {"N": "50"}});
        Some(Reply::Body(json!({"Item": if is_counter { &count } else { &record }})))
    });
    let (status, body) = create(&api, "https://hooks.invalid/").await;
    assert_eq!((status, &body["error"]), (409, &json!("webhook_limit_reached")));
    let operations: Vec<_> = aws.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["GetItem", "UpdateItem", "GetItem"]);
    assert_eq!(aws.calls_of("GetItem")[1].input["ConsistentRead"], true);
}

#[tokio::test]
async fn a_change_over_the_limit_is_429_before_its_body_is_read() {
    let (aws, api) = api().await;
    fake_updates(&aws, |input| key_starts_with(input, &format!("changes#{TENANT}")));
    for text in [CREATE, UPDATE, ROTATE, TEST, DELETE] {
        let mut event = sample(text);
        event["body"] = "{".into();
        let response = send(&api, event).await;
        assert_eq!(response["statusCode"], 429, "{text}");
        assert_eq!(response["body"]["error"], "rate_limited");
        let seconds = response["headers"]["retry-after"].as_str().expect("there is a Retry-After");
        assert!((1..=60).contains(&seconds.parse().expect("whole seconds")), "{seconds}");
    }
    assert_eq!(send(&api, sample(GET)).await["statusCode"], 404, "a read is not limited");
    assert_eq!(aws.calls_of("UpdateItem").len(), 5);
    assert_eq!(
        aws.calls_of("GetItem").len(),
        5 + 2,
        "one per key, and one for the webhook that is read"
    );
}

#[tokio::test]
async fn a_rotation_over_the_limit_writes_no_secret_and_releases_its_claim() {
    let (aws, api) = api().await;
    fake_updates(&aws, |input| key_starts_with(input, "rotations#"));
    let response = send(&api, sample(ROTATE)).await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(429), &json!("rate_limited"))
    );
    let seconds = response["headers"]["retry-after"].as_str().expect("there is a Retry-After");
    assert!((1..=86_400).contains(&seconds.parse().expect("whole seconds")), "{seconds}");
    assert!(aws.calls_of("PutSecretValue").is_empty());

    let updates: Vec<Value> = aws.calls_of("UpdateItem").into_iter().map(|it| it.input).collect();
    let [_change, claim, rotation, release] = updates.as_slice() else { panic!("{updates:?}") };
    let partition = rotation["Key"]["tenant_id"]["S"].as_str().expect("it is a string");
    assert!(partition.ends_with(&format!("#{KEY_ID}")), "{partition}");
    let (claim, release) =
        (&claim["ExpressionAttributeValues"], &release["ExpressionAttributeValues"]);
    assert_eq!(release[":rotating_until"], json!({"N": "0"}));
    assert_eq!(release[":claim"], claim[":rotating_until"]);
}

#[tokio::test]
async fn a_conflicting_rotation_does_not_count_towards_the_limit() {
    let (aws, api) = api().await;
    let row = item(&webhook("https://hooks.invalid/"));
    let record = key_record();
    aws.on("GetItem", move |input, _| {
        let is_api_key = input["Key"].get("key_hash").is_some();
        Some(Reply::Body(json!({"Item": if is_api_key { &record } else { &row }})))
    });
    fake_updates(&aws, |input| key_starts_with(input, TENANT));
    let response = send(&api, sample(ROTATE)).await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(409), &json!("rotation_conflict"))
    );
    assert!(
        !aws.calls_of("UpdateItem").iter().any(|call| key_starts_with(&call.input, "rotations#"))
    );
}
