//! A webhook's health, from the endpoint's answers and the owner's changes to the API and the events on the bus.

mod writes;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use harness::{Receiver, answer, eventually, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::timestamp::Timestamp;

use crate::support::bus::Bus;
use crate::support::job;
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::World;

impl Tenant {
    async fn webhook(&self, hook: &Hook) -> Value {
        let response = self.request(Method::GET, &format!("/v1/webhooks/{}", hook.id), None).await;
        assert_eq!(response.status, 200);
        response.body
    }

    /// Waits until the webhook has this health, and returns it.
    async fn webhook_that_is(&self, hook: &Hook, health: &str) -> Value {
        eventually(&format!("the health {health}"), async || {
            Some(self.webhook(hook).await).filter(|webhook| webhook["health"] == health)
        })
        .await
    }

    /// Sets an attribute of the webhook's row, as no function would.
    async fn set_attribute(&self, hook: &Hook, name: &str, value: AttributeValue) {
        let world = World::get();
        Client::new(&world.aws())
            .update_item()
            .table_name(&world.info().outputs.webhooks_table)
            .key("tenant_id", AttributeValue::S(self.id.to_string()))
            .key("webhook_config_id", AttributeValue::S(hook.id.clone()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .send()
            .await
            .expect("the row can be written");
    }
}

/// `health`, `failing_since`, `disabled_at` and `disabled_reason`.
fn health(webhook: &Value) -> [&Value; 4] {
    ["health", "failing_since", "disabled_at", "disabled_reason"]
        .map(|name| webhook.get(name).unwrap_or_else(|| panic!("{webhook} has no {name}")))
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| Timestamp::parse(text).is_ok())
}

#[tokio::test]
async fn a_webhook_is_failing_from_its_first_dead_letter_to_the_next_success() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(404)).await;
    let bus = Bus::of(&tenant).await;
    let created = tenant.webhook(&hook).await;
    assert_eq!(health(&created), [&json!("ok"), &Value::Null, &Value::Null, &Value::Null]);

    job::upload(tenant.id).await;
    let webhook = tenant.webhook_that_is(&hook, "failing").await;
    assert!(is_time(&webhook["failing_since"]), "{webhook}");
    assert_eq!(webhook["updated_at"], created["updated_at"], "the owner has changed nothing");
    let event = bus.next().await;
    assert_eq!(
        (&event["source"], &event["detail-type"]),
        (&json!("docintell.webhooks"), &json!("Webhook Failing"))
    );
    let expected = json!({
        "tenant_id": tenant.id.to_string(),
        "webhook_config_id": hook.id,
        "health": "failing",
        "reason": "the endpoint answered 404",
        "at": webhook["failing_since"],
    });
    assert_eq!(event["detail"], expected);

    // Another dead letter changes nothing.
    job::upload(tenant.id).await;
    receiver.wait_for(2).await;
    eventually("two dead letters", async || {
        (World::get().dead_letters_of(&hook.id).len() == 2).then_some(())
    })
    .await;
    receiver.now(status(200));
    job::upload(tenant.id).await;
    let webhook = tenant.webhook_that_is(&hook, "ok").await;
    assert_eq!(webhook["failing_since"], Value::Null);
    let event = bus.next().await;
    assert_eq!(
        (&event["detail-type"], &event["detail"]["health"]),
        (&json!("Webhook Recovered"), &json!("ok"))
    );
    assert_eq!(event["detail"]["reason"], Value::Null);
}

#[tokio::test]
async fn a_410_switches_the_webhook_off_until_its_owner_switches_it_on() {
    let (tenant, receiver, hook) = Tenant::subscribed(answer(410, &[], b"")).await;
    let bus = Bus::of(&tenant).await;
    // Several senders get the answer at the same time; one of them publishes.
    for _ in 0..5 {
        job::upload(tenant.id).await;
    }
    let webhook = tenant.webhook_that_is(&hook, "disabled").await;
    assert_eq!(
        (&webhook["is_active"], &webhook["disabled_reason"]),
        (&json!(false), &json!("gone"))
    );
    assert!(is_time(&webhook["disabled_at"]), "{webhook}");
    tenant.delivery(&hook, DeliveryStatus::Failed).await;
    let event = bus.next().await;
    assert_eq!(
        (&event["detail-type"], &event["detail"]["reason"]),
        (&json!("Webhook Disabled"), &json!("gone"))
    );
    assert_eq!(event["detail"]["at"], webhook["disabled_at"]);

    receiver.now(status(200));
    tenant.change(&hook, json!({"is_active": true})).await;
    assert_eq!(bus.next().await["detail-type"], "Webhook Enabled");
    let webhook = tenant.webhook(&hook).await;
    assert_eq!(health(&webhook), [&json!("ok"), &Value::Null, &Value::Null, &Value::Null]);
    job::upload(tenant.id).await;
    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
}

