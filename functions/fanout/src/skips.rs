//! Writes the rows of skipped deliveries: events of webhooks that get no deliveries.
//!
//! The rule: a row is as good as a queued message. A row that DynamoDB does not take fails its record, and one that it
//! will never take is parked.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;
use tracing::error;
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::log::panic_message;
use webhooks::store::DeliveryLog;
use webhooks::store::deliveries::SkipError;
use webhooks::timestamp::Timestamp;
use webhooks::withheld::Withheld;

use crate::plan::{FaultReason, Skip};
use crate::record::Record;

/// Maximum writes in flight. All rows of a webhook are in one partition of the table, which takes 1,000 a second.
const CONCURRENT_WRITES: usize = 10;

/// What became of a skipped delivery.
#[derive(Debug)]
pub(crate) enum Skipped {
    /// It has a row.
    Logged,
    /// It will never have one.
    Refused(FaultReason),
    /// It has none yet, for this reason.
    Unavailable(String),
    /// It has none yet, because an earlier one has none.
    NotBegun,
}

/// Writes a row for each delivery. Begins no write after `last_call_at`, and none after a failure: the stream delivers the
/// failed record and all later ones again.
pub(crate) async fn write_all<'a>(
    log: &DeliveryLog,
    skips: Vec<Skip<'a>>,
    now: Timestamp,
    last_call_at: Instant,
) -> Vec<(Record<'a>, DeliveryMessage, Skipped)> {
    let has_failed = AtomicBool::new(false);
    stream::iter(skips)
        .map(async |Skip { record, message, withheld }| {
            let skipped = if has_failed.load(Ordering::Relaxed) {
                Skipped::NotBegun
            } else if Instant::now() >= last_call_at {
                Skipped::Unavailable("the time limit was reached".to_owned())
            } else {
                isolated(&message, write(log, &message, withheld, now)).await
            };
            has_failed.fetch_or(matches!(skipped, Skipped::Unavailable(_)), Ordering::Relaxed);
            (record, message, skipped)
        })
        .buffer_unordered(CONCURRENT_WRITES)
        .collect()
        .await
}

async fn write(
    log: &DeliveryLog,
    message: &DeliveryMessage,
    withheld: Withheld,
    now: Timestamp,
) -> Skipped {
    match log.skip(message, withheld, now).await {
        Ok(()) => Skipped::Logged,
        Err(refused @ SkipError::Refused(_)) => Skipped::Refused(FaultReason::SkipRefused(refused)),
        Err(unavailable @ SkipError::Unavailable(_)) => Skipped::Unavailable(chain(&unavailable)),
    }
}

/// A panic parks only its own delivery.
async fn isolated(message: &DeliveryMessage, write: impl Future<Output = Skipped>) -> Skipped {
    AssertUnwindSafe(write).catch_unwind().await.unwrap_or_else(|panic| {
        error!(
            delivery.id = %message.delivery_id,
            webhook.id = %message.webhook_config_id,
            tenant.id = %message.tenant_id,
            event.id = %message.event_id,
            reason = panic_message(&*panic),
            "logging a skipped delivery panicked"
        );
        Skipped::Refused(FaultReason::Panic)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_parks_its_delivery() {
        let message = include_str!("../../../tests/formats/0.1.0/delivery-message.json");
        let message = serde_json::from_str(message).unwrap();
        let skipped = isolated(&message, async { panic!("on purpose") }).await;
        assert!(matches!(skipped, Skipped::Refused(FaultReason::Panic)), "{skipped:?}");
    }
}
