//! Everything that can go wrong with a request, and the only place where it becomes an answer.
//!
//! The rule: a failure of ours is told to the client in constant words and to the log with its cause.

use std::collections::BTreeMap;
use std::error::Error;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use webhooks::aws;
use webhooks::secrets::SecretError;
use webhooks::store::StoreError;
use webhooks::store::rate_limit::{Limit, ROTATIONS_PER_DAY, RateLimitError};
use webhooks::text::{first_chars, printable};

use crate::MAX_BODY_BYTES;
use crate::gateway::MAX_QUERY_BYTES;

/// What is wrong with each field, parameter or header, by its name.
pub(crate) type Details = BTreeMap<String, String>;

/// Maximum characters of a client's text to repeat in an answer or a log line.
const MAX_QUOTED_CHARS: usize = 64;

/// A client's text, short and printable.
#[must_use]
pub(crate) fn quoted(text: &str) -> String {
    printable(first_chars(text, MAX_QUOTED_CHARS))
}

/// The cause of a failure of ours, for the log alone.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// An event that cannot be read as a request.
    MalformedRequest,
    /// Headers with an invalid name, or a value that is not printable ASCII.
    MalformedHeader(Details),
    /// A query of more than [`MAX_QUERY_BYTES`].
    QueryTooLong,
    /// No route has this path.
    RouteNotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// There is no `Authorization` header.
    MissingApiKey,
    /// There is one, and it opens nothing.
    InvalidApiKey,
    /// The tenant has no webhook of this id, whoever else may have it.
    WebhookNotFound,
    /// Parameters that cannot be read, or that the route does not have.
    InvalidParameters(Details),
    /// A body that does not call itself JSON.
    UnsupportedMediaType,
    /// A body of more than [`MAX_BODY_BYTES`].
    BodyTooLarge,
    /// A body that is not JSON, and where the error is.
    MalformedBody {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 if the line is empty.
        column: usize,
    },
    /// A body that is JSON and not an object.
    NotAnObject,
    /// Fields that break a rule.
    InvalidFields(Details),
    /// The tenant has as many webhooks as it may have.
    WebhookLimitReached(u32),
    /// More requests than a limit allows.
    RateLimited {
        /// Which limit.
        limit: Limit,
        /// How long to wait.
        retry_after_seconds: u64,
    },
    /// Another rotation of the same secret came first, or is under way.
    RotationConflict,
    /// A service that we depend on failed.
    Unavailable(Cause),
    /// We failed.
    Internal(Cause),
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    message: String,
    details: Details,
}

