//! Makes an [`ApiError`] of the errors of the stores, the queues, Secrets Manager and the sender.
//!
//! The rule: an AWS service that fails is a 503; what only a change of this service can mend is a 500.

use webhooks::queue::SendError;
use webhooks::redelivery::RedeliveryError;
use webhooks::replay_start::StartError;
use webhooks::secrets::SecretError;
use webhooks::store::StoreError;
use webhooks::store::rate_limit::RateLimitError;
use webhooks::store::webhooks::EditError;
use webhooks::withheld::Withheld;

use super::ApiError;
use crate::sender::SenderError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Aws(_) | StoreError::Unprocessed { .. } => Self::Unavailable(error.into()),
            StoreError::CorruptRow { .. } | StoreError::Encode(_) => Self::internal(error),
        }
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Conflict => Self::WebhookConflict,
            EditError::Store(error) => error.into(),
        }
    }
}

impl From<Withheld> for ApiError {
    fn from(withheld: Withheld) -> Self {
        match withheld {
            Withheld::SwitchedOff => Self::WebhookInactive,
            Withheld::NeedsTest => Self::WebhookNeedsTest,
        }
    }
}

impl From<RedeliveryError> for ApiError {
    fn from(error: RedeliveryError) -> Self {
        match error {
            RedeliveryError::Log(error) => error.into(),
            RedeliveryError::Queue(error) => error.into(),
        }
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Open => Self::ReplayRunning,
            StartError::Store(error) => error.into(),
            StartError::Queue(error) => error.into(),
            StartError::Encode(_) => Self::internal(error),
        }
    }
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Aws(_) => Self::Unavailable(error.into()),
            SecretError::NotFound | SecretError::Malformed => Self::internal(error),
        }
    }
}

impl From<SenderError> for ApiError {
    fn from(error: SenderError) -> Self {
        match error {
            SenderError::Throttled { retry_after_seconds, .. } => {
                Self::Busy { cause: error.into(), retry_after_seconds }
            }
            SenderError::Aws(_) | SenderError::Unavailable => Self::Unavailable(error.into()),
            SenderError::Failed(_) | SenderError::Unreadable(_) => Self::internal(error),
        }
    }
}

impl From<RateLimitError> for ApiError {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Exceeded { limit, retry_after_seconds } => {
                Self::RateLimited { limit, retry_after_seconds }
            }
            RateLimitError::Store(error) => error.into(),
        }
    }
}
