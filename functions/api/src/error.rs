//! Every error of the API. [`response`] turns one into HTTP, [`conversion`] makes one of another error.
//!
//! The rule: when the service fails, the client gets a constant message and the log gets the cause.

mod conversion;
mod response;

use std::collections::BTreeMap;
use std::error::Error;

use webhooks::replay::ReplayState;
use webhooks::store::rate_limit::Limit;
use webhooks::text::{first_chars, printable};

/// Reasons, by the name of the invalid field, parameter or header.
pub(crate) type Details = BTreeMap<String, String>;

/// Maximum characters of a client's text to repeat in a response or a log line.
const MAX_QUOTED_CHARS: usize = 64;

/// Makes a client's text short and printable.
#[must_use]
pub(crate) fn quoted(text: &str) -> String {
    printable(first_chars(text, MAX_QUOTED_CHARS))
}

/// Goes to the log, never to the client.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Each variant has one status, one `error` code and one message.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The event or its query cannot be parsed.
    MalformedRequest,
    /// Headers with an invalid name or value.
    MalformedHeader(Details),
    /// The query is longer than [`MAX_QUERY_BYTES`](crate::gateway::MAX_QUERY_BYTES).
    QueryTooLong,
    /// No route has this path.
    RouteNotFound,
    /// The path has routes, but none for this method.
    MethodNotAllowed,
    /// The `Authorization` header is missing.
    MissingApiKey,
    /// The key is malformed, unknown, expired or revoked.
    InvalidApiKey,
    /// The tenant has no webhook with this id, even if another tenant does.
    WebhookNotFound,
    /// The webhook has no delivery with this id, even if another webhook does.
    DeliveryNotFound,
    /// Query parameters that are invalid or unknown to the route.
    InvalidParameters(Details),
    /// The `Content-Type` is not JSON.
    UnsupportedMediaType,
    /// The body is larger than [`MAX_BODY_BYTES`](crate::MAX_BODY_BYTES).
    BodyTooLarge,
    /// The body is not JSON; the position is that of the syntax error.
    MalformedBody {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 if the line is empty.
        column: usize,
    },
    /// The body is JSON but not an object.
    NotAnObject,
    /// Fields that break a rule.
    InvalidFields(Details),
    /// The tenant has this many webhooks and may have no more.
    WebhookLimitReached(u32),
    /// The `Idempotency-Key` cannot create another webhook.
    IdempotencyConflict(KeyConflict),
    /// The tenant or the key has used up a rate limit.
    RateLimited { limit: Limit, retry_after_seconds: u64 },
    /// Other requests are changing the same webhook.
    WebhookConflict,
    /// Another request has just rotated the same secret, or is doing so.
    RotationConflict,
    /// Attempts of the delivery are under way.
    DeliveryPending,
    /// The webhook is switched off.
    WebhookInactive,
    /// The webhook gets nothing but tests until one succeeds.
    WebhookNeedsTest,
    /// The webhook has no replay with this id, even if another webhook does.
    ReplayNotFound,
    /// Another replay of the webhook is running or paused.
    ReplayRunning,
    /// The replay has ended.
    ReplayEnded(ReplayState),
    /// Other requests are changing the same replay.
    ReplayConflict,
    /// An AWS service failed.
    Unavailable(Cause),
    /// An AWS service is busy.
    Busy { cause: Cause, retry_after_seconds: u64 },
    /// This service failed: for example, a row is corrupt.
    Internal(Cause),
}

/// Why an `Idempotency-Key` cannot be used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyConflict {
    /// It has created a webhook from another body.
    OtherBody,
    /// The webhook that it has created is deleted.
    Deleted,
    /// A concurrent request has used it.
    InUse,
}

impl ApiError {
    /// [`Self::Internal`], for `map_err`.
    pub(crate) fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }
}
