//! URLs that the API used to accept and now refuses.
//!
//! A tenant cannot register one any more. A tenant who has one can still read, change and delete the webhook,
//! and finds the reason for its failures in the delivery log.

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{Receiver, eventually, status};
use reqwest::Method;
use serde_json::json;
use webhooks::delivery::DeliveryStatus;

use crate::support::job;
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::World;

const URL: &str = "https://a{b}..-example/hook";
const REASON: &str = "the URL's host is not a valid host name: each part between dots must have 1 to 63 letters, \
                      digits, hyphens or underscores and must not begin or end with a hyphen; the whole name \
                      has at most 253 characters";

/// A webhook of `tenant` whose URL the API refuses today.
async fn old_webhook(tenant: &Tenant) -> Hook {
    let hook = tenant.subscribe(&Receiver::start(status(200)).await).await;
    let world = World::get();
    aws_sdk_dynamodb::Client::new(&world.aws())
        .update_item()
        .table_name(&world.info().outputs.webhooks_table)
        .key("tenant_id", AttributeValue::S(tenant.id.to_string()))
        .key("webhook_config_id", AttributeValue::S(hook.id.clone()))
        .update_expression("SET #url = :url")
        .condition_expression("attribute_exists(#url)")
        .expression_attribute_names("#url", "url")
        .expression_attribute_values(":url", AttributeValue::S(URL.to_owned()))
        .send()
        .await
        .expect("the row exists");
    hook
}

#[tokio::test]
async fn a_url_with_an_invalid_host_or_a_control_character_cannot_be_registered() {
    let tenant = Tenant::new().await;
    let long = format!("https://{}.example/", "a".repeat(64));
    for url in [
        URL,
        "https://*.example/",
        "https://a..b/",
        "https://a(b).example/",
        "https://-a.example/",
        &long,
        "https://exa\tmple.com/",
        "https://example.com/\n",
    ] {
        let response =
            tenant.request(Method::POST, "/v1/webhooks", Some(json!({"url": url}))).await;
        assert_eq!(
            (response.status, &response.body["error"]),
            (422, &json!("validation_error")),
            "{url}"
        );
        assert!(response.body["details"]["url"].is_string(), "{url}: {}", response.body);
    }
    assert_eq!(tenant.request(Method::GET, "/v1/webhooks", None).await.body["total"], 0);
}

#[tokio::test]
async fn an_old_webhook_with_an_invalid_host_can_be_read_listed_changed_and_deleted() {
    let tenant = Tenant::new().await;
    let hook = old_webhook(&tenant).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let got = tenant.request(Method::GET, &path, None).await;
    assert_eq!((got.status, &got.body["url"]), (200, &json!(URL)));
    let list = tenant.request(Method::GET, "/v1/webhooks", None).await;
    assert_eq!((list.status, &list.body["webhooks"]), (200, &json!([got.body])));

    for (change, status) in [
        (json!({"max_retries": 1}), 200),
        (json!({"url": URL}), 422),
        (json!({"url": "https://hooks.invalid/"}), 200),
    ] {
        let response = tenant.request(Method::PATCH, &path, Some(change.clone())).await;
        assert_eq!(response.status, status, "{change}: {}", response.body);
        if status == 422 {
            assert_eq!(response.body["details"], json!({"url": REASON}));
        }
    }
    let after = tenant.request(Method::GET, &path, None).await.body;
    assert_eq!(
        (&after["url"], &after["max_retries"]),
        (&json!("https://hooks.invalid/"), &json!(1))
    );
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);
}

#[tokio::test]
async fn deliveries_to_an_invalid_host_fail_until_the_url_is_changed() {
    let tenant = Tenant::new().await;
    let hook = old_webhook(&tenant).await;
    job::upload(tenant.id).await;
    let row = tenant.delivery(&hook, DeliveryStatus::Failed).await;
    assert_eq!((row.summary.last_error.as_deref(), row.attempts.len()), (Some(REASON), 1));
    assert_eq!(row.attempts[0].error.as_deref(), Some(REASON));
    let parked = eventually("a dead letter", async || World::get().dead_letters_of(&hook.id).pop());
    assert_eq!(parked.await.attributes["reason"], REASON);

    let receiver = Receiver::start(status(200)).await;
    tenant.change(&hook, json!({"url": receiver.url()})).await;
    let job = job::upload(tenant.id).await;
    assert!(receiver.wait_for(1).await[0].text().contains(&job));
}
