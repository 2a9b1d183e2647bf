//! A webhook's history: exactly what was changed, by whom, also after the webhook's deletion, and only for its owner.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use harness::{answer, eventually, status};
use reqwest::Method;
use serde_json::{Map, Value, json};
use webhooks::audit::Actor;
use webhooks::store::webhooks::CreateError;
use webhooks::store::{AuditStore, DynamoDb, WebhookEditor, WebhookStore};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{DisabledReason, WebhookChanges};

use super::{URL, keys};
use crate::support::job;
use crate::support::tenant::{Hook, Response, Tenant};
use crate::support::world::World;

impl Tenant {
    async fn get_audit(&self, hook: &Hook, query: &str) -> Response {
        let path = format!("/v1/webhooks/{}/audit{query}", hook.id);
        self.request(Method::GET, &path, None).await
    }

    /// The whole history of a webhook with few changes, oldest first.
    async fn history(&self, hook: &Hook) -> Vec<Value> {
        let response = self.get_audit(hook, "?limit=100").await;
        assert_eq!((response.status, &response.body["next_cursor"]), (200, &Value::Null));
        response.body["changes"].as_array().expect("it is a list").iter().rev().cloned().collect()
    }

    /// The id of the tenant's only key.
    async fn key_id(&self) -> Value {
        let world = World::get();
        let store = docintell::keys::store(&world.aws(), &world.info().outputs.api_keys_table);
        let keys = store.list(self.id).await.expect("the keys can be listed");
        let [key] = keys.as_slice() else { panic!("{keys:?}") };
        json!(key.key_id)
    }
}

/// `action`, `before` and `after`.
fn what(change: &Value) -> [Value; 3] {
    ["action", "before", "after"].map(|name| change[name].clone())
}

/// Asserts that each change begins with what the ones before it have left, and returns what the last one left.
fn follow(history: &[Value]) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut last = String::new();
    for change in history {
        for (name, value) in change["before"].as_object().into_iter().flatten() {
            assert_eq!(fields.get(name), Some(value), "{name} before {change}");
        }
        fields.extend(change["after"].as_object().cloned().unwrap_or_default());
        let at = change["at"].as_str().expect("it is a time");
        let at = Timestamp::parse(at).expect("it is a time").unix_millis();
        let at = format!("{at:020}");
        assert!(last < at, "{change} is not later than the one before");
        last = at;
    }
    fields
}

#[tokio::test]
async fn every_change_is_in_the_history_with_its_key_also_after_the_deletion() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let change = json!({"max_retries": 3, "is_active": false, "retry_enabled": true});
    tenant.change(&hook, change.clone()).await;
    // Neither of these changes anything.
    tenant.change(&hook, change).await;
    tenant.change(&hook, json!({})).await;
    let rotate = format!("{path}/rotate");
    let rotated = tenant.request(Method::POST, &rotate, None).await.body;
    let until = &rotated["previous_secret_expires_at"];
    for _ in 0..2 {
        // The second time there is no overlap to end.
        let previous = format!("{path}/previous-secret");
        assert_eq!(tenant.request(Method::DELETE, &previous, None).await.status, 204);
    }
    tenant.change(&hook, json!({"is_active": true, "url": "https://other.invalid/"})).await;
    let before_deletion = tenant.history(&hook).await;
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(tenant.request(Method::GET, &path, None).await.status, 404);

    let history = tenant.history(&hook).await;
    assert_eq!(history[..5], before_deletion);
    let events = ["document.processing.completed", "document.processing.failed"];
    let fields = |url: &str, max_retries: u8| {
        json!({
            "url": url,
            "events": events,
            "is_active": true,
            "needs_test": false,
            "disabled_reason": null,
            "retry_enabled": true,
            "max_retries": max_retries,
            "previous_secret_expires_at": null,
        })
    };
    let expires = |value: &Value| json!({"previous_secret_expires_at": value});
    let expected = [
        [json!("create"), Value::Null, fields(URL, 5)],
        [
            json!("update"),
            json!({"max_retries": 5, "is_active": true, "disabled_reason": null}),
            json!({"max_retries": 3, "is_active": false, "disabled_reason": "owner"}),
        ],
        [json!("rotate"), expires(&Value::Null), expires(until)],
        [json!("end_overlap"), expires(until), expires(&Value::Null)],
        [
            json!("update"),
            json!({"url": URL, "is_active": false, "disabled_reason": "owner"}),
            json!({"url": "https://other.invalid/", "is_active": true, "disabled_reason": null}),
        ],
        [json!("delete"), fields("https://other.invalid/", 3), Value::Null],
    ];
    assert_eq!(history.iter().map(what).collect::<Vec<_>>(), expected);
    follow(&history);
    let key_id = tenant.key_id().await;
    assert!(history.iter().all(|change| change["key_id"] == key_id), "{history:?}");
    assert_eq!(history[2]["at"], rotated["updated_at"]);
}

