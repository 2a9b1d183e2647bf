//! Tests of webhooks, through the deployed functions and their permissions.

use std::collections::BTreeMap;

use harness::{Receiver, answer, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::store::rate_limit::TESTS_PER_MINUTE;

use super::limits::{MINUTE, within_one};
use crate::support::tenant::{Hook, Response, Tenant};
use crate::support::world::World;

async fn test(tenant: &Tenant, hook: &Hook, body: Option<Value>) -> Response {
    tenant.request(Method::POST, &format!("/v1/webhooks/{}/test", hook.id), body).await
}

#[tokio::test]
async fn a_test_returns_the_response_and_the_request_that_arrived_and_is_no_delivery() {
    let (tenant, receiver, hook) = Tenant::subscribed(answer(202, &[], b"thank you")).await;
    for (body, event) in [
        (None, "document.uploaded"),
        (Some(json!({})), "document.uploaded"),
        (Some(json!({"event": null})), "document.uploaded"),
        (Some(json!({"event": "document.processing.completed"})), "document.processing.completed"),
        (Some(json!({"event": "document.processing.failed"})), "document.processing.failed"),
    ] {
        let response = test(&tenant, &hook, body).await;
        assert_eq!(response.status, 200, "{:?}", response.body);
        let arrivals = receiver.arrivals();
        let arrival = arrivals.last().expect("the post has arrived");
        assert!(arrival.is_signed_with(&hook.secret));
        assert!(arrival.passes_standard_webhooks(&hook.secret));
        let headers: BTreeMap<_, _> = arrival.headers().collect();
        let mut result = response.body;
        assert_eq!(result["request"], json!({"headers": headers, "body": arrival.text()}));
        assert_eq!(headers["x-docintell-event"], event);
        for varying in ["tested_at", "response_time_ms", "request"] {
            assert!(!result[varying].take().is_null(), "{varying}");
        }
        let expected = json!({
            "success": true,
            "webhook_config_id": hook.id,
            "url": receiver.url(),
            "tested_at": null,
            "status_code": 202,
            "response_time_ms": null,
            "response_body": "thank you",
            "error": null,
            "request": null,
        });
        assert_eq!(result, expected);
    }
    assert_eq!(receiver.arrivals().len(), 5);
    assert_eq!(tenant.deliveries(&hook).await.len(), 0);
}

#[tokio::test]
async fn a_failed_test_is_a_200_that_says_why_and_is_not_repeated() {
    let (tenant, receiver, hook) = Tenant::subscribed(answer(500, &[], b"out of order")).await;
    let response = test(&tenant, &hook, None).await;
    assert_eq!(response.status, 200);
    let result = response.body;
    assert_eq!(
        (&result["success"], &result["status_code"], &result["response_body"], &result["error"]),
        (&json!(false), &json!(500), &json!("out of order"), &json!("the endpoint answered 500"))
    );
    assert_eq!(receiver.arrivals().len(), 1);

    let unresolved = tenant.create(json!({"url": super::URL})).await;
    let result = test(&tenant, &unresolved, None).await.body;
    assert_eq!(
        (&result["success"], &result["status_code"], &result["error"]),
        (&json!(false), &Value::Null, &json!("the host name cannot be resolved"))
    );
    assert_eq!(World::get().dead_letters_of(&hook.id).len(), 0);
    assert_eq!(tenant.deliveries(&hook).await.len(), 0);
}

#[tokio::test]
async fn a_webhook_that_is_switched_off_can_be_tested_and_stays_off() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    tenant.change(&hook, json!({"is_active": false})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let before = tenant.request(Method::GET, &path, None).await.body;
    assert_eq!(test(&tenant, &hook, None).await.body["success"], true);
    assert_eq!(receiver.arrivals().len(), 1);
    assert_eq!(tenant.request(Method::GET, &path, None).await.body, before);
}

#[tokio::test]
async fn another_tenants_webhook_cannot_be_tested() {
    let (_owner, receiver, hook) = Tenant::subscribed(status(200)).await;
    let stranger = Tenant::new().await;
    let response = test(&stranger, &hook, None).await;
    assert_eq!((response.status, &response.body["error"]), (404, &json!("webhook_not_found")));
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn an_invalid_test_names_what_is_wrong_and_posts_nothing() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    for (body, field) in [
        (json!({"event": "document.deleted"}), "event"),
        (json!({"event": "*"}), "event"),
        (json!({"event": 1}), "event"),
        (json!({"event": ["document.uploaded"]}), "event"),
        (json!({"events": ["document.uploaded"]}), "events"),
        (json!({"url": "https://example.com/"}), "url"),
    ] {
        let response = test(&tenant, &hook, Some(body)).await;
        assert_eq!(
            (response.status, &response.body["error"]),
            (422, &json!("validation_error")),
            "{field}"
        );
        assert_eq!(super::keys(&response.body["details"]), [field].into());
    }
    assert_eq!(test(&tenant, &hook, Some(json!([]))).await.status, 422);
    let path = format!("/v1/webhooks/{}/test", hook.id);
    let query = tenant.request(Method::POST, &format!("{path}?event=x"), None).await;
    assert_eq!((query.status, &query.body["error"]), (400, &json!("invalid_parameter")));
    assert_eq!(super::keys(&query.body["details"]), ["event"].into());
    for (content_type, body, status) in [("text/plain", "{}", 415), ("application/json", "{", 400)]
    {
        let request = tenant.unsent(Method::POST, &path).bearer_auth(&tenant.key);
        let request = request.header("Content-Type", content_type).body(body);
        assert_eq!(Tenant::send(request).await.status, status, "{content_type}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn each_webhook_has_ten_tests_a_minute() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(status(200)).await;
    let other = tenant.subscribe(&receiver).await;
    let refused = within_one(MINUTE, async || {
        let hook = tenant.subscribe(&receiver).await;
        for number in 1..=TESTS_PER_MINUTE {
            let response = test(&tenant, &hook, None).await;
            assert_eq!(response.status, 200, "test {number}: {:?}", response.body);
        }
        test(&tenant, &hook, None).await
    })
    .await;
    assert_eq!((refused.status, &refused.body["error"]), (429, &json!("rate_limited")));
    let seconds = refused.headers["retry-after"].to_str().expect("it is ASCII").parse::<u64>();
    assert!((1..=60).contains(&seconds.expect("it is a number")));
    assert_eq!(test(&tenant, &other, None).await.status, 200, "each webhook has its own limit");
}

#[tokio::test]
async fn a_webhook_whose_secret_cannot_be_read_is_a_503() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let world = World::get();
    let prefix = world.env_vars()["SenderFunction"]["SECRETS_PREFIX"].clone();
    let name = format!("{}/{}/{}", prefix.as_str().expect("it is text"), tenant.id, hook.id);
    let secrets = aws_sdk_secretsmanager::Client::new(&world.aws());
    let deleted = secrets.delete_secret().secret_id(name).force_delete_without_recovery(true);
    deleted.send().await.expect("the secret can be deleted");
    let response = test(&tenant, &hook, None).await;
    assert_eq!((response.status, &response.body["error"]), (503, &json!("service_unavailable")));
    assert_eq!(receiver.connections(), 0);
}
