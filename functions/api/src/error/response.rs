//! The response to each error: its status, its headers and its body.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use webhooks::aws;
use webhooks::store::rate_limit::{Limit, ROTATIONS_PER_DAY, TESTS_PER_MINUTE};

use super::{ApiError, Details, KeyConflict};
use crate::MAX_BODY_BYTES;
use crate::gateway::MAX_QUERY_BYTES;

/// The `Retry-After` of a failed AWS service: longer than the SDK's own retries, which have failed already.
const RETRY_UNAVAILABLE_AFTER_SECONDS: u64 = 5;

#[derive(Serialize)]
struct Body {
    error: &'static str,
    message: String,
    details: Details,
}

impl ApiError {
    /// The status, the `error` code and the message.
    #[expect(clippy::too_many_lines, reason = "it has one entry per error")]
    fn parts(&self) -> (StatusCode, &'static str, String) {
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
                format!("The query must be at most {MAX_QUERY_BYTES} bytes long."),
            ),
            Self::RouteNotFound => (
                StatusCode::NOT_FOUND,
                "route_not_found",
                "No route has this path.".into(),
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not support the method; the Allow header lists those it does.".into(),
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
            Self::DeliveryNotFound => (
                StatusCode::NOT_FOUND,
                "delivery_not_found",
                "This webhook has no delivery with this id, or its entry in the log has expired.".into(),
            ),
            Self::InvalidParameters(_) => (
                StatusCode::BAD_REQUEST,
                "invalid_parameter",
                "A query parameter is invalid; `details` says which and why.".into(),
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the body as JSON with the header `Content-Type: application/json`.".into(),
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("The body must be at most {MAX_BODY_BYTES} bytes long."),
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
                "Some fields are invalid; `details` says which and why.".into(),
            ),
            Self::WebhookLimitReached(limit) => (
                StatusCode::CONFLICT,
                "webhook_limit_reached",
                format!("You have reached the limit of {limit} webhooks; delete one first."),
            ),
            Self::IdempotencyConflict(conflict) => {
                (StatusCode::CONFLICT, "idempotency_conflict", key_conflict(*conflict).into())
            }
            Self::RateLimited { limit, .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limited", rate_limited(*limit))
            }
            Self::WebhookConflict => (
                StatusCode::CONFLICT,
                "webhook_conflict",
                "Other requests are changing this webhook; try again in a few seconds.".into(),
            ),
            Self::RotationConflict => (
                StatusCode::CONFLICT,
                "rotation_conflict",
                "Another request is rotating this secret; use its response, or try again in a few seconds.".into(),
            ),
            Self::DeliveryPending => (
                StatusCode::CONFLICT,
                "delivery_pending",
                "Attempts of this delivery are under way; wait until it is no longer pending.".into(),
            ),
            Self::WebhookInactive => (
                StatusCode::CONFLICT,
                "webhook_inactive",
                "The webhook is switched off; set `is_active` to true first.".into(),
            ),
            Self::WebhookNeedsTest => (
                StatusCode::CONFLICT,
                "webhook_needs_test",
                "The webhook gets nothing but tests until its endpoint has answered one with 2xx; test it first.".into(),
            ),
            Self::ReplayNotFound => (
                StatusCode::NOT_FOUND,
                "replay_not_found",
                "This webhook has no replay with this id, or its entry has expired.".into(),
            ),
            Self::ReplayRunning => (
                StatusCode::CONFLICT,
                "replay_running",
                "Another replay of this webhook is running or paused; wait for its end, or cancel it.".into(),
            ),
            Self::ReplayEnded(state) => (
                StatusCode::CONFLICT,
                "replay_ended",
                format!("This replay is {state}; start another one."),
            ),
            Self::ReplayConflict => (
                StatusCode::CONFLICT,
                "replay_conflict",
                "Other requests are changing this replay; try again in a few seconds.".into(),
            ),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The service is temporarily unavailable; wait the number of seconds in the Retry-After header.".into(),
            ),
            Self::Busy { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The service is busy; wait the number of seconds in the Retry-After header.".into(),
            ),
            Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "Something went wrong on our side.".into(),
            ),
        }
    }

    /// Every 429 and every 503 has it.
    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_seconds, .. }
            | Self::Busy { retry_after_seconds, .. } => Some(*retry_after_seconds),
            Self::Unavailable(_) => Some(RETRY_UNAVAILABLE_AFTER_SECONDS),
            _ => None,
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
        let (status, code, message) = self.parts();
        if let Self::Unavailable(cause) | Self::Busy { cause, .. } | Self::Internal(cause) = &self {
            error!(error = %aws::chain(&**cause), "request failed");
        }
        let retry_after = self.retry_after_seconds();
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

