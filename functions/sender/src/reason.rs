//! Why a delivery is cancelled, blocked or parked, in the words that people read in the logs and on the queues.
//! Why an attempt failed is a [`Failure`].
//!
//! The rule: a text includes its causes, because nothing else is shown beside it.

use webhooks::aws::chain;
use webhooks::queue::SendError;
use webhooks::secrets::SecretError;
use webhooks::store::StoreError;

use crate::failure::Failure;

/// Why a delivery is cancelled, as the delivery log says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CancelReason {
    #[error("the webhook was deleted")]
    Deleted,
    #[error("the webhook is switched off")]
    SwitchedOff,
}

/// Which internal error kept an attempt from being made.
#[derive(Debug, thiserror::Error)]
pub enum BlockReason<'a> {
    /// None of the batch's webhooks could be read.
    #[error("the webhooks cannot be read: {}", chain(*.0))]
    WebhooksUnreadable(&'a StoreError),
    /// The same, because DynamoDB did not answer.
    #[error("the webhooks cannot be read in time")]
    WebhooksTimedOut,
    /// This webhook's row is malformed.
    #[error("the webhook cannot be read: {}", chain(*.0))]
    WebhookUnreadable(&'a StoreError),
    /// Secrets Manager refused, or has no usable secret.
    #[error("the secret cannot be read: {}", chain(.0))]
    SecretUnreadable(SecretError),
    /// Secrets Manager did not answer.
    #[error("the secret cannot be read in time")]
    SecretTimedOut,
    /// An attempt could outlive the invocation.
    #[error("too little of the invocation's time is left")]
    TooLittleTime,
    /// No HTTP client could be made.
    #[error("the HTTP client cannot be built: {}", chain(.0))]
    NoClient(reqwest::Error),
}

/// Why a message is parked in `PipelineFaults`.
#[derive(Debug, thiserror::Error)]
pub enum FaultReason<'a> {
    /// The body is not a delivery message.
    #[error("not a delivery message: {0}")]
    Unreadable(&'a serde_json::Error),
    /// Internal errors have blocked the delivery for 12 hours; this is the last of them.
    #[error("{0}")]
    Blocked(BlockReason<'a>),
    /// The dead-letter queue will never take the message.
    #[error("a dead letter cannot be queued: {refusal} ({failure})")]
    DeadLetterRefused { refusal: SendError, failure: Failure },
    /// The delivery queue did not take a copy, and the message may not be received again.
    #[error("a copy cannot be queued: {0}")]
    CopyNotQueued(SendError),
}
