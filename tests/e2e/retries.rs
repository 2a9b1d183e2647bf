//! Retries and dead letters when an endpoint fails.

use std::time::Duration;

use harness::{Receiver, answer, by_number, eventually, status};
use serde_json::json;
use webhooks::delivery::DeliveryStatus;

use crate::support::job;
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::{Parked, World};

async fn dead_letter(hook: &Hook) -> Parked {
    eventually("a dead letter", async || World::get().dead_letters_of(&hook.id).pop()).await
}

/// Seconds from the first request to each request.
fn offsets(receiver: &Receiver) -> Vec<f64> {
    let arrivals = receiver.arrivals();
    arrivals.iter().map(|it| (it.at - arrivals[0].at).as_secs_f64()).collect()
}

#[tokio::test]
async fn a_failing_delivery_is_attempted_at_0_1_3_7_and_15_seconds_and_then_parked() {
    let (tenant, receiver, hook) = Tenant::subscribed(answer(500, &[], b"no database")).await;
    job::upload(tenant.id).await;

    let row = tenant.delivery(&hook, DeliveryStatus::Failed).await;
    dead_letter(&hook).await;
    let offsets = offsets(&receiver);
    assert_eq!(offsets.len(), 5, "{offsets:?}");
    for (offset, expected) in offsets.iter().zip([0.0, 1.0, 3.0, 7.0, 15.0]) {
        // Never early. A busy emulator may be late.
        assert!((expected - 0.05..expected + 30.0).contains(offset), "{offsets:?}");
    }
    let numbers: Vec<_> = row.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(row.attempts.iter().all(|attempt| attempt.status_code == Some(500)));
    assert_eq!(row.attempts[0].response_body.as_deref(), Some("no database"));
    assert_eq!(row.summary.last_error.as_deref(), Some("the endpoint answered 500"));
    assert!(row.summary.completed_at.is_some());
}

#[tokio::test]
async fn every_attempt_has_the_same_body_and_ids_and_a_fresh_webhook_timestamp() {
    let (tenant, receiver, hook) =
        Tenant::subscribed(by_number(|n| status(if n < 3 { 503 } else { 200 }))).await;
    job::upload(tenant.id).await;

    let arrivals = receiver.wait_for(3).await;
    for name in
        ["X-DocIntell-Timestamp", "X-DocIntell-Delivery", "X-DocIntell-Signature", "webhook-id"]
    {
        assert!(arrivals.iter().all(|it| it.header(name) == arrivals[0].header(name)), "{name}");
    }
    assert!(arrivals.iter().all(|it| it.body == arrivals[0].body));
    assert!(arrivals.iter().all(|it| it.passes_standard_webhooks(&hook.secret)));
    assert_ne!(arrivals[0].header("webhook-timestamp"), arrivals[2].header("webhook-timestamp"));
}

#[tokio::test]
async fn success_on_the_third_attempt_ends_the_retries() {
    let (tenant, receiver, hook) =
        Tenant::subscribed(by_number(|n| status(if n < 3 { 500 } else { 200 }))).await;
    job::upload(tenant.id).await;

    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(row.attempts.len(), 3);
    assert_eq!(row.attempts.iter().filter(|it| it.error.is_some()).count(), 2);
    // A fourth attempt would come after four seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(receiver.arrivals().len(), 3);
    assert!(World::get().dead_letters_of(&hook.id).is_empty());
}