fn key_conflict(conflict: KeyConflict) -> &'static str {
    match conflict {
        KeyConflict::OtherBody => {
            "You have used this Idempotency-Key with another body in the last 24 hours; use another key."
        }
        KeyConflict::Deleted => {
            "The webhook that was created with this Idempotency-Key is deleted; use another key to create one."
        }
        KeyConflict::InUse => {
            "Another request with this Idempotency-Key is under way; try again in a few seconds."
        }
    }
}

fn rate_limited(limit: Limit) -> String {
    match limit {
        Limit::Changes { per_minute, .. } => format!(
            "You have reached the limit of {per_minute} changes a minute; wait the number of seconds in the Retry-After header."
        ),
        Limit::Rotations { .. } => format!(
            "This API key has reached the limit of {ROTATIONS_PER_DAY} rotations of this secret a day; use another \
             key, or wait the number of seconds in the Retry-After header."
        ),
        Limit::Tests { .. } => format!(
            "You have reached the limit of {TESTS_PER_MINUTE} tests of this webhook a minute; wait the number of \
             seconds in the Retry-After header."
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use webhooks::id::TenantId;
    use webhooks::replay::ReplayState;

    use super::*;

    fn every_error() -> Vec<ApiError> {
        let limit = Limit::Changes { tenant: TenantId::random(), per_minute: 60 };
        vec![
            ApiError::MalformedRequest,
            ApiError::MalformedHeader(Details::new()),
            ApiError::QueryTooLong,
            ApiError::RouteNotFound,
            ApiError::MethodNotAllowed,
            ApiError::MissingApiKey,
            ApiError::InvalidApiKey,
            ApiError::WebhookNotFound,
            ApiError::DeliveryNotFound,
            ApiError::InvalidParameters(Details::new()),
            ApiError::UnsupportedMediaType,
            ApiError::BodyTooLarge,
            ApiError::MalformedBody { line: 1, column: 1 },
            ApiError::NotAnObject,
            ApiError::InvalidFields(Details::new()),
            ApiError::WebhookLimitReached(50),
            ApiError::IdempotencyConflict(KeyConflict::OtherBody),
            ApiError::RateLimited { limit, retry_after_seconds: 1 },
            ApiError::WebhookConflict,
            ApiError::RotationConflict,
            ApiError::DeliveryPending,
            ApiError::WebhookInactive,
            ApiError::WebhookNeedsTest,
            ApiError::ReplayNotFound,
            ApiError::ReplayRunning,
            ApiError::ReplayEnded(ReplayState::Completed),
            ApiError::ReplayConflict,
            ApiError::Unavailable("".into()),
            ApiError::Busy { cause: "".into(), retry_after_seconds: 1 },
            ApiError::Internal("".into()),
        ]
    }

    #[test]
    fn the_api_document_lists_every_error_with_its_status() {
        let errors: BTreeSet<_> = every_error()
            .iter()
            .map(|error| {
                let (status, code, _) = error.parts();
                (status.as_u16().to_string(), format!("`{code}`"))
            })
            .collect();
        let rows = include_str!("../../../../docs/API.md").lines().filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let (status, code) = (cells.next()?, cells.next()?);
            status.parse::<u16>().ok().map(|_| (status.to_owned(), code.to_owned()))
        });
        assert_eq!(rows.collect::<BTreeSet<_>>(), errors);
    }

    #[test]
    fn every_429_and_503_says_when_to_try_again_and_no_other_error_does() {
        for error in every_error() {
            let name = format!("{error:?}");
            let response = error.into_response();
            let seconds = response.headers().get(RETRY_AFTER);
            let seconds: Option<u64> = seconds.map(|it| it.to_str().unwrap().parse().unwrap());
            let expected = matches!(response.status().as_u16(), 429 | 503);
            assert_eq!(seconds.is_some_and(|seconds| seconds >= 1), expected, "{name}");
        }
    }
}
