//! A create with an `Idempotency-Key`, repeated and raced.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::URL;
use super::errors::assert_error;
use super::races::secrets_of;
use crate::support::tenant::{Response, Tenant};

const WEBHOOKS: &str = "/v1/webhooks";

/// Creates a webhook with these keys and this body.
async fn create(tenant: &Tenant, keys: &[&str], body: &str) -> Response {
    let request = tenant.unsent(Method::POST, WEBHOOKS).bearer_auth(&tenant.key);
    let request = request.header("Content-Type", "application/json").body(body.to_owned());
    let request = keys.iter().fold(request, |it, key| it.header("Idempotency-Key", *key));
    Tenant::send(request).await
}

fn body() -> String {
    json!({"url": URL, "description": "Invoices"}).to_string()
}

async fn webhooks(tenant: &Tenant) -> Value {
    tenant.request(Method::GET, WEBHOOKS, None).await.body["webhooks"].take()
}

#[tokio::test]
async fn a_repeat_returns_the_webhook_as_it_is_now_without_a_secret() {
    let tenant = Tenant::new().await;
    let mut created = create(&tenant, &["key"], &body()).await;
    assert_eq!((created.status, created.headers.get("idempotent-replayed")), (201, None));
    assert!(created.body["signing_secret"].is_string());
    created.body.as_object_mut().expect("it is an object").remove("signing_secret");

    let repeated = create(&tenant, &["key"], &body()).await;
    assert_eq!((repeated.status, &repeated.body), (200, &created.body));
    assert_eq!(repeated.headers["idempotent-replayed"], "true");
    assert_eq!(repeated.headers.get("location"), None);

    let path = format!("{WEBHOOKS}/{}", created.body["webhook_config_id"].as_str().expect("an id"));
    let change = Some(json!({"max_retries": 1}));
    let changed = tenant.request(Method::PATCH, &path, change).await.body;
    assert_eq!(create(&tenant, &["key"], &body()).await.body, changed);
    assert_eq!((webhooks(&tenant).await, secrets_of(&tenant).await), (json!([changed]), 1));
}

#[tokio::test]
async fn another_body_is_a_conflict_and_another_key_creates_another_webhook() {
    let tenant = Tenant::new().await;
    let created = create(&tenant, &["key"], &body()).await;
    let before = webhooks(&tenant).await;
    for other in [format!("{} ", body()), json!({"url": URL}).to_string(), "{}".to_owned()] {
        let refused = create(&tenant, &["key"], &other).await;
        assert_error(&refused, 409, "idempotency_conflict");
    }
    assert_eq!(webhooks(&tenant).await, before);
    for keys in [&["Key"][..], &[]] {
        let other = create(&tenant, keys, &body()).await;
        assert_eq!(other.status, 201, "{keys:?}");
        assert_ne!(other.body["webhook_config_id"], created.body["webhook_config_id"]);
    }
}

#[tokio::test]
async fn a_refused_create_does_not_use_its_key() {
    let tenant = Tenant::new().await;
    assert_error(&create(&tenant, &["key"], "{}").await, 422, "validation_error");
    assert_error(&create(&tenant, &["key"], "{").await, 400, "invalid_json");
    assert_eq!(create(&tenant, &["key"], &body()).await.status, 201);
}

#[tokio::test]
async fn a_key_whose_webhook_is_deleted_creates_no_other() {
    let tenant = Tenant::new().await;
    let created = create(&tenant, &["key"], &body()).await;
    let path = format!("{WEBHOOKS}/{}", created.body["webhook_config_id"].as_str().expect("an id"));
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);
    let refused = create(&tenant, &["key"], &body()).await;
    assert_error(&refused, 409, "idempotency_conflict");
    let message = refused.body["message"].as_str().expect("it is text");
    assert!(message.contains("is deleted"), "{message}");
    assert_eq!((webhooks(&tenant).await, secrets_of(&tenant).await), (json!([]), 0));
}

#[tokio::test]
async fn two_tenants_with_the_same_key_have_a_webhook_each() {
    let (owner, stranger) = (Tenant::new().await, Tenant::new().await);
    let created = create(&owner, &["key"], &body()).await;
    let other = create(&stranger, &["key"], &json!({"url": URL}).to_string()).await;
    assert_eq!((created.status, other.status), (201, 201));
    assert_ne!(created.body["webhook_config_id"], other.body["webhook_config_id"]);
    let repeated = create(&stranger, &["key"], &json!({"url": URL}).to_string()).await;
    assert_eq!(repeated.body["webhook_config_id"], other.body["webhook_config_id"]);
}

#[tokio::test]
async fn a_malformed_or_repeated_key_is_400_and_creates_nothing() {
    let tenant = Tenant::new().await;
    let long = "k".repeat(256);
    for keys in [&[""][..], &["a b"], &[&long], &["a", "b"], &["a", "a"]] {
        let refused = create(&tenant, keys, &body()).await;
        assert_error(&refused, 400, "malformed_header");
        assert_eq!(super::keys(&refused.body["details"]), ["idempotency-key"].into(), "{keys:?}");
    }
    assert_eq!(webhooks(&tenant).await, json!([]));
    let every: String = ('!'..='~').collect();
    for key in [every, "k".repeat(255)] {
        assert_eq!(create(&tenant, &[&key], &body()).await.status, 201, "{key}");
        assert_eq!(create(&tenant, &[&key], &body()).await.status, 200, "{key}");
    }
}

#[tokio::test]
async fn concurrent_creates_with_one_key_make_one_webhook_and_one_secret() {
    let tenant = Tenant::new().await;
    for key in ["first", "second", "third"] {
        let before = secrets_of(&tenant).await;
        let responses =
            join_all((0..6).map(async |_| create(&tenant, &[key], &body()).await)).await;
        let mut statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 200, 200, 201], "{key}");
        let ids = responses.iter().map(|response| &response.body["webhook_config_id"]);
        assert!(ids.clone().all(|id| id == &responses[0].body["webhook_config_id"]));
        let secrets = responses.iter().filter(|it| it.body.get("signing_secret").is_some());
        assert_eq!(secrets.count(), 1, "{key}");
        assert_eq!(secrets_of(&tenant).await, before + 1, "{key}");
    }
    assert_eq!(webhooks(&tenant).await.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn concurrent_creates_with_one_key_and_different_bodies_make_one_webhook() {
    let tenant = Tenant::new().await;
    let bodies = (0..5).map(|retries| json!({"url": URL, "max_retries": retries}).to_string());
    let create = async |body: String| create(&tenant, &["key"], &body).await;
    let responses = join_all(bodies.map(create)).await;
    let created = responses.iter().filter(|response| response.status == 201).count();
    assert_eq!(created, 1, "{responses:?}");
    for refused in responses.iter().filter(|response| response.status != 201) {
        assert_error(refused, 409, "idempotency_conflict");
    }
    assert_eq!(webhooks(&tenant).await.as_array().map(Vec::len), Some(1));
    assert_eq!(secrets_of(&tenant).await, 1);
}