#[tokio::test]
async fn a_4xx_response_is_parked_at_once_with_its_reason() {
    let (tenant, receiver, hook) = Tenant::subscribed(answer(410, &[], b"gone away")).await;
    job::upload(tenant.id).await;

    let parked = dead_letter(&hook).await;
    assert_eq!(parked.attributes["reason"], "the endpoint answered 410");
    assert_eq!(parked.attributes["status_code"], "410");
    assert_eq!(parked.attributes["attempts"], "1");
    assert_eq!(parked.attributes["tenant_id"], tenant.id.to_string());
    let row = tenant.delivery(&hook, DeliveryStatus::Failed).await;
    assert_eq!((row.attempts.len(), receiver.arrivals().len()), (1, 1));
    assert_eq!(row.attempts[0].response_body.as_deref(), Some("gone away"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_is_retried() {
    let elsewhere = Receiver::start(status(200)).await;
    let location = elsewhere.url();
    let redirect = by_number(move |n| match n {
        1 => answer(307, &[("Location", &location)], b""),
        _ => status(200),
    });
    let (tenant, _receiver, hook) = Tenant::subscribed(redirect).await;
    job::upload(tenant.id).await;

    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(row.attempts[0].status_code, Some(307));
    assert!(elsewhere.arrivals().is_empty());
}

#[tokio::test]
async fn a_webhook_with_retries_off_gets_one_attempt() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(status(500)).await;
    let fields =
        json!({"url": receiver.url(), "events": ["document.uploaded"], "retry_enabled": false});
    let hook = tenant.create(fields).await;
    job::upload(tenant.id).await;

    let parked = dead_letter(&hook).await;
    assert_eq!(parked.attributes["attempts"], "1");
    assert_eq!(tenant.delivery(&hook, DeliveryStatus::Failed).await.attempts.len(), 1);
    assert_eq!(receiver.arrivals().len(), 1);
}

#[tokio::test]
async fn max_retries_is_the_total_number_of_attempts() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(status(500)).await;
    let fields = json!({"url": receiver.url(), "events": ["document.uploaded"], "max_retries": 2});
    let hook = tenant.create(fields).await;
    job::upload(tenant.id).await;

    assert_eq!(dead_letter(&hook).await.attributes["attempts"], "2");
    assert_eq!(receiver.arrivals().len(), 2);
}

#[tokio::test]
async fn a_failing_webhook_does_not_affect_the_tenants_other_webhook() {
    let tenant = Tenant::new().await;
    let good = Receiver::start(status(200)).await;
    let bad = Receiver::start(status(500)).await;
    let good_hook = tenant.subscribe(&good).await;
    let bad_hook = tenant.subscribe(&bad).await;
    for _ in 0..3 {
        job::upload(tenant.id).await;
    }

    bad.wait_for(3).await;
    good.wait_for(3).await;
    eventually("three delivered", async || {
        let rows = tenant.deliveries(&good_hook).await;
        (rows.len() == 3 && rows.iter().all(|it| it.summary.status == DeliveryStatus::Delivered))
            .then_some(())
    })
    .await;
    assert!(
        tenant
            .deliveries(&bad_hook)
            .await
            .iter()
            .all(|it| it.summary.status != DeliveryStatus::Delivered)
    );
    bad.wait_for(6).await;
    assert_eq!(good.arrivals().len(), 3);
}

#[tokio::test]
async fn a_redriven_dead_letter_is_delivered_and_logged() {
    let script = by_number(|n| match n {
        1 => status(400),
        2 => status(500),
        _ => status(200),
    });
    let (tenant, receiver, hook) = Tenant::subscribed(script).await;
    job::upload(tenant.id).await;
    let parked = dead_letter(&hook).await;
    tenant.delivery(&hook, DeliveryStatus::Failed).await;

    let world = World::get();
    let sqs = aws_sdk_sqs::Client::new(&world.aws());
    let queue = &world.info().outputs.delivery_queue_url;
    sqs.send_message()
        .queue_url(queue)
        .message_body(parked.body)
        .send()
        .await
        .expect("the message can be sent");
    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!((row.summary.last_error, receiver.arrivals().len()), (None, 3));
    let codes: Vec<_> = row.attempts.iter().map(|attempt| attempt.status_code).collect();
    assert_eq!((codes.first(), codes.last()), (Some(&Some(400)), Some(&Some(200))));
}
