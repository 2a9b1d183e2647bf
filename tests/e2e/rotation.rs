//! Rotations on the deployed stack: no event is lost while a receiver changes from the old secret to the new one.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Arrival, eventually, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::rotation::StagingLabel;
use webhooks::secret::SigningSecret;
use webhooks::secrets::SecretStore;
use webhooks::timestamp::Timestamp;

use crate::support::guide_receiver::GuideReceiver;
use crate::support::job;
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::World;

/// Rotates the webhook's secret and returns the new one.
async fn rotate(tenant: &Tenant, hook: &Hook, body: Option<Value>) -> String {
    let path = format!("/v1/webhooks/{}/rotate", hook.id);
    let response = tenant.request(Method::POST, &path, body).await;
    assert_eq!(response.status, 200, "{:?}", response.body);
    response.body["signing_secret"].as_str().expect("rotate returns the secret").to_owned()
}

async fn end_overlap(tenant: &Tenant, hook: &Hook) {
    let path = format!("/v1/webhooks/{}/previous-secret", hook.id);
    let response = tenant.request(Method::DELETE, &path, None).await;
    assert_eq!((response.status, response.body), (204, Value::Null));
}

/// `previous_secret_expires_at` of the webhook; null outside of an overlap.
async fn expires_at(tenant: &Tenant, hook: &Hook) -> Value {
    let path = format!("/v1/webhooks/{}", hook.id);
    let body = tenant.request(Method::GET, &path, None).await.body;
    body.get("previous_secret_expires_at").expect("the field is always there").clone()
}

/// Uploads documents; returns their ids.
async fn upload(tenant: &Tenant, count: usize) -> BTreeSet<String> {
    let ids: BTreeSet<String> = std::iter::repeat_with(job::new_id).take(count).collect();
    join_all(ids.iter().map(|document| {
        job::put(json!({
            "job_id": job::new_id(),
            "document_id": document,
            "tenant_id": tenant.id.to_string(),
            "status": "queued",
            "updated_at": Timestamp::now().to_string(),
        }))
    }))
    .await;
    ids
}

