//! Replays that are paused, resumed, cancelled, or lose their webhook.

use std::time::Duration;

use futures_util::future::join_all;
use harness::eventually;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use webhooks::timestamp::Timestamp;

use super::{Past, replay_id};

/// A replay of 40 deliveries that takes 8 seconds, after it has sent some of them.
async fn under_way() -> (Past, String) {
    let past = Past::failed(40).await;
    let path = past.start(json!({"rate_per_second": 5})).await;
    past.receiver.wait_for(3).await;
    (past, path)
}

/// Waits until a stopped replay sends no more. Returns what has arrived.
async fn at_rest(past: &Past) -> Vec<u64> {
    let mut arrived = past.arrived();
    eventually("the end of the replay's posts", async || {
        sleep(Duration::from_secs(3)).await;
        let before = std::mem::replace(&mut arrived, past.arrived());
        (before == arrived).then_some(())
    })
    .await;
    arrived
}

#[tokio::test]
async fn a_paused_replay_stops_within_seconds_and_goes_on_when_it_is_resumed() {
    let (past, path) = under_way().await;
    let paused = past.change(Method::POST, &format!("{path}/pause")).await;
    assert_eq!(paused["state"], "paused");
    let arrived = at_rest(&past).await;
    assert!(arrived.len() < 40, "it was not paused in time");
    let replay = past.get(&path).await;
    assert_eq!((&replay["state"], &replay["completed_at"]), (&json!("paused"), &Value::Null));
    assert_eq!(replay["sent"], arrived.len(), "all that was sent is noted");
    assert_eq!(past.change(Method::POST, &format!("{path}/pause")).await["state"], "paused");
    assert_eq!(past.post(json!({})).await.body["error"], "replay_running", "it counts as running");

    let resumed = past.change(Method::POST, &format!("{path}/resume")).await;
    assert_eq!(resumed["state"], "running");
    let replay = past.until(&path, "completed").await;
    assert_eq!(replay["sent"], 40);
    past.assert_arrived_once(0..40).await;
}

#[tokio::test]
async fn a_replay_that_is_resumed_while_it_runs_still_sends_everything_once() {
    let (past, path) = under_way().await;
    for _ in 0..3 {
        past.change(Method::POST, &format!("{path}/resume")).await;
    }
    past.change(Method::POST, &format!("{path}/pause")).await;
    past.change(Method::POST, &format!("{path}/resume")).await;
    let replay = past.until(&path, "completed").await;
    assert_eq!(replay["sent"], 40);
    past.assert_arrived_once(0..40).await;
}

#[tokio::test]
async fn a_cancelled_replay_sends_no_more_and_another_one_sends_the_rest() {
    let (past, path) = under_way().await;
    let cancelled = past.change(Method::DELETE, &path).await;
    assert_eq!(cancelled["state"], "cancelled");
    assert!(cancelled["completed_at"].is_string());
    assert_eq!(past.change(Method::DELETE, &path).await["state"], "cancelled");
    let first = at_rest(&past).await;
    assert!(first.len() < 40, "it was not cancelled in time");
    for action in ["pause", "resume"] {
        let response = past.tenant.request(Method::POST, &format!("{path}/{action}"), None).await;
        assert_eq!((response.status, &response.body["error"]), (409, &json!("replay_ended")));
    }

    let rest = past.start(json!({})).await;
    past.until(&rest, "completed").await;
    past.assert_arrived_once(0..40).await;
    let response = past.tenant.request(Method::DELETE, &rest, None).await;
    assert_eq!((response.status, &response.body["error"]), (409, &json!("replay_ended")));
}

#[tokio::test]
async fn only_one_of_several_concurrent_creates_starts_a_replay() {
    let past = Past::failed(30).await;
    let responses = join_all((0..5).map(|_| past.post(json!({"rate_per_second": 1})))).await;
    let started: Vec<_> = responses.iter().filter(|it| it.status == 201).collect();
    assert_eq!(started.len(), 1, "{responses:?}");
    for refused in responses.iter().filter(|it| it.status != 201) {
        assert_eq!((refused.status, &refused.body["error"]), (409, &json!("replay_running")));
    }
    assert_eq!(past.post(json!({"dry_run": true})).await.status, 200, "a dry run is allowed");
    let list = past.get(&past.path()).await;
    assert_eq!(list["replays"].as_array().map(Vec::len), Some(1));
    let path = format!("{}/{}", past.path(), super::text(&started[0].body["replay_id"]));
    past.change(Method::DELETE, &path).await;
}

#[tokio::test]
async fn a_webhook_that_is_switched_off_on_the_way_cancels_its_replay() {
    let (past, path) = under_way().await;
    past.tenant.change(&past.hook, json!({"is_active": false})).await;
    let replay = past.until(&path, "cancelled").await;
    assert!(replay["completed_at"].is_string());
    let stored = past.replays.get(past.webhook, replay_id(&path)).await.expect("it can be read");
    let reason = stored.expect("there is a row").reason;
    assert_eq!(reason.as_deref(), Some("the webhook is switched off"));
    let refused = past.post(json!({})).await;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("webhook_inactive")));
    assert_eq!(past.post(json!({"dry_run": true})).await.status, 200, "a dry run is allowed");
}

#[tokio::test]
async fn a_paused_replay_is_not_resumed_while_its_webhook_is_off() {
    let (past, path) = under_way().await;
    past.change(Method::POST, &format!("{path}/pause")).await;
    past.tenant.change(&past.hook, json!({"is_active": false})).await;
    let resume = format!("{path}/resume");
    let refused = past.tenant.request(Method::POST, &resume, None).await;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("webhook_inactive")));
    assert_eq!(past.get(&path).await["state"], "paused");
    past.tenant.change(&past.hook, json!({"is_active": true})).await;
    past.change(Method::POST, &resume).await;
    past.until(&path, "completed").await;
}

#[tokio::test]
async fn a_webhook_that_is_deleted_on_the_way_cancels_its_replay() {
    let (past, path) = under_way().await;
    let webhook = format!("/v1/webhooks/{}", past.hook.id);
    assert_eq!(past.tenant.request(Method::DELETE, &webhook, None).await.status, 204);
    eventually("a cancelled replay", async || {
        let replay = past.replays.get(past.webhook, replay_id(&path)).await.expect("it is read");
        let replay = replay.expect("there is a row");
        let cancelled = webhooks::replay::ReplayState::Cancelled;
        (replay.state_at(Timestamp::now()) == cancelled).then_some(())
    })
    .await;
    let response = past.tenant.request(Method::GET, &path, None).await;
    assert_eq!((response.status, &response.body["error"]), (404, &json!("webhook_not_found")));
}
