//! The events about webhooks that their owners switch off or on.

use harness::fixtures::TENANT;
use harness::{FakeAws, Hosted, Reply};
use serde_json::{Value, json};

use super::{UPDATE, api, lines, row, sample, send};

/// An API with a webhook that is switched off.
async fn api_with_a_webhook() -> (FakeAws, Hosted) {
    let (aws, api) = api().await;
    aws.replace_webhooks([&row(json!({"is_active": false}))]);
    (aws, api)
}

/// The response to a PATCH with this body.
async fn patch(api: &Hosted, body: Value) -> Value {
    let mut event = sample(UPDATE);
    event["body"] = body.to_string().into();
    send(api, event).await
}

#[tokio::test]
async fn only_a_change_of_is_active_is_published_and_is_one_transaction() {
    let (aws, api) = api_with_a_webhook().await;
    assert_eq!(patch(&api, json!({"max_retries": 3})).await["statusCode"], 200);
    assert_eq!(aws.events(), [] as [Value; 0]);
    assert_eq!(aws.calls_of("TransactWriteItems").len(), 1);
    assert_eq!(patch(&api, json!({"is_active": false})).await["statusCode"], 200);
    assert_eq!(aws.calls_of("TransactWriteItems").len(), 1, "it is off already");
    assert_eq!(aws.events(), [] as [Value; 0]);
    assert_eq!(patch(&api, json!({"is_active": true})).await["statusCode"], 200);
    assert_eq!(aws.calls_of("TransactWriteItems").len(), 2);
    let events = aws.events();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["DetailType"], &events[0]["Detail"]["tenant_id"]),
        (&json!("Webhook Enabled"), &json!(TENANT))
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_published_is_an_error_and_the_request_succeeds() {
    for reply in [Reply::Refused("AccessDeniedException"), Reply::Broken, Reply::Late] {
        let (aws, api) = api_with_a_webhook().await;
        aws.always("PutEvents", reply);
        let response = patch(&api, json!({"is_active": true})).await;
        assert_eq!(
            (&response["statusCode"], &response["body"]["is_active"]),
            (&json!(200), &json!(true))
        );
        let message = "cannot publish that the health of a webhook changed";
        let errors = lines(&api.finish().await, message);
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!(
            (&error["level"], &error["fields"]["health.unpublished"]),
            (&json!("ERROR"), &json!(1))
        );
    }
}
