//! A tenant's changes apply at once, even to deliveries that are already queued.

use harness::{Receiver, status};
use reqwest::Method;
use serde_json::json;
use webhooks::delivery::DeliveryStatus;

use crate::support::job;
use crate::support::tenant::Tenant;

#[tokio::test]
async fn switching_off_a_webhook_cancels_queued_deliveries_and_stops_new_ones() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(500)).await;
    job::upload(tenant.id).await;
    receiver.wait_for(1).await;
    tenant.change(&hook, json!({"is_active": false})).await;

    let row = tenant.delivery(&hook, DeliveryStatus::Cancelled).await;
    assert_eq!(row.summary.last_error.as_deref(), Some("the webhook is switched off"));
    let seen = receiver.arrivals().len();
    assert_eq!(row.attempts.len(), seen);
    let witness = Receiver::start(status(200)).await;
    tenant.subscribe(&witness).await;
    job::upload(tenant.id).await;
    witness.wait_for(1).await;
    let skipped = tenant.delivery(&hook, DeliveryStatus::Skipped).await;
    assert_eq!((skipped.attempts.len(), tenant.deliveries(&hook).await.len()), (0, 2));
    assert_eq!(receiver.arrivals().len(), seen);
}

#[tokio::test]
async fn deleting_a_webhook_cancels_queued_deliveries() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(500)).await;
    job::upload(tenant.id).await;
    receiver.wait_for(1).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);

    let row = tenant.delivery(&hook, DeliveryStatus::Cancelled).await;
    assert_eq!(row.summary.last_error.as_deref(), Some("the webhook was deleted"));
}

#[tokio::test]
async fn queued_deliveries_go_to_the_changed_url() {
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
async fn attempts_after_a_rotation_are_signed_with_the_new_secret() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(500)).await;
    job::upload(tenant.id).await;
    receiver.wait_for(1).await;
    let path = format!("/v1/webhooks/{}/rotate", hook.id);
    let rotated = tenant.request(Method::POST, &path, None).await;
    let new_secret = rotated.body["signing_secret"].as_str().expect("rotate returns a secret");
    // One attempt may have started before the rotation.
    receiver.wait_for(receiver.arrivals().len() + 1).await;
    receiver.now(status(200));

    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    let arrivals = receiver.arrivals();
    let last = arrivals.last().expect("it was delivered");
    assert!(arrivals[0].is_signed_with(&hook.secret));
    assert!(last.is_signed_with(new_secret) && last.passes_standard_webhooks(new_secret));
    assert!(!last.is_signed_with(&hook.secret));
}
