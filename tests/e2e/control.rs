//! What a tenant changes holds at once, also for deliveries that are queued already.

use harness::{Receiver, status};
use reqwest::Method;
use serde_json::json;
use webhooks::delivery::DeliveryStatus;

use crate::support::job;
use crate::support::tenant::Tenant;

#[tokio::test]
async fn switching_off_cancels_what_is_queued_and_lets_nothing_new_in() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(500)).await;
    job::upload(tenant.id).await;
    receiver.wait_for(1).await;
    tenant.change(&hook, json!({"is_active": false})).await;

    let row = tenant.delivery(&hook, DeliveryStatus::Cancelled).await;
    assert_eq!(row.reason.as_deref(), Some("the webhook is switched off"));
    let seen = receiver.arrivals().len();
    assert_eq!(row.attempts.len(), seen);
    let witness = Receiver::start(status(200)).await;
    tenant.subscribe(&witness).await;
    job::upload(tenant.id).await;
    witness.wait_for(1).await;
    assert_eq!(tenant.deliveries(&hook).await.len(), 1);
    assert_eq!(receiver.arrivals().len(), seen);
}

#[tokio::test]
async fn deleting_cancels_what_is_queued() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(500)).await;
    job::upload(tenant.id).await;
    receiver.wait_for(1).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);

    let row = tenant.delivery(&hook, DeliveryStatus::Cancelled).await;
    assert_eq!(row.reason.as_deref(), Some("the webhook was deleted"));
}

#[tokio::test]
async fn a_changed_url_gets_what_is_queued() {
    let tenant = Tenant::new().await;
    let old = Receiver::start(status(500)).await;
    let new = Receiver::start(status(200)).await;
    let hook = tenant.subscribe(&old).await;
    job::upload(tenant.id).await;
    old.wait_for(1).await;
    tenant.change(&hook, json!({"url": new.url()})).await;

    let arrival = new.wait_for(1).await.remove(0);
    assert_eq!(arrival.body, old.arrivals()[0].body);
    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
}

#[tokio::test]
async fn rotating_changes_the_signature_of_the_next_attempt() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(500)).await;
    job::upload(tenant.id).await;
    receiver.wait_for(1).await;
    let path = format!("/v1/webhooks/{}/rotate", hook.id);
    let rotated = tenant.request(Method::POST, &path, None).await;
    let new_secret = rotated.body["signing_secret"].as_str().expect("rotate answers a secret");
    // One attempt may have begun before.
    receiver.wait_for(receiver.arrivals().len() + 1).await;
    receiver.now(status(200));

    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    let arrivals = receiver.arrivals();
    let last = arrivals.last().expect("it was delivered");
    assert!(arrivals[0].is_signed_with(&hook.secret));
    assert!(last.is_signed_with(new_secret) && last.passes_standard_webhooks(new_secret));
    assert!(!last.is_signed_with(&hook.secret));
}
