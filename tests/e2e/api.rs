//! The API as a tenant uses it: the successes here, the documented errors in [`errors`], what became of events in
//! [`deliveries`] and [`retry`], and who has changed a webhook in [`audit`].

mod audit;
mod deliveries;
mod errors;
mod fields;
mod fuzz;
mod idempotency;
mod limits;
mod races;
mod retry;
mod webhook_test;

use std::collections::BTreeSet;

use harness::{Receiver, status};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::tenant::Tenant;

/// The API accepts a host name that does not resolve, so these tests need no network.
const URL: &str = "https://hooks.invalid/docintel";

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("it is an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn create_returns_the_webhook_with_its_defaults_location_and_secret() {
    let tenant = Tenant::new().await;
    let response = tenant.request(Method::POST, "/v1/webhooks", Some(json!({"url": URL}))).await;

    assert_eq!(response.status, 201);
    let id = response.body["webhook_config_id"].as_str().expect("there is an id");
    assert_eq!(response.headers["location"], format!("/v1/webhooks/{id}"));
    assert_eq!(response.headers["cache-control"], "no-store");
    assert_eq!(response.headers["x-content-type-options"], "nosniff");
    let secret = response.body["signing_secret"].as_str().expect("there is a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 46);
    assert_eq!(response.body["url"], URL);
    assert_eq!(
        response.body["events"],
        json!(["document.processing.completed", "document.processing.failed"])
    );
    assert_eq!(response.body["is_active"], true);
    assert_eq!(response.body["retry_enabled"], true);
    assert_eq!(response.body["max_retries"], 5);
    assert_eq!(response.body["created_at"], response.body["updated_at"]);
}

#[tokio::test]
async fn get_returns_the_created_webhook_without_its_secret() {
    let tenant = Tenant::new().await;
    let mut created = tenant.request(Method::POST, "/v1/webhooks", Some(json!({"url": URL}))).await;
    let path = created.headers["location"].to_str().expect("it is a path").to_owned();

    let got = tenant.request(Method::GET, &path, None).await;
    created.body.as_object_mut().expect("it is an object").remove("signing_secret");
    assert_eq!((got.status, got.body), (200, created.body));
}

#[tokio::test]
async fn list_returns_pages_in_order_of_creation() {
    let tenant = Tenant::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(tenant.create(json!({"url": URL})).await.id);
    }
    let page = async |query: &str| {
        let response = tenant.request(Method::GET, &format!("/v1/webhooks{query}"), None).await;
        assert_eq!(response.status, 200);
        assert_eq!(keys(&response.body), BTreeSet::from(["webhooks", "total", "page", "per_page"]));
        let listed: Vec<_> = response.body["webhooks"].as_array().expect("a list").clone();
        assert!(listed.iter().all(|it| it.get("signing_secret").is_none()));
        let listed: Vec<_> = listed.iter().map(|it| it["webhook_config_id"].clone()).collect();
        (
            listed,
            response.body["total"].clone(),
            response.body["page"].clone(),
            response.body["per_page"].clone(),
        )
    };
    assert_eq!(
        page("").await,
        (ids.iter().map(|id| json!(id)).collect(), json!(3), json!(1), json!(20))
    );
    assert_eq!(
        page("?page=2&per_page=2").await,
        (vec![json!(ids[2])], json!(3), json!(2), json!(2))
    );
    assert_eq!(page("?page=9").await, (vec![], json!(3), json!(9), json!(20)));
}

#[tokio::test]
async fn update_changes_the_given_fields_and_keeps_missing_and_null_ones() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL, "max_retries": 3})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let before = tenant.request(Method::GET, &path, None).await.body;

    let change =
        json!({"events": ["document.processing.completed"], "is_active": false, "url": null});
    let response = tenant.request(Method::PATCH, &path, Some(change)).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.body["events"], json!(["document.processing.completed"]));
    assert_eq!(response.body["is_active"], false);
    assert!(response.body.get("signing_secret").is_none());
    for kept in ["url", "max_retries", "retry_enabled", "created_at", "webhook_config_id"] {
        assert_eq!(response.body[kept], before[kept], "{kept}");
    }
    assert!(response.body["updated_at"].as_str() > before["updated_at"].as_str());
    assert_eq!(tenant.request(Method::GET, &path, None).await.body, response.body);
}

#[tokio::test]
async fn rotate_returns_the_webhook_with_a_new_secret() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let path = format!("/v1/webhooks/{}/rotate", hook.id);
    let response = tenant.request(Method::POST, &path, None).await;

    assert_eq!(response.status, 200);
    assert_eq!(response.headers["cache-control"], "no-store");
    assert_eq!(response.body["webhook_config_id"], json!(hook.id));
    assert_eq!(response.body["url"], URL);
    let secret = response.body["signing_secret"].as_str().expect("there is a secret");
    assert!(secret.len() == 46 && secret != hook.secret);
}

#[tokio::test]
async fn delete_returns_204_and_the_webhook_is_then_not_found() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let response = tenant.request(Method::DELETE, &path, None).await;

    assert_eq!((response.status, response.body), (204, Value::Null));
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::DELETE, path.clone(), None),
        (Method::PATCH, path.clone(), Some(json!({"is_active": true}))),
        (Method::POST, format!("{path}/rotate"), None),
        (Method::DELETE, format!("{path}/previous-secret"), None),
        (Method::POST, format!("{path}/test"), None),
    ] {
        let response = tenant.request(method.clone(), &path, body).await;
        assert_eq!(
            (response.status, &response.body["error"]),
            (404, &json!("webhook_not_found")),
            "{method}"
        );
    }
    let list = tenant.request(Method::GET, "/v1/webhooks", None).await;
    assert_eq!(list.body["total"], 0);
}

#[tokio::test]
async fn another_tenants_webhook_cannot_be_seen_or_changed() {
    let (owner, stranger) = (Tenant::new().await, Tenant::new().await);
    let receiver = Receiver::start(status(200)).await;
    let hook = owner.subscribe(&receiver).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let rotated = owner.request(Method::POST, &format!("{path}/rotate"), None).await.body;
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::PATCH, path.clone(), Some(json!({"is_active": false}))),
        (Method::POST, format!("{path}/rotate"), None),
        (Method::DELETE, format!("{path}/previous-secret"), None),
        (Method::DELETE, path.clone(), None),
    ] {
        assert_eq!(stranger.request(method.clone(), &path, body).await.status, 404, "{method}");
    }
    let list = stranger.request(Method::GET, "/v1/webhooks", None).await;
    assert_eq!(list.body["total"], 0);
    let untouched = owner.request(Method::GET, &path, None).await;
    assert_eq!((untouched.status, &untouched.body["is_active"]), (200, &json!(true)));
    assert_eq!(untouched.body["previous_secret_expires_at"], rotated["previous_secret_expires_at"]);
    crate::support::job::upload(owner.id).await;
    let arrival = receiver.wait_for(1).await.remove(0);
    let new = rotated["signing_secret"].as_str().expect("rotate returns the secret");
    assert!(arrival.is_signed_with(new) && arrival.passes_standard_webhooks(&hook.secret));
}
