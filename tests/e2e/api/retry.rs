//! One delivery is sent again at its owner's request.

use futures_util::future::join;
use harness::{Receiver, by_number, eventually, status};
use reqwest::Method;
use serde_json::json;
use webhooks::delivery::DeliveryStatus::{self, Delivered, Failed, Pending};
use webhooks::timestamp::Timestamp;

use super::errors::assert_error;
use crate::support::job;
use crate::support::logged::{Logged, log};
use crate::support::tenant::{Hook, Response, Tenant};
use crate::support::world::World;

async fn retry(tenant: &Tenant, hook: &Hook, id: &str) -> Response {
    let path = format!("/v1/webhooks/{}/deliveries/{id}/retry", hook.id);
    tenant.request(Method::POST, &path, None).await
}

/// Chain and number of each attempt of the webhook's only delivery.
async fn attempts(tenant: &Tenant, hook: &Hook) -> Vec<(u32, u32)> {
    let row = tenant.deliveries(hook).await.remove(0);
    row.attempts.iter().map(|attempt| (attempt.chain, attempt.number)).collect()
}

/// A webhook whose receiver answers 400 to the first request, and then follows `statuses` by number; its one delivery has
/// failed.
async fn failed(statuses: fn(u64) -> u16) -> (Tenant, Receiver, Hook, String) {
    let script = by_number(move |number| status(if number == 1 { 400 } else { statuses(number) }));
    let (tenant, receiver, hook) = Tenant::subscribed(script).await;
    job::upload(tenant.id).await;
    let row = tenant.delivery(&hook, Failed).await;
    (tenant, receiver, hook, row.summary.delivery_id.to_string())
}

#[tokio::test]
async fn a_retry_has_the_same_ids_and_bytes_and_makes_all_attempts_again() {
    let (tenant, receiver, hook, id) = failed(|number| if number < 4 { 500 } else { 200 }).await;
    let response = retry(&tenant, &hook, &id).await;
    assert_eq!(response.status, 202, "{:?}", response.body);
    assert_eq!(
        (&response.body["delivery_id"], &response.body["status"]),
        (&json!(id), &json!("pending"))
    );
    assert_eq!(response.body["attempts"].as_array().map(Vec::len), Some(1));
    assert_error(&retry(&tenant, &hook, &id).await, 409, "delivery_pending");

    let row = tenant.delivery(&hook, Delivered).await;
    let attempted: Vec<_> = row.attempts.iter().map(|it| (it.chain, it.number)).collect();
    assert_eq!(attempted, [(1, 1), (2, 1), (2, 2), (2, 3)]);
    assert_eq!((row.summary.chain, row.summary.attempt_count), (2, 4));
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals.len(), 4);
    for name in ["X-DocIntell-Delivery", "webhook-id", "X-DocIntell-Timestamp"] {
        assert!(arrivals.iter().all(|it| it.header(name) == arrivals[0].header(name)), "{name}");
    }
    assert!(arrivals.iter().all(|it| it.body == arrivals[0].body));
    assert!(arrivals.iter().all(|it| it.passes_standard_webhooks(&hook.secret)));
    for (pair, expected) in arrivals[1..].windows(2).zip([1.0, 2.0]) {
        let waited = (pair[1].at - pair[0].at).as_secs_f64();
        // Never early. A busy emulator may be late.
        assert!((expected - 0.05..expected + 30.0).contains(&waited), "{waited}");
    }

    let shown = tenant
        .request(Method::GET, &format!("/v1/webhooks/{}/deliveries/{id}", hook.id), None)
        .await
        .body;
    assert_eq!(
        (&shown["status"], &shown["attempt_count"], &shown["last_error"]),
        (&json!("delivered"), &json!(4), &json!(null))
    );
    assert_eq!(shown["attempts"][3]["chain"], 2);
}

