//! Why a delivery is cancelled, blocked or parked, as text for logs and queues. A [`Failure`] says why an
//! attempt failed.
//!
//! The rule: a text includes its causes, because nothing else shows them.

use webhooks::aws::chain;
use webhooks::queue::SendError;
use webhooks::secrets::SecretError;
use webhooks::store::StoreError;
use webhooks::withheld::Withheld;

use crate::failure::Failure;

/// Shown in the delivery log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CancelReason {
    #[error("the webhook was deleted")]
    Deleted,
    #[error("{0}")]
    Withheld(Withheld),
}

/// The internal error that prevented an attempt.
#[derive(Debug, thiserror::Error)]
pub enum BlockReason<'a> {
    /// DynamoDB failed to read the batch's webhooks.
    #[error("the webhooks cannot be read: {}", chain(*.0))]
    WebhooksUnreadable(&'a StoreError),
    /// This webhook's row is malformed.
    #[error("the webhook cannot be read: {}", chain(*.0))]
    WebhookUnreadable(&'a StoreError),
    /// Secrets Manager refused, or the secret is missing or malformed.
    #[error("the secret cannot be read: {}", chain(.0))]
    SecretUnreadable(SecretError),
    /// The same for the previous secret. Without it, an endpoint that does not know the new one would refuse the
    /// delivery for good.
    #[error("the previous secret cannot be read: {}", chain(.0))]
    PreviousSecretUnreadable(SecretError),
    /// Secrets Manager did not answer in time.
    #[error("the secret cannot be read in time")]
    SecretTimedOut,
    /// An attempt could outlive the invocation.
    #[error("too little time is left in the invocation")]
    TooLittleTime,
    /// The HTTP client could not be built.
    #[error("the HTTP client cannot be built: {}", chain(.0))]
    NoClient(reqwest::Error),
}

/// Why a message is parked in `PipelineFaultsQueue`.
#[derive(Debug, thiserror::Error)]
pub enum FaultReason<'a> {
    /// The body is not a delivery message.
    #[error("not a delivery message: {0}")]
    Unreadable(&'a serde_json::Error),
    /// Internal errors have blocked the delivery for 12 hours; this is the latest.
    #[error("{0}")]
    Blocked(BlockReason<'a>),
    /// The dead-letter queue refuses the message for good.
    #[error("a dead letter cannot be queued: {refusal} ({failure})")]
    DeadLetterRefused { refusal: SendError, failure: Failure },
    /// The delivery queue did not accept a copy, and another receive of the message cannot help.
    #[error("a copy cannot be queued: {0}")]
    CopyNotQueued(SendError),
}
