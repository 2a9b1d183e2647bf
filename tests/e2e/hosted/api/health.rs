//! The events about webhooks that their owners switch off or on.

use harness::fixtures::TENANT;
use harness::{FakeAws, Hosted, Reply};
use serde_json::{Value, json};

use super::{UPDATE, api, fake_updates, lines, sample, send};

/// An API whose updates find and return an active webhook.
async fn updating_api() -> (FakeAws, Hosted) {
    let (aws, api) = api().await;
    fake_updates(&aws, |_| false);
    (aws, api)
}

/// The response to a PATCH with this body.
async fn patch(api: &Hosted, body: Value) -> Value {
    let mut event = sample(UPDATE);
    event["body"] = body.to_string().into();
    send(api, event).await
}

#[tokio::test]
async fn only_a_change_of_is_active_is_published_and_is_one_update() {
    let (aws, api) = updating_api().await;
    assert_eq!(patch(&api, json!({"max_retries": 3})).await["statusCode"], 200);
    assert_eq!(aws.events(), [] as [Value; 0]);
    let before = aws.webhook_updates().len();
    assert_eq!(patch(&api, json!({"is_active": true})).await["statusCode"], 200);
    // One update counts the request towards the tenant's limit.
    assert_eq!(aws.webhook_updates().len() - before, 2);
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
        let (aws, api) = updating_api().await;
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