#[tokio::test]
async fn a_retry_that_fails_can_be_retried_again_and_so_can_a_delivered_one() {
    let (tenant, receiver, hook, id) = failed(|number| if number == 2 { 404 } else { 200 }).await;
    for (status, expected) in [
        (Failed, &[(1, 1), (2, 1)][..]),
        (Delivered, &[(1, 1), (2, 1), (3, 1)]),
        (Delivered, &[(1, 1), (2, 1), (3, 1), (4, 1)]),
    ] {
        assert_eq!(retry(&tenant, &hook, &id).await.status, 202);
        let end = format!("{} attempts and {status}", expected.len());
        eventually(&end, async || {
            let row = tenant.deliveries(&hook).await.remove(0);
            let ended = row.summary.status == status && row.attempts.len() == expected.len();
            ended.then_some(())
        })
        .await;
        assert_eq!(attempts(&tenant, &hook).await, expected);
    }
    assert_eq!(receiver.arrivals().len(), 4);
    let dead = || World::get().dead_letters_of(&hook.id);
    let dead = eventually("both dead letters", async || Some(dead()).filter(|it| it.len() >= 2));
    assert_eq!(dead.await.len(), 2);
}

#[tokio::test]
async fn one_of_two_retries_at_the_same_time_starts() {
    let (tenant, _receiver, hook, id) = failed(|_| 500).await;
    let (one, other) = join(retry(&tenant, &hook, &id), retry(&tenant, &hook, &id)).await;
    let (started, refused) = if one.status == 202 { (one, other) } else { (other, one) };
    assert_eq!(started.status, 202, "{:?}", started.body);
    assert_error(&refused, 409, "delivery_pending");
    assert_eq!(tenant.deliveries(&hook).await[0].summary.chain, 2);
    assert_eq!(attempts(&tenant, &hook).await[0], (1, 1));
}

#[tokio::test]
async fn a_switched_off_webhook_retries_nothing_until_it_is_on_again() {
    let (tenant, receiver, hook, id) = failed(|_| 200).await;
    tenant.change(&hook, json!({"is_active": false})).await;
    assert_error(&retry(&tenant, &hook, &id).await, 409, "webhook_inactive");
    let summary = tenant.deliveries(&hook).await.remove(0).summary;
    assert_eq!((summary.chain, summary.status), (1, Failed));
    tenant.change(&hook, json!({"is_active": true})).await;
    assert_eq!(retry(&tenant, &hook, &id).await.status, 202);
    tenant.delivery(&hook, Delivered).await;
    assert_eq!(receiver.arrivals().len(), 2);
}

#[tokio::test]
async fn skipped_cancelled_and_lost_deliveries_are_sent_and_a_pending_one_is_not() {
    let receiver = Receiver::start(status(200)).await;
    let tenant = Tenant::new().await;
    let hook = tenant.subscribe(&receiver).await;
    let lost = Timestamp::now().unix_millis() - 16 * 60_000;
    let logged = [
        Logged::at(1, DeliveryStatus::Skipped),
        Logged::at(2, DeliveryStatus::Cancelled),
        Logged {
            next_attempt_at: Some(Timestamp::from_unix_millis(lost)),
            ..Logged::at(3, Pending)
        },
        Logged { next_attempt_at: Some(Timestamp::now()), ..Logged::at(4, Pending) },
    ];
    let ids = log(&tenant, &hook, &logged).await;
    for id in &ids[..3] {
        assert_eq!(retry(&tenant, &hook, id).await.status, 202);
    }
    assert_error(&retry(&tenant, &hook, &ids[3]).await, 409, "delivery_pending");
    let mut sent: Vec<_> = receiver
        .wait_for(3)
        .await
        .iter()
        .map(|it| it.header("X-DocIntell-Delivery").to_owned())
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, ids[..3]);
    eventually("three delivered", async || {
        let rows = tenant.deliveries(&hook).await;
        let delivered = rows.iter().filter(|row| row.summary.status == Delivered);
        (delivered.count() == 3).then_some(())
    })
    .await;
}
