//! A webhook does not wait for a flooded or a hanging neighbour.
//!
//! The flood fits into the sender's concurrency at once, because the emulator hands out messages in order and
//! has no fair queues. [`crate::fairness`] simulates a fair queue with a flood of 10,000 events.

use std::time::Duration;

use futures_util::future::join_all;
use harness::{Receiver, after, eventually, status};
use serde_json::json;
use webhooks::delivery::DeliveryStatus;

use crate::support::job;
use crate::support::tenant::Tenant;

/// Six batches: one more than Lambda's first five pollers take, and few enough to leave some for other tests.
const FLOOD: usize = 60;
/// How long the flooded endpoint takes to answer, which keeps its batches in flight.
const SLOW: Duration = Duration::from_secs(8);
/// The sender's timeout of an attempt.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Tries before the test fails: a busy machine delays some rounds, a neighbour would delay every round.
const ROUNDS: usize = 3;

#[tokio::test]
async fn a_flooded_webhook_and_a_hanging_endpoint_do_not_delay_a_third_webhook() {
    let mut late = Vec::new();
    for _ in 0..ROUNDS {
        match delay().await {
            None => return,
            Some(delay) => late.push(delay),
        }
    }
    panic!("the webhook was late in every round, by {late:?}");
}

/// How long after the end of the first neighbour's post the third webhook got its last delivery.
async fn delay() -> Option<Duration> {
    let flooded = Receiver::start(after(SLOW, status(200))).await;
    let hanging = Receiver::start(after(2 * ATTEMPT, status(200))).await;
    let quiet = Receiver::start(status(200)).await;
    let (crowd, tenant) = (Tenant::new().await, Tenant::new().await);
    let flooded_hook = crowd.subscribe(&flooded).await;
    // The same tenant's, so that the deliveries of an event are in the same batch.
    let hanging_hook = tenant.subscribe(&hanging).await;
    tenant.subscribe(&quiet).await;

    join_all((0..FLOOD).map(|_| job::upload(crowd.id))).await;
    let flood = flooded.wait_for(FLOOD).await;
    join_all((0..3).map(|_| job::upload(tenant.id))).await;
    let hanging = hanging.wait_for(3).await;
    // No invocation with a neighbour's post ends before this.
    let first_end = (flood[0].at + SLOW).min(hanging[0].at + ATTEMPT);
    let last = quiet.wait_for(3).await.iter().map(|arrival| arrival.at).max();
    tenant.change(&hanging_hook, json!({"is_active": false})).await;

    eventually("the flood to be delivered", async || {
        let rows = crowd.deliveries(&flooded_hook).await;
        let all = rows.iter().all(|row| row.summary.status == DeliveryStatus::Delivered);
        (rows.len() == FLOOD && all).then_some(())
    })
    .await;
    last.map(|last| last.saturating_duration_since(first_end)).filter(|late| !late.is_zero())
}
