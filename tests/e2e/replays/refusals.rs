//! Requests about replays that are refused and change nothing.

use harness::{Receiver, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::id::ReplayId;

use super::Past;
use crate::support::tenant::Tenant;

/// Every route of a webhook's replays.
fn routes(webhook: &str, replay: &str) -> [(Method, String, Option<Value>); 6] {
    let replays = format!("/v1/webhooks/{webhook}/replays");
    let replay = format!("{replays}/{replay}");
    let body = json!({"since": "2025-12-03T10:00:00Z", "status": "all"});
    [
        (Method::POST, replays.clone(), Some(body)),
        (Method::GET, replays, None),
        (Method::GET, replay.clone(), None),
        (Method::POST, format!("{replay}/pause"), None),
        (Method::POST, format!("{replay}/resume"), None),
        (Method::DELETE, replay, None),
    ]
}

#[tokio::test]
async fn another_tenants_replays_cannot_be_seen_started_or_changed() {
    let past = Past::failed(3).await;
    let path = past.start(json!({"rate_per_second": 1})).await;
    past.change(Method::POST, &format!("{path}/pause")).await;
    let replay = super::replay_id(&path).to_string();

    let stranger = Tenant::new().await;
    let receiver = Receiver::start(status(200)).await;
    let own = stranger.subscribe(&receiver).await;
    for (method, path, body) in routes(&past.hook.id, &replay) {
        let response = stranger.request(method.clone(), &path, body).await;
        let code = (response.status, &response.body["error"]);
        assert_eq!(code, (404, &json!("webhook_not_found")), "{method} {path}");
    }
    // The stranger's own webhook does not have the replay.
    for (method, path, body) in routes(&own.id, &replay).into_iter().skip(2) {
        let response = stranger.request(method.clone(), &path, body).await;
        let code = (response.status, &response.body["error"]);
        assert_eq!(code, (404, &json!("replay_not_found")), "{method} {path}");
    }
    let path = format!("/v1/webhooks/{}/replays", own.id);
    let list = stranger.request(Method::GET, &path, None).await;
    assert_eq!(list.body, json!({"replays": []}));
    let dry_run = json!({"since": past.since, "status": "all", "dry_run": true});
    let dry_run = stranger.request(Method::POST, &path, Some(dry_run)).await;
    assert_eq!((&dry_run.body["count"], &dry_run.body["sample"]), (&json!(0), &json!([])));
    let list = past.get(&past.path()).await;
    assert_eq!(list["replays"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["replays"][0]["state"], "paused");
}

#[tokio::test]
async fn an_unknown_or_malformed_replay_is_not_found() {
    let past = Past::new().await;
    for replay in [ReplayId::random().to_string(), "1".to_owned(), "latest".to_owned()] {
        for (method, path, body) in routes(&past.hook.id, &replay).into_iter().skip(2) {
            let response = past.tenant.request(method.clone(), &path, body).await;
            let code = (response.status, &response.body["error"]);
            assert_eq!(code, (404, &json!("replay_not_found")), "{method} {path}");
        }
    }
    for (method, path, body) in routes("550e8400-e29b-41d4-a716-446655440009", "1") {
        assert_eq!(past.tenant.request(method, &path, body).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_invalid_field_is_named_and_nothing_is_started() {
    let past = Past::failed(1).await;
    for (field, value) in [
        ("since", json!("yesterday")),
        ("since", json!("2999-01-01T00:00:00Z")),
        ("until", json!(1)),
        ("until", json!("2000-01-01T00:00:00Z")),
        ("status", json!("failed")),
        ("status", json!(["pending"])),
        ("event", json!("document.deleted")),
        ("document_id", json!("")),
        ("job_id", json!([])),
        ("rate_per_second", json!(0)),
        ("rate_per_second", json!(501)),
        ("dry_run", json!("yes")),
        ("limit", json!(1)),
    ] {
        let response = past.post(json!({field: value})).await;
        let code = (response.status, &response.body["error"]);
        assert_eq!(code, (422, &json!("validation_error")), "{field}: {value}");
        let details = response.body["details"].as_object().expect("it is an object");
        // A range that ends before it begins is a fault of `since`.
        let named = if field == "until" && value.is_string() { "since" } else { field };
        assert_eq!(details.keys().collect::<Vec<_>>(), [named], "{field}: {value}");
    }
    let response = past.tenant.request(Method::POST, &past.path(), Some(json!({}))).await;
    assert_eq!((response.status, &response.body["details"]["since"]), (422, &json!("is required")));
    let response = past.tenant.request(Method::POST, &past.path(), None).await;
    assert_eq!(response.status, 415);
    assert_eq!(past.get(&past.path()).await, json!({"replays": []}));
    assert_eq!(past.arrived(), [0; 0]);
}

#[tokio::test]
async fn a_query_parameter_is_refused_on_every_route() {
    let past = Past::failed(1).await;
    let path = past.start(json!({"rate_per_second": 1})).await;
    let before = past.until(&path, "completed").await;
    let replay = super::replay_id(&path).to_string();
    for (method, path, body) in routes(&past.hook.id, &replay) {
        let response = past.tenant.request(method.clone(), &format!("{path}?limit=1"), body).await;
        let code = (response.status, &response.body["error"]);
        assert_eq!(code, (400, &json!("invalid_parameter")), "{method} {path}");
        assert_eq!(response.body["details"]["limit"], "is not a known parameter");
    }
    assert_eq!(past.get(&path).await, before);
}
