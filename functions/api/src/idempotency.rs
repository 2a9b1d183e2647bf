//! Creates with an `Idempotency-Key`, which a client can repeat when it has not got the response.
//!
//! The rule: a repeat gets the webhook as it is now, and never a secret.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use tracing::field::display;
use tracing::{Span, info};

use webhooks::id::TenantId;
use webhooks::idempotency::{IdempotentRequest, InvalidIdempotencyKey};
use webhooks::timestamp::Timestamp;

use crate::AppState;
use crate::error::{ApiError, Details, KeyConflict};
use crate::extract::{JsonObject, RawBody};
use crate::view::WebhookView;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The body of a create, and its key if it has one.
#[derive(Debug)]
pub(crate) struct CreateRequest {
    pub body: JsonObject,
    /// `None` without an `Idempotency-Key`.
    pub once: Option<IdempotentRequest>,
}

impl<S: Send + Sync> FromRequest<S> for CreateRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let body = RawBody::from_request(request, state).await?;
        let once = idempotent_request(&headers, &body.bytes).map_err(|invalid| {
            ApiError::MalformedHeader(Details::from([(KEY.to_string(), invalid.to_string())]))
        })?;
        Ok(Self { body: body.parse()?, once })
    }
}

fn idempotent_request(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<IdempotentRequest>, InvalidIdempotencyKey> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().ok().filter(|_| keys.next().is_none()).ok_or(InvalidIdempotencyKey)?;
    IdempotentRequest::new(key, body).map(Some)
}

/// The response to a create whose key has created a webhook; `None` if there is no key, or if it is new.
pub(crate) async fn repeat(
    state: &AppState,
    tenant: TenantId,
    once: Option<&IdempotentRequest>,
) -> Result<Option<Response>, ApiError> {
    let Some(request) = once else { return Ok(None) };
    let now = Timestamp::now();
    let Some(earlier) = state.webhooks.earlier_create(tenant, request, now).await? else {
        return Ok(None);
    };
    if !earlier.has_same_body {
        return Err(ApiError::IdempotencyConflict(KeyConflict::OtherBody));
    }
    let id = earlier.webhook_id;
    Span::current().record("webhook.id", display(id));
    let webhook = state.webhooks.get(tenant, id).await?;
    let webhook = webhook.ok_or(ApiError::IdempotencyConflict(KeyConflict::Deleted))?;
    info!("create repeated");
    let replayed = [(REPLAYED, HeaderValue::from_static("true"))];
    Ok(Some((replayed, Json(WebhookView::of(&webhook, now))).into_response()))
}
