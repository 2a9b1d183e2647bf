//! What a request's path and body hold, read so that every refusal has our shape.

use std::error::Error as _;
use std::iter;

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use webhooks::id::WebhookId;

use crate::MAX_BODY_BYTES;
use crate::error::ApiError;

/// Refuses a body of more than [`MAX_BODY_BYTES`], also where none is read. Lambda has it whole by now, so
/// its size is known.
pub async fn refuse_large_bodies(request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        return ApiError::BodyTooLarge.into_response();
    }
    next.run(request).await
}

/// A body that is a JSON object. Its fields are judged one by one, by [`crate::fields`].
#[derive(Debug)]
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::from_request(request, state).await {
            Ok(Json(Value::Object(object))) => Ok(Self(object)),
            Ok(Json(_)) => Err(ApiError::NotAnObject),
            Err(rejection) => Err(refusal(&rejection)),
        }
    }
}

fn refusal(rejection: &JsonRejection) -> ApiError {
    match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::UnsupportedMediaType,
        // The innermost error is the parser's own: line and column, and nothing of the body.
        _ => ApiError::MalformedBody(
            iter::successors(rejection.source(), |&error| error.source())
                .last()
                .map_or_else(|| rejection.body_text(), ToString::to_string),
        ),
    }
}

/// The webhook that the path names.
#[derive(Debug, Clone, Copy)]
pub struct PathId(pub WebhookId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    /// Whatever is no id is the id of no webhook.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        text.and_then(|Path(text)| text.parse().ok()).map(Self).ok_or(ApiError::WebhookNotFound)
    }
}