#[tokio::test]
async fn a_webhook_that_fails_for_five_days_is_switched_off_at_its_next_dead_letter() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(404)).await;
    let bus = Bus::of(&tenant).await;
    let six_days = 6 * 86_400_000;
    let since = Timestamp::from_unix_millis(Timestamp::now().unix_millis() - six_days).to_string();
    tenant.set_attribute(&hook, "failing_since", AttributeValue::S(since.clone())).await;
    assert_eq!(tenant.webhook(&hook).await["health"], "failing");

    job::upload(tenant.id).await;
    let webhook = tenant.webhook_that_is(&hook, "disabled").await;
    assert_eq!(webhook["disabled_reason"], "failing_too_long");
    assert_eq!(webhook["failing_since"], since, "it still says since when");
    let event = bus.next().await;
    assert_eq!(
        (&event["detail-type"], &event["detail"]["reason"]),
        (&json!("Webhook Disabled"), &json!("failing_too_long"))
    );

    tenant.change(&hook, json!({"is_active": true})).await;
    assert_eq!(
        health(&tenant.webhook(&hook).await),
        [&json!("ok"), &Value::Null, &Value::Null, &Value::Null]
    );
}

#[tokio::test]
async fn only_a_patch_that_switches_a_webhook_off_or_on_changes_its_health() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(200)).await;
    let bus = Bus::of(&tenant).await;
    let patch = async |change: Value| {
        let path = format!("/v1/webhooks/{}", hook.id);
        let response = tenant.request(Method::PATCH, &path, Some(change)).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.body, tenant.webhook(&hook).await);
        response.body
    };
    patch(json!({"is_active": true, "max_retries": 4})).await;
    let off = patch(json!({"is_active": false, "max_retries": 3})).await;
    assert_eq!(
        (&off["health"], &off["disabled_reason"], &off["max_retries"]),
        (&json!("disabled"), &json!("owner"), &json!(3))
    );
    assert_eq!(off["disabled_at"], off["updated_at"]);
    let still_off = patch(json!({"is_active": false, "max_retries": 2})).await;
    assert_eq!((health(&still_off), &still_off["max_retries"]), (health(&off), &json!(2)));
    assert_ne!(still_off["updated_at"], off["updated_at"]);
    patch(json!({"events": ["document.uploaded"]})).await;
    let on = patch(json!({"is_active": true, "max_retries": 1})).await;
    assert_eq!(health(&on), [&json!("ok"), &Value::Null, &Value::Null, &Value::Null]);
    assert_eq!((&on["is_active"], &on["max_retries"]), (&json!(true), &json!(1)));
    patch(json!({"is_active": true})).await;
    patch(json!({"is_active": false})).await;

    let mut found = Vec::new();
    for _ in 0..3 {
        let event = bus.next().await;
        found.push((event["detail-type"].clone(), event["detail"]["reason"].clone()));
    }
    let disabled = (json!("Webhook Disabled"), json!("owner"));
    assert_eq!(found, [disabled.clone(), (json!("Webhook Enabled"), Value::Null), disabled]);
}

#[tokio::test]
async fn an_owner_cannot_change_why_a_webhook_was_switched_off() {
    let (tenant, _receiver, hook) = Tenant::subscribed(answer(410, &[], b"")).await;
    job::upload(tenant.id).await;
    let gone = tenant.webhook_that_is(&hook, "disabled").await;
    tenant.change(&hook, json!({"is_active": false})).await;
    assert_eq!(health(&tenant.webhook(&hook).await), health(&gone));
}

#[tokio::test]
async fn a_webhook_that_an_older_version_switched_on_is_active() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(status(200)).await;
    let hook = tenant.subscribe(&receiver).await;
    // Version 0.1.0 writes only `is_active`.
    let text = |text: &str| AttributeValue::S(text.to_owned());
    tenant.set_attribute(&hook, "disabled_at", text("2025-12-03T10:30:00Z")).await;
    tenant.set_attribute(&hook, "disabled_reason", text("gone")).await;
    let webhook = tenant.webhook(&hook).await;
    assert_eq!(health(&webhook), [&json!("ok"), &Value::Null, &Value::Null, &Value::Null]);
    job::upload(tenant.id).await;
    receiver.wait_for(1).await;

    tenant.change(&hook, json!({"is_active": false})).await;
    let off = tenant.webhook(&hook).await;
    assert_eq!(
        (&off["disabled_reason"], &off["disabled_at"]),
        (&json!("owner"), &off["updated_at"])
    );
}

#[tokio::test]
async fn a_patch_of_an_unknown_webhook_creates_no_row() {
    let tenant = Tenant::new().await;
    for is_active in [true, false] {
        let path = "/v1/webhooks/550e8400-e29b-41d4-a716-446655440000";
        let response =
            tenant.request(Method::PATCH, path, Some(json!({"is_active": is_active}))).await;
        assert_eq!(response.status, 404);
    }
    assert_eq!(tenant.request(Method::GET, "/v1/webhooks", None).await.body["total"], 0);
}