#[tokio::test]
async fn every_field_of_a_webhook_but_its_id_its_times_and_its_health_is_in_its_history() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let shown = tenant.request(Method::GET, &path, None).await.body;
    let mut expected = keys(&shown);
    let id_and_times = ["webhook_config_id", "created_at", "updated_at"];
    for other in id_and_times.into_iter().chain(["health", "failing_since", "disabled_at"]) {
        assert!(expected.remove(other), "{other}");
    }
    let history = tenant.history(&hook).await;
    assert_eq!(keys(&history[0]["after"]), expected);
}

#[tokio::test]
async fn a_history_can_be_read_in_pages() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    for max_retries in 6..=9 {
        tenant.change(&hook, json!({"max_retries": max_retries})).await;
    }
    let (mut newest_first, mut pages, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let body = tenant.get_audit(&hook, &format!("?limit=2{cursor}")).await.body;
        let changes = body["changes"].as_array().expect("it is a list");
        pages.push(changes.len());
        newest_first.extend(changes.iter().cloned());
        let Some(next) = body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, [2, 2, 1]);
    newest_first.reverse();
    assert_eq!(newest_first, tenant.history(&hook).await);
    let whole = tenant.get_audit(&hook, "?limit=5").await.body;
    assert_eq!(whole["next_cursor"], Value::Null, "the page has all that there are");

    for (query, parameter) in [("?limit=0", "limit"), ("?cursor=x", "cursor"), ("?a=1", "a")] {
        let refused = tenant.get_audit(&hook, query).await;
        assert_eq!(
            (refused.status, &refused.body["error"]),
            (400, &json!("invalid_parameter")),
            "{query}"
        );
        assert!(refused.body["details"][parameter].is_string(), "{}", refused.body);
    }
}

#[tokio::test]
async fn only_its_owner_sees_a_history_and_a_stranger_cannot_tell_that_there_is_one() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    tenant.change(&hook, json!({"max_retries": 1})).await;
    let cursor = tenant.get_audit(&hook, "?limit=1").await.body["next_cursor"].clone();
    let cursor = format!("?cursor={}", cursor.as_str().expect("there is another page"));
    let stranger = Tenant::new().await;
    let own = stranger.create(json!({"url": URL})).await;
    let unknown = Hook { id: job::new_id(), secret: String::new() };
    let malformed = Hook { id: "x".to_owned(), secret: String::new() };
    for query in ["", &cursor] {
        for hook in [&hook, &unknown, &malformed] {
            let refused = stranger.get_audit(hook, query).await;
            assert_eq!(
                (refused.status, &refused.body["error"]),
                (404, &json!("webhook_not_found")),
                "{query}"
            );
        }
    }
    // The cursor of another webhook is only a position.
    assert_eq!(stranger.get_audit(&own, &cursor).await.body["changes"], json!([]));
    let path = format!("/v1/webhooks/{}", hook.id);
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(stranger.get_audit(&hook, "").await.status, 404);
    let keyless = tenant.unsent(Method::GET, &format!("{path}/audit"));
    assert_eq!(Tenant::send(keyless).await.status, 401);
}

#[tokio::test]
async fn concurrent_changes_of_different_fields_are_all_made_and_follow_each_other() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let changes = [
        json!({"max_retries": 9}),
        json!({"retry_enabled": false}),
        json!({"events": ["document.uploaded"]}),
        json!({"url": "https://other.invalid/"}),
    ];
    let requests = changes.iter().map(|it| tenant.request(Method::PATCH, &path, Some(it.clone())));
    let rotate = format!("{path}/rotate");
    let (responses, rotated) =
        tokio::join!(join_all(requests), tenant.request(Method::POST, &rotate, None));
    assert!(responses.iter().all(|response| response.status == 200), "{responses:?}");
    assert_eq!(rotated.status, 200);

    let history = tenant.history(&hook).await;
    assert_eq!(history.len(), 6);
    let fields = follow(&history);
    let shown = tenant.request(Method::GET, &path, None).await.body;
    for (name, value) in &fields {
        assert_eq!(&shown[name], value, "{name}");
    }
    for change in changes {
        let is_there = |it: &&Value| it["after"] == change;
        assert_eq!(history.iter().filter(is_there).count(), 1, "{change}");
    }
}

