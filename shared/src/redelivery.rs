//! Sends a delivery of the log again, for a retry, a replay or a redrive.
//!
//! The rule: the log takes the next chain before the queue gets its message. If the queue does not take the message, the
//! chain fails, so the delivery can be sent again.

use tracing::error;

use crate::aws::chain;
use crate::delivery::DeliveryStatus;
use crate::id::ReplayId;
use crate::queue::{OutgoingMessage, Queue, SendError};
use crate::store::deliveries::{DeliveryRow, DeliverySummary};
use crate::store::{DeliveryLog, StoreError};
use crate::timestamp::Timestamp;

/// `last_error` of a delivery whose message the queue did not take.
pub const NOT_QUEUED: &str = "the delivery could not be queued";

/// What became of the request to send a delivery again.
#[derive(Debug, Clone)]
pub enum Redelivered {
    /// The message of a new chain is queued. The row is that of the started chain.
    Queued(Box<DeliveryRow>),
    /// Nothing was changed: attempts are under way, or the row is not what the caller saw.
    UnderWay,
}

/// The delivery was not sent again, but can be.
#[derive(Debug, thiserror::Error)]
pub enum RedeliveryError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// The queue failed. The delivery is failed in the log.
    #[error(transparent)]
    Queue(#[from] SendError),
}

/// Starts the next chain of the delivery that the caller saw in the log, and queues its message on the delivery queue.
pub async fn redeliver(
    log: &DeliveryLog,
    queue: &Queue,
    seen: &DeliverySummary,
    replay: Option<ReplayId>,
    now: Timestamp,
) -> Result<Redelivered, RedeliveryError> {
    if seen.status_at(now) == DeliveryStatus::Pending {
        return Ok(Redelivered::UnderWay);
    }
    redeliver_pending(log, queue, seen, replay, now).await
}

/// [`redeliver`] even if the delivery is pending, for a caller who knows that no attempt follows.
pub async fn redeliver_pending(
    log: &DeliveryLog,
    queue: &Queue,
    seen: &DeliverySummary,
    replay: Option<ReplayId>,
    now: Timestamp,
) -> Result<Redelivered, RedeliveryError> {
    let Some(row) = log.start_chain(seen, replay, now).await? else {
        return Ok(Redelivered::UnderWay);
    };
    let sent = async { Ok::<_, RedeliveryError>(queue.send(outgoing(&row)?).await?) };
    if let Err(failure) = sent.await {
        if let Err(error) = log.fail_chain(&row.summary, NOT_QUEUED, now).await {
            error!(
                delivery.id = %row.summary.delivery_id,
                webhook.id = %row.summary.webhook.webhook_id,
                tenant.id = %row.summary.webhook.tenant_id,
                event.id = %row.summary.event_id,
                error = %chain(&error),
                "a chain of attempts without a message stays pending for 15 minutes"
            );
        }
        return Err(failure);
    }
    Ok(Redelivered::Queued(Box::new(row)))
}

/// The message that begins the row's latest chain.
pub fn outgoing(row: &DeliveryRow) -> Result<OutgoingMessage, StoreError> {
    let message = row.message()?;
    message.outgoing().map_err(|source| StoreError::CorruptRow {
        key: message.delivery_id.to_string(),
        source: source.into(),
    })
}
