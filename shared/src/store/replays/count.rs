//! Counts what a replay would send.

use tokio::time::Instant;

use crate::id::WebhookKey;
use crate::replay::ReplayFilter;
use crate::store::deliveries::{DeliverySummary, Order};
use crate::store::{DeliveryLog, StoreError};
use crate::timestamp::Timestamp;

/// The count stops here.
pub const MAX_COUNT: u64 = 10_000;

/// Deliveries of a page. A larger page would take a function with little memory most of the second that a try of a call
/// has.
const PAGE: usize = 250;

/// Maximum deliveries in the sample.
const SAMPLE: usize = 10;

/// What a replay would send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Deliveries, at most [`MAX_COUNT`].
    pub count: u64,
    /// False if there may be more.
    pub is_exact: bool,
    /// The first ten, in the order in which they would be sent.
    pub sample: Vec<DeliverySummary>,
}

/// Counts the deliveries that `filter` selects at `now`. Reads no further page after `give_up_at`.
pub async fn count(
    log: &DeliveryLog,
    webhook: WebhookKey,
    filter: &ReplayFilter,
    now: Timestamp,
    give_up_at: Instant,
) -> Result<Count, StoreError> {
    let mut counted = Count::default();
    let mut cursor = None;
    loop {
        let range = filter.range(cursor);
        let page =
            log.list(webhook, &filter.to_read(), range, Order::OldestFirst, PAGE, now).await?;
        for delivery in page.deliveries {
            if !filter.selects(&delivery, now) {
                continue;
            }
            if counted.count == MAX_COUNT {
                return Ok(counted);
            }
            counted.count += 1;
            if counted.sample.len() < SAMPLE {
                counted.sample.push(delivery);
            }
        }
        if page.next.is_none() {
            return Ok(Count { is_exact: true, ..counted });
        }
        if Instant::now() >= give_up_at {
            return Ok(counted);
        }
        cursor = page.next;
    }
}
