//! Events while a webhook is switched off: none is lost, and none is sent.

use std::collections::BTreeSet;

use harness::fixtures::job_change_with;
use harness::{Receiver, eventually, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;

use crate::samples::host;
use crate::support::job;
use crate::support::tenant::Tenant;

#[tokio::test]
async fn twenty_events_are_skipped_and_the_next_one_after_the_webhook_is_on_arrives() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    tenant.change(&hook, json!({"is_active": false})).await;
    let failures = json!({
        "url": receiver.url(),
        "events": ["document.processing.failed"],
        "is_active": false,
    });
    let other = tenant.create(failures.clone()).await;
    let deleted = tenant.subscribe(&receiver).await;
    tenant.change(&deleted, json!({"is_active": false})).await;
    let path = format!("/v1/webhooks/{}", deleted.id);
    assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);

    let mut jobs = BTreeSet::new();
    for _ in 0..20 {
        jobs.insert(job::upload(tenant.id).await);
    }
    let rows = eventually("a row for each event", async || {
        Some(tenant.deliveries(&hook).await).filter(|rows| rows.len() == 20)
    })
    .await;
    assert!(rows.iter().all(|row| row.summary.status == DeliveryStatus::Skipped), "{rows:?}");
    let skipped: BTreeSet<_> = rows.iter().filter_map(|row| row.summary.job_id.clone()).collect();
    assert_eq!(skipped, jobs);

    tenant.change(&hook, json!({"is_active": true})).await;
    let next = job::upload(tenant.id).await;
    let arrivals = receiver.wait_for(1).await;
    assert!(arrivals[0].text().contains(&next), "{}", arrivals[0].text());
    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!((receiver.arrivals().len(), tenant.deliveries(&hook).await.len()), (1, 21));
    for silent in [&other, &deleted] {
        assert_eq!(tenant.deliveries(silent).await.len(), 0);
    }
}

/// A batch with the upload of one document. Fanout can read it twice, as it does after a failure.
fn upload(tenant: &Tenant, number: usize) -> Value {
    let fields = json!({"tenant_id": tenant.id.to_string(), "job_id": job::new_id()});
    json!({"Records": [job_change_with(number, "queued", fields)]})
}

#[tokio::test]
async fn a_record_that_is_read_again_after_the_webhook_is_switched_on_is_delivered() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let (fanout, batch) = (host("fanout").await, upload(&tenant, 1));
    tenant.change(&hook, json!({"is_active": false})).await;
    fanout.invoke(batch.clone()).await.expect("the record is handled");
    let skipped = tenant.delivery(&hook, DeliveryStatus::Skipped).await;
    tenant.change(&hook, json!({"is_active": true})).await;
    fanout.invoke(batch).await.expect("the record is handled");

    let arrival = receiver.wait_for(1).await.remove(0);
    assert_eq!(arrival.text(), skipped.body);
    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(row.summary.delivery_id, skipped.summary.delivery_id);
    assert_eq!((row.summary.attempt_count, tenant.deliveries(&hook).await.len()), (1, 1));
}

#[tokio::test]
async fn a_record_that_is_read_again_after_the_webhook_is_switched_off_keeps_its_attempts() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(status(500)).await;
    let hook = tenant.subscribe(&receiver).await;
    let (fanout, batch) = (host("fanout").await, upload(&tenant, 2));
    fanout.invoke(batch.clone()).await.expect("the record is handled");
    tenant.delivery(&hook, DeliveryStatus::Pending).await;
    tenant.change(&hook, json!({"is_active": false})).await;
    fanout.invoke(batch).await.expect("the record is handled");

    let row = tenant.delivery(&hook, DeliveryStatus::Cancelled).await;
    assert!(row.summary.attempt_count >= 1, "{row:?}");
    assert_eq!(row.attempts.len(), receiver.arrivals().len());
    assert_eq!(tenant.deliveries(&hook).await.len(), 1);
}