impl ApiError {
    /// For `map_err`: a failure of ours with this cause.
    pub(crate) fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// All that a client is told: status, code and message.
    fn answer(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::MalformedRequest => (
                StatusCode::BAD_REQUEST,
                "malformed_request",
                "The request cannot be read.".into(),
            ),
            Self::MalformedHeader(_) => (
                StatusCode::BAD_REQUEST,
                "malformed_header",
                "A header cannot be read; `details` says which and why.".into(),
            ),
            Self::QueryTooLong => (
                StatusCode::URI_TOO_LONG,
                "query_too_long",
                format!("The query must have at most {MAX_QUERY_BYTES} bytes."),
            ),
            Self::RouteNotFound => (
                StatusCode::NOT_FOUND,
                "route_not_found",
                "There is nothing at this path.".into(),
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not support the method; the Allow header names those it does.".into(),
            ),
            Self::MissingApiKey => (
                StatusCode::UNAUTHORIZED,
                "missing_api_key",
                "Send your API key in the header `Authorization: Bearer <key>`.".into(),
            ),
            Self::InvalidApiKey => (
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "The API key is malformed, unknown, expired or revoked.".into(),
            ),
            Self::WebhookNotFound => (
                StatusCode::NOT_FOUND,
                "webhook_not_found",
                "You have no webhook with this id.".into(),
            ),
            Self::InvalidParameters(_) => (
                StatusCode::BAD_REQUEST,
                "invalid_parameter",
                "A query parameter is wrong; `details` says which and why.".into(),
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the body as JSON with the header `Content-Type: application/json`.".into(),
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("The body must have at most {MAX_BODY_BYTES} bytes."),
            ),
            Self::MalformedBody { line, column } => (
                StatusCode::BAD_REQUEST,
                "invalid_json",
                format!("The body is not valid JSON; see line {line}, column {column}."),
            ),
            Self::NotAnObject => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "validation_error",
                "The body must be a JSON object.".into(),
            ),
            Self::InvalidFields(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "validation_error",
                "Some fields are wrong; `details` says which and why.".into(),
            ),
            Self::WebhookLimitReached(limit) => (
                StatusCode::CONFLICT,
                "webhook_limit_reached",
                format!("You have {limit} webhooks, as many as you may have; delete one first."),
            ),
            Self::RateLimited { limit, .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limited", rate_limited(*limit))
            }
            Self::RotationConflict => (
                StatusCode::CONFLICT,
                "rotation_conflict",
                "Another request is rotating this secret; use its answer, or try again in a few seconds.".into(),
            ),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The service cannot answer at the moment; try again shortly.".into(),
            ),
            Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "Something went wrong on our side.".into(),
            ),
        }
    }

    fn details(self) -> Details {
        match self {
            Self::MalformedHeader(details)
            | Self::InvalidParameters(details)
            | Self::InvalidFields(details) => details,
            _ => Details::new(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message) = self.answer();
        if let Self::Unavailable(cause) | Self::Internal(cause) = &self {
            error!(error = %aws::chain(&**cause), "request failed");
        }
        let retry_after = match &self {
            Self::RateLimited { retry_after_seconds, .. } => Some(*retry_after_seconds),
            _ => None,
        };
        let body = Body { error: code, message, details: self.details() };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The message: what the limit is, and what to do.
fn rate_limited(limit: Limit) -> String {
    match limit {
        Limit::Changes { per_minute, .. } => format!(
            "You may send {per_minute} changes a minute; try again after the seconds in the Retry-After header."
        ),
        Limit::Rotations { .. } => format!(
            "An API key may rotate a secret {ROTATIONS_PER_DAY} times a day; use another key, or try again after \
             the seconds in the Retry-After header."
        ),
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Aws(_) | StoreError::Unprocessed { .. } => Self::Unavailable(error.into()),
            StoreError::CorruptRow { .. } | StoreError::Encode(_) => Self::internal(error),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use webhooks::id::TenantId;

    use super::*;

    #[test]
    fn the_document_lists_every_error_with_its_status() {
        let limit = Limit::Changes { tenant: TenantId::random(), per_minute: 60 };
        let given: BTreeSet<(String, String)> = [
            ApiError::MalformedRequest,
            ApiError::MalformedHeader(Details::new()),
            ApiError::QueryTooLong,
            ApiError::RouteNotFound,
            ApiError::MethodNotAllowed,
            ApiError::MissingApiKey,
            ApiError::InvalidApiKey,
            ApiError::WebhookNotFound,
            ApiError::InvalidParameters(Details::new()),
            ApiError::UnsupportedMediaType,
            ApiError::BodyTooLarge,
            ApiError::MalformedBody { line: 1, column: 1 },
            ApiError::NotAnObject,
            ApiError::InvalidFields(Details::new()),
            ApiError::WebhookLimitReached(50),
            ApiError::RateLimited { limit, retry_after_seconds: 1 },
            ApiError::RotationConflict,
            ApiError::Unavailable("".into()),
            ApiError::Internal("".into()),
        ]
        .iter()
        .map(|error| {
            let (status, code, _) = error.answer();
            (status.as_u16().to_string(), format!("`{code}`"))
        })
        .collect();
        let rows = include_str!("../../../docs/API.md").lines().filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let (status, code) = (cells.next()?, cells.next()?);
            status.parse::<u16>().ok().map(|_| (status.to_owned(), code.to_owned()))
        });
        assert_eq!(rows.collect::<BTreeSet<_>>(), given);
    }
}
