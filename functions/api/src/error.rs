//! Everything that can go wrong with a request, and the only place where it becomes an answer.
//!
//! The rule: a failure of ours is told to the client in constant words and to the log with its cause.

use std::collections::BTreeMap;
use std::error::Error;

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;

use webhooks::aws;
use webhooks::secrets::SecretError;
use webhooks::store::StoreError;

use crate::MAX_BODY_BYTES;

/// What is wrong with each field or parameter, by its name.
pub type Details = BTreeMap<String, String>;

/// The cause of a failure of ours, for the log alone.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub enum ApiError {
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
    /// Parameters that cannot be read.
    InvalidParameters(Details),
    /// A body that does not call itself JSON.
    UnsupportedMediaType,
    /// A body of more than [`MAX_BODY_BYTES`].
    BodyTooLarge,
    /// A body that is not JSON; where and why.
    MalformedBody(String),
    /// A body that is JSON and not an object.
    NotAnObject,
    /// Fields that break a rule.
    InvalidFields(Details),
    /// The tenant has as many webhooks as it may have.
    WebhookLimitReached(u32),
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
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// All that a client is told: status, code and message.
    fn answer(&self) -> (StatusCode, &'static str, String) {
        match self {
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
                "A query parameter cannot be read; `details` says which and what is expected.".into(),
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
            Self::MalformedBody(reason) => (
                StatusCode::BAD_REQUEST,
                "invalid_json",
                format!("The body is not valid JSON: {reason}."),
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
            Self::InvalidParameters(details) | Self::InvalidFields(details) => details,
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
        let body = Body { error: code, message, details: self.details() };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
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
