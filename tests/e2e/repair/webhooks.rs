//! `docintell webhooks`.

use harness::{Receiver, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::timestamp::Timestamp;

use super::OperatorOf;
use crate::support::bus::Bus;
use crate::support::job;
use crate::support::operator::Operator;
use crate::support::tenant::{Hook, Tenant};

/// The webhook as the API shows it.
async fn shown_by_the_api(tenant: &Tenant, hook: &Hook) -> Value {
    tenant.request(Method::GET, &format!("/v1/webhooks/{}", hook.id), None).await.body
}

#[tokio::test]
async fn webhooks_are_listed_with_their_health_and_without_their_secrets() {
    let (tenant, _receiver, failing) = Tenant::subscribed(status(400)).await;
    let other = Receiver::start(status(200)).await;
    let off = tenant.subscribe(&other).await;
    job::upload(tenant.id).await;
    tenant.delivery(&failing, DeliveryStatus::Failed).await;
    tenant.change(&off, json!({"is_active": false})).await;
    let operator = OperatorOf::new(&tenant).await;

    let listed = operator.json("webhooks list").await;
    assert_eq!(listed.len(), 2);
    for (hook, health, reason) in
        [(&failing, "failing", Value::Null), (&off, "disabled", json!("owner"))]
    {
        let shown = shown_by_the_api(&tenant, hook).await;
        let webhook = listed.iter().find(|it| it["webhook_config_id"] == hook.id);
        let webhook = webhook.expect("the webhook is listed");
        for (name, value) in shown.as_object().expect("a webhook is an object") {
            assert_eq!(&webhook[name], value, "{name}");
        }
        assert_eq!((&webhook["health"], &webhook["disabled_reason"]), (&json!(health), &reason));
        assert_eq!(webhook["tenant_id"], operator.tenant_id);
        assert_eq!(webhook["failing_since"].is_string(), health == "failing");
    }

    let table = operator.run("webhooks list").await.succeeded();
    assert!(table.printed.starts_with("id ") && table.printed.lines().count() == 3, "{table:?}");
    assert!(table.printed.contains(&other.url()), "{table:?}");
    assert_eq!(table.noted, format!("2 webhooks of tenant {}.\n", tenant.id));
    let full = operator.run(&format!("webhooks show {}", off.id)).await.succeeded();
    assert!(full.printed.contains("disabled_reason               owner\n"), "{full:?}");
    for ended in [table, full] {
        for hook in [&failing, &off] {
            assert!(!ended.printed.contains(&hook.secret));
        }
    }
}

#[tokio::test]
async fn an_operator_switches_a_webhook_off_and_on_and_each_change_is_announced() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(200)).await;
    let (bus, operator) = (Bus::of(&tenant).await, OperatorOf::new(&tenant).await);

    let off = operator.json(&format!("webhooks disable {}", hook.id)).await.remove(0);
    assert_eq!((&off["changed"], &off["announced"]), (&json!(true), &json!(true)));
    let shown = shown_by_the_api(&tenant, &hook).await;
    assert_eq!((&shown["is_active"], &shown["disabled_reason"]), (&json!(false), &json!("owner")));
    let event = bus.next().await;
    assert_eq!(event["detail-type"], "Webhook Disabled");
    assert_eq!(event["detail"]["webhook_config_id"], hook.id);
    assert_eq!(event["detail"]["at"], shown["disabled_at"]);

    let again = operator.run(&format!("webhooks disable {}", hook.id)).await.succeeded();
    assert!(again.printed.contains("is off already: nothing was changed"), "{again:?}");
    assert_eq!(shown_by_the_api(&tenant, &hook).await, shown);

    let on = operator.run(&format!("webhooks enable {}", hook.id)).await.succeeded();
    assert!(on.printed.contains("is switched on. The change was announced"), "{on:?}");
    let off_at = off["disabled_at"].as_str().expect("it is a time");
    let off_at = Timestamp::parse(off_at).expect("it is a time").unix_millis();
    // Events that failed before are older than the switch-off.
    let since = Timestamp::from_unix_millis(off_at - 3_600_000).whole_seconds();
    let next = format!("Next: `replay start --webhook-id {} --since {since}` sends", hook.id);
    assert!(on.printed.contains(&next), "{on:?}");
    // Only two changes were announced.
    assert_eq!(bus.next().await["detail-type"], "Webhook Enabled");
    assert_eq!(shown_by_the_api(&tenant, &hook).await["is_active"], true);
}

#[tokio::test]
async fn another_tenants_webhook_is_neither_shown_nor_switched() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(200)).await;
    let stranger = OperatorOf::new(&Tenant::new().await).await;
    for command in ["show", "disable", "enable"] {
        let refused = stranger.run(&format!("webhooks {command} {}", hook.id)).await.failed();
        let complaint = format!("tenant {} has no webhook {}", stranger.tenant_id, hook.id);
        assert!(refused.noted.contains(&complaint) && refused.printed.is_empty(), "{refused:?}");
    }
    assert_eq!(shown_by_the_api(&tenant, &hook).await["is_active"], true);
    let none = stranger.run("webhooks list").await.succeeded();
    assert_eq!(none.printed, "");
    assert_eq!(none.noted, format!("0 webhooks of tenant {}.\n", stranger.tenant_id));
    assert_eq!(stranger.json("webhooks list").await, [Value::Null; 0]);
}

#[tokio::test]
async fn the_local_stacks_tenant_is_the_default() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(200)).await;
    let mut operator = Operator::new().await;
    operator.info.tenant_id = tenant.id;
    operator.save();
    let listed = operator.run(&["webhooks", "list", "--json"]).await.succeeded().objects();
    assert_eq!(listed[0]["webhook_config_id"], hook.id);
}

#[tokio::test]
async fn an_operator_sees_who_has_changed_a_webhook_also_after_its_deletion() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(200)).await;
    let operator = OperatorOf::new(&tenant).await;
    operator.run(&format!("webhooks disable {}", hook.id)).await.succeeded();
    let path = format!("/v1/webhooks/{}", hook.id);
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);

    let shown = tenant.request(Method::GET, &format!("{path}/audit"), None).await.body;
    let changes = operator.json(&format!("webhooks history {}", hook.id)).await;
    let actors: Vec<_> = changes.iter().map(|it| (&it["action"], &it["actor"])).collect();
    let [created, disabled, deleted] = ["create", "update", "delete"].map(|it| json!(it));
    let [key, operated] = ["key", "operator"].map(|it| json!(it));
    assert_eq!(actors, [(&deleted, &key), (&disabled, &operated), (&created, &key)]);
    for (change, shown) in changes.iter().zip(shown["changes"].as_array().expect("it is a list")) {
        for (name, value) in shown.as_object().expect("it is an object") {
            assert_eq!(&change[name], value, "{name}");
        }
    }

    let table = operator.run(&format!("webhooks history {} --limit 2", hook.id)).await.succeeded();
    let line = table.printed.lines().nth(2).expect("there is a line for each change");
    assert!(line.contains("  update  operator "), "{line}");
    assert!(line.contains("is_active true → false"), "{line}");
    let notes = [
        format!("Webhook {} is deleted.", hook.id),
        format!("2 changes of webhook {}; there are more: raise --limit.", hook.id),
    ];
    assert_eq!(table.noted.lines().collect::<Vec<_>>(), notes);

    let stranger = OperatorOf::new(&Tenant::new().await).await;
    let refused = stranger.run(&format!("webhooks history {}", hook.id)).await.failed();
    assert!(refused.noted.contains("has no webhook") && refused.printed.is_empty(), "{refused:?}");
}
