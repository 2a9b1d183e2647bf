//! What the neighbours of a webhook cost it: it waits neither for one that is flooded nor for one that hangs.
//!
//! The flood is scaled down to what fits into the sender's concurrency at once, because the emulator hands
//! out messages in their order and knows no fair queues. What a queue that does so makes of 10,000 events
//! is simulated in [`crate::fairness`].

use std::time::Duration;

use futures_util::future::join_all;
use harness::{Receiver, after, eventually, status};
use serde_json::json;
use webhooks::delivery::DeliveryStatus;

use crate::support::job;
use crate::support::tenant::Tenant;

/// Six batches: more than the five that are under way at most where a mapping has no `MaximumConcurrency`,
/// and few enough to leave the other tests theirs.
const FLOOD: usize = 60;
/// How long the flooded endpoint takes to answer, so that its batches stay under way.
const SLOW: Duration = Duration::from_secs(8);
/// What an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How often a busy machine may be in the neighbours' place. They themselves would delay the webhook each time.
const ROUNDS: usize = 3;

#[tokio::test]
async fn a_flooded_webhook_and_a_hanging_endpoint_do_not_delay_a_third_webhook() {
    let mut late = Vec::new();
    for _ in 0..ROUNDS {
        match longest_delay().await {
            None => return,
            delay => late.extend(delay),
        }
    }
    panic!("each time the webhook was late, by {late:?}");
}

/// By how much the last delivery of the third webhook came later than the end of a neighbour's.
async fn longest_delay() -> Option<Duration> {
    let flooded = Receiver::start(after(SLOW, status(200))).await;
    let hanging = Receiver::start(after(2 * ATTEMPT, status(200))).await;
    let quiet = Receiver::start(status(200)).await;
    let (crowd, tenant) = (Tenant::new().await, Tenant::new().await);
    let flooded_hook = crowd.subscribe(&flooded).await;
    // Of the same tenant, so that their deliveries of an event come in the same batch.
    let hanging_hook = tenant.subscribe(&hanging).await;
    tenant.subscribe(&quiet).await;

    join_all((0..FLOOD).map(|_| job::upload(crowd.id))).await;
    let flood = flooded.wait_for(FLOOD).await;
    join_all((0..3).map(|_| job::upload(tenant.id))).await;
    let hanging = hanging.wait_for(3).await;
    // Until then no invocation has ended that has one of the neighbours' posts.
    let first_end = (flood[0].at + SLOW).min(hanging[0].at + ATTEMPT);
    let last = quiet.wait_for(3).await.iter().map(|arrival| arrival.at).max();
    tenant.change(&hanging_hook, json!({"is_active": false})).await;

    eventually("the flood to be delivered", async || {
        let rows = crowd.deliveries(&flooded_hook).await;
        let all = rows.iter().all(|row| row.status == DeliveryStatus::Delivered);
        (rows.len() == FLOOD && all).then_some(())
    })
    .await;
    last.map(|last| last.saturating_duration_since(first_end)).filter(|late| !late.is_zero())
}
