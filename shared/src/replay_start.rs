//! Starts and resumes replays, for their owner or for an operator.
//!
//! The rule: a running replay has a message. Without one it would block other replays for 15 minutes.

use tracing::error;

use crate::aws::chain;
use crate::queue::{Queue, SendError};
use crate::replay::{Change, Replay};
use crate::store::StoreError;
use crate::store::replays::{CreateError, NewReplay, ReplayStore};
use crate::timestamp::Timestamp;

/// The replay does not run. It can be started or resumed again.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another replay of the webhook is running or paused.
    #[error("another replay of the webhook is running or paused")]
    Open,
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The message cannot be written.
    #[error("the message cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] SendError),
}

/// Creates a replay and queues its first message. If that fails, cancels the replay.
pub async fn start(
    replays: &ReplayStore,
    queue: &Queue,
    new: NewReplay,
    now: Timestamp,
) -> Result<Replay, StartError> {
    let webhook = new.webhook;
    let replay = match replays.create(new, now).await {
        Ok(replay) => replay,
        Err(CreateError::Open) => return Err(StartError::Open),
        Err(CreateError::Store(error)) => return Err(error.into()),
    };
    if let Err(failure) = queue_message(queue, &replay).await {
        let cancelled = replays.change(webhook, replay.replay_id, Change::Cancel, now);
        if let Err(error) = cancelled.await {
            error!(
                replay.id = %replay.replay_id,
                webhook.id = %webhook.webhook_id,
                tenant.id = %webhook.tenant_id,
                error = %chain(&error),
                "cannot cancel a replay whose message was not queued"
            );
        }
        return Err(failure);
    }
    Ok(replay)
}

/// Queues the message that drives a replay, after it was resumed. A second one does no harm.
pub async fn queue_message(queue: &Queue, replay: &Replay) -> Result<(), StartError> {
    Ok(queue.send(replay.message().outgoing()?).await?)
}