/// Waits until the receiver has handled all these documents.
async fn handled(receiver: &GuideReceiver, documents: &BTreeSet<String>) {
    eventually("the guide's receiver to handle every document", async || {
        let handled: BTreeSet<_> = receiver.uploads().into_iter().collect();
        documents.is_subset(&handled).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_guides_receiver_loses_no_event_while_it_changes_to_the_new_secret() {
    // The webhook needs the receiver's URL, and the receiver needs the webhook's secret.
    let receiver = GuideReceiver::start("not yet known").await;
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": receiver.url(), "events": ["document.uploaded"]})).await;
    receiver.switch_to(&hook.secret).await;

    // Some events before the rotation, some during it, some after it.
    let before = upload(&tenant, 5).await;
    let (new, during) = tokio::join!(rotate(&tenant, &hook, None), upload(&tenant, 10));
    let after = upload(&tenant, 5).await;
    let with_the_old_secret = [before, during, after].into_iter().flatten().collect();
    handled(&receiver, &with_the_old_secret).await;

    receiver.switch_to(&new).await;
    let with_the_new_secret = upload(&tenant, 5).await;
    handled(&receiver, &with_the_new_secret).await;
    end_overlap(&tenant, &hook).await;
    let after_the_overlap = upload(&tenant, 5).await;
    handled(&receiver, &after_the_overlap).await;

    let sent = with_the_old_secret.len() + with_the_new_secret.len() + after_the_overlap.len();
    let rows = eventually("every delivery in the log", async || {
        Some(tenant.deliveries(&hook).await).filter(|rows| rows.len() == sent)
    })
    .await;
    let mut second_posts = 0;
    for row in rows {
        assert_eq!(
            (row.summary.status, row.attempts.len()),
            (DeliveryStatus::Delivered, 1),
            "{row:?}"
        );
        assert_eq!(row.attempts[0].status_code, Some(200));
        let refused = row.attempts[0].first_status_code;
        assert!(matches!(refused, None | Some(401)), "{row:?}");
        second_posts += usize::from(refused.is_some());
        let has_old_secret = with_the_old_secret.iter().any(|id| row.body.contains(id));
        assert!(has_old_secret || refused.is_none(), "a second POST after the change: {row:?}");
    }
    assert!(second_posts >= 5, "each event after the rotation needs two POSTs, not {second_posts}");
    assert!(World::get().dead_letters_of(&hook.id).is_empty());
}

/// Uploads a document and returns the request that reports it.
async fn next_arrival(tenant: &Tenant, receiver: &harness::Receiver) -> Arrival {
    let count = receiver.arrivals().len();
    job::upload(tenant.id).await;
    receiver.wait_for(count + 1).await.remove(count)
}

/// Which of the secrets the official library of Standard Webhooks accepts.
fn accepted<const N: usize>(arrival: &Arrival, secrets: [&str; N]) -> [bool; N] {
    secrets.map(|secret| arrival.passes_standard_webhooks(secret))
}

#[tokio::test]
async fn standard_webhooks_verifies_with_either_secret_until_the_overlap_is_ended() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let old = hook.secret.as_str();
    assert_eq!(accepted(&next_arrival(&tenant, &receiver).await, [old]), [true]);

    let new = &rotate(&tenant, &hook, None).await;
    let arrival = next_arrival(&tenant, &receiver).await;
    assert_eq!(accepted(&arrival, [old, new]), [true, true]);
    assert!(arrival.is_signed_with(new) && !arrival.is_signed_with(old));

    end_overlap(&tenant, &hook).await;
    let arrival = next_arrival(&tenant, &receiver).await;
    assert_eq!(accepted(&arrival, [old, new]), [false, true]);
    assert!(arrival.is_signed_with(new));
}

#[tokio::test]
async fn a_rotation_inside_an_overlap_drops_the_oldest_secret() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let second = &rotate(&tenant, &hook, None).await;
    let third = &rotate(&tenant, &hook, Some(json!({}))).await;
    let arrival = next_arrival(&tenant, &receiver).await;
    assert_eq!(accepted(&arrival, [&hook.secret, second, third]), [false, true, true]);
    let fourth = &rotate(&tenant, &hook, Some(json!({"overlap_seconds": 0}))).await;
    let arrival = next_arrival(&tenant, &receiver).await;
    assert_eq!(accepted(&arrival, [second, third, fourth]), [false, false, true]);
}

#[tokio::test]
async fn the_webhook_shows_when_the_overlap_ends_and_null_after_its_end() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    assert_eq!(expires_at(&tenant, &hook).await, Value::Null);
    let before = Timestamp::now().plus(Duration::from_hours(24));
    let rotated = tenant.request(Method::POST, &format!("{path}/rotate"), None).await.body;
    let shown = rotated["previous_secret_expires_at"].clone();
    let until = Timestamp::parse(shown.as_str().expect("it is a time")).expect("it is a time");
    assert!(before <= until && until <= Timestamp::now().plus(Duration::from_hours(24)), "{until}");
    assert_eq!(expires_at(&tenant, &hook).await, shown);
    let list = tenant.request(Method::GET, "/v1/webhooks", None).await.body;
    assert_eq!(list["webhooks"][0]["previous_secret_expires_at"], shown);

    end_overlap(&tenant, &hook).await;
    let ended = tenant.request(Method::GET, &path, None).await.body;
    assert_eq!(ended["previous_secret_expires_at"], Value::Null);
    assert!(ended["updated_at"].as_str() > rotated["updated_at"].as_str());
    // Without an overlap, nothing changes.
    end_overlap(&tenant, &hook).await;
    assert_eq!(tenant.request(Method::GET, &path, None).await.body, ended);

    let old = rotated["signing_secret"].as_str().expect("there is a secret");
    let new = &rotate(&tenant, &hook, Some(json!({"overlap_seconds": 1}))).await;
    eventually("the end of an overlap of one second", async || {
        expires_at(&tenant, &hook).await.is_null().then_some(())
    })
    .await;
    let arrival = next_arrival(&tenant, &receiver).await;
    assert_eq!(accepted(&arrival, [old, new]), [false, true]);
}

#[tokio::test]
async fn rotations_that_fail_after_storing_their_version_lose_no_secret_in_force() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let secrets = SecretStore::new(
        aws_sdk_secretsmanager::Client::new(&World::get().aws()),
        "docintell-webhooks".to_owned(),
    );
    let fail = async |label| {
        for _ in 0..3 {
            let secret = SigningSecret::generate().expect("there are random bytes");
            let id = hook.id.parse().expect("it is an id");
            secrets.put(tenant.id, id, &secret, label).await.expect("the version can be stored");
        }
    };
    let mut known = vec![hook.secret.clone()];
    let mut label = None;
    for _ in 0..4 {
        let next = StagingLabel::after(label);
        fail(next).await;
        known.push(rotate(&tenant, &hook, None).await);
        label = Some(next);
        fail(StagingLabel::after(label)).await;
        let arrival = next_arrival(&tenant, &receiver).await;
        let [.., old, new] = known.as_slice() else { panic!("there are two secrets") };
        assert_eq!(accepted(&arrival, [old, new]), [true, true]);
    }
}