#[tokio::test]
async fn the_service_switches_a_webhook_off_without_a_key_and_exactly_once() {
    let (tenant, _receiver, hook) = Tenant::subscribed(answer(410, &[], b"")).await;
    for _ in 0..5 {
        job::upload(tenant.id).await;
    }
    let history = eventually("the switch-off in the history", async || {
        Some(tenant.history(&hook).await).filter(|history| history.len() > 1)
    })
    .await;
    let [_created, disabled] = history.as_slice() else { panic!("{history:?}") };
    let before = json!({"is_active": true, "disabled_reason": null});
    let after = json!({"is_active": false, "disabled_reason": "gone"});
    assert_eq!(what(disabled), [json!("disable"), before, after]);
    assert_eq!(disabled["key_id"], Value::Null);
    let path = format!("/v1/webhooks/{}", hook.id);
    let shown = tenant.request(Method::GET, &path, None).await.body;
    assert_eq!(shown["disabled_at"], disabled["at"]);
}

#[tokio::test]
async fn a_webhook_that_is_older_than_its_history_has_an_empty_one() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let world = World::get();
    let client = aws_sdk_dynamodb::Client::new(&world.aws());
    let table = &world.info().outputs.webhook_audit_table;
    let key = AttributeValue::S(format!("{}/{}", tenant.id, hook.id));
    let rows = client.query().table_name(table).key_condition_expression("webhook = :webhook");
    let rows = rows.expression_attribute_values(":webhook", key.clone()).send().await;
    for row in rows.expect("the table can be read").items() {
        let delete = client.delete_item().table_name(table).key("webhook", key.clone());
        let delete = delete.key("change_id", row["change_id"].clone());
        delete.send().await.expect("the row can be deleted");
    }
    let empty = tenant.get_audit(&hook, "").await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.body, json!({"changes": [], "next_cursor": null}));
    let path = format!("/v1/webhooks/{}", hook.id);
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);
    let actions: Vec<_> =
        tenant.history(&hook).await.into_iter().map(|it| it["action"].clone()).collect();
    assert_eq!(actions, ["delete"]);
}

#[tokio::test]
async fn a_change_without_its_row_of_the_history_does_not_happen() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let id = hook.id.parse().expect("it is an id");
    let world = World::get();
    let dynamodb = DynamoDb::new(&world.aws());
    let store = WebhookStore::new(dynamodb.clone(), world.info().outputs.webhooks_table.clone());
    let nowhere = AuditStore::new(dynamodb, "NoSuchTable".to_owned(), Duration::from_hours(24));
    let editor = WebhookEditor::new(store.clone(), nowhere);
    let read = async || store.get(tenant.id, id).await.expect("the row can be read");
    let before = read().await.expect("the webhook exists");

    let (actor, now) = (Actor::Operator, Timestamp::now());
    let off = WebhookChanges { is_active: Some(false), ..WebhookChanges::default() };
    assert!(editor.update(tenant.id, id, &off, actor, now).await.is_err());
    assert!(editor.disable(&before, DisabledReason::Gone, now).await.is_err());
    assert!(editor.delete(tenant.id, id, actor, now).await.is_err());
    let mut other = before.clone();
    other.id = job::new_id().parse().expect("it is an id");
    assert!(matches!(editor.create(&other, actor, 50).await, Err(CreateError::Store(_))));
    assert_eq!(read().await, Some(before));
    assert_eq!(store.get(tenant.id, other.id).await.expect("the table can be read"), None);
}

#[tokio::test]
async fn no_signing_secret_is_in_any_history() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(200)).await;
    let path = format!("/v1/webhooks/{}/rotate", hook.id);
    let rotated = tenant.request(Method::POST, &path, None).await.body;
    let new = rotated["signing_secret"].as_str().expect("there is a secret");
    assert_eq!(tenant.history(&hook).await.len(), 2);
    let world = World::get();
    let client = aws_sdk_dynamodb::Client::new(&world.aws());
    let table = &world.info().outputs.webhook_audit_table;
    let mut rows = client.scan().table_name(table).into_paginator().items().send();
    while let Some(row) = rows.next().await {
        let row = format!("{:?}", row.expect("the table can be read"));
        for secret in [&hook.secret, new, "whsec_"] {
            assert!(!row.contains(secret), "a secret is in a history");
        }
    }
}
