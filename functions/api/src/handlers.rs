//! The handlers of webhooks. This file reads, updates and deletes them; [`create`](create()) and [`rotation`] have files of
//! their own.
//!
//! The rule: a row never exists without its secret. Create writes the secret first; delete removes the row
//! first. If a write fails without a clear result, the handler reads the row to find out what happened.

mod create;
mod rotation;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tracing::{error, info};

use webhooks::audit::Actor;
use webhooks::aws;
use webhooks::health::HealthEvent;
use webhooks::id::{TenantId, WebhookId};
use webhooks::secret::SigningSecret;
use webhooks::store::StoreError;
use webhooks::store::webhooks::{EditError, Updated};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{Webhook, WebhookChanges};

use crate::AppState;
use crate::auth::{Changing, Tenant};
use crate::error::ApiError;
use crate::extract::{JsonObject, NoParameters, PathId};
use crate::fields;
use crate::page::Page;
use crate::view::{WebhookList, WebhookView};

pub(crate) use create::create;
pub(crate) use rotation::{delete_previous_secret, rotate};

pub(crate) type Shared = State<Arc<AppState>>;

/// `GET /v1/webhooks`
pub(crate) async fn list(
    Tenant { id: tenant, .. }: Tenant,
    State(state): Shared,
    page: Page,
) -> Result<Response, ApiError> {
    let mut webhooks: Vec<Webhook> =
        state.webhooks.list(tenant).await?.into_iter().filter_map(readable).collect();
    webhooks.sort_by_key(|webhook| (webhook.created_at, webhook.id));
    Ok(Json(WebhookList::of(&webhooks, page, Timestamp::now())).into_response())
}

/// Skips a corrupt row: the tenant still sees the others.
fn readable(row: Result<Webhook, StoreError>) -> Option<Webhook> {
    row.inspect_err(|error| error!(error = %aws::chain(error), "a webhook is missing from a list"))
        .ok()
}

/// `GET /v1/webhooks/{webhook_id}`
pub(crate) async fn get(
    Tenant { id: tenant, .. }: Tenant,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
) -> Result<Response, ApiError> {
    let webhook = find(&state, tenant, id).await?;
    Ok(Json(WebhookView::of(&webhook, Timestamp::now())).into_response())
}

/// The tenant's webhook, or a 404.
pub(crate) async fn find(
    state: &AppState,
    tenant: TenantId,
    id: WebhookId,
) -> Result<Webhook, ApiError> {
    state.webhooks.get(tenant, id).await?.ok_or(ApiError::WebhookNotFound)
}

/// `PATCH /v1/webhooks/{webhook_id}`
pub(crate) async fn update(
    Changing(Tenant { id: tenant, key }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let changes = WebhookChanges {
        requires_test: state.require_tested_endpoints,
        ..fields::changes(body, &state.endpoint_policy).await?
    };
    let now = Timestamp::now();
    let updated = state.editor.update(tenant, id, &changes, Actor::Key(key), now).await?;
    let Updated { webhook, is_changed, is_switched } = updated.ok_or(ApiError::WebhookNotFound)?;
    if is_changed {
        info!("webhook changed");
    }
    if is_switched {
        publish_switch(&state, &webhook).await;
    }
    Ok(Json(WebhookView::of(&webhook, Timestamp::now())).into_response())
}

/// Announces that the owner has switched the webhook off or on.
async fn publish_switch(state: &AppState, webhook: &Webhook) {
    let event = HealthEvent::of_switch(webhook);
    state.health_events.publish(&event, Instant::now() + aws::CALL_TIMEOUT).await;
}

/// `DELETE /v1/webhooks/{webhook_id}`
pub(crate) async fn delete(
    Changing(Tenant { id: tenant, key }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
) -> Result<StatusCode, ApiError> {
    let existed = match state.editor.delete(tenant, id, Actor::Key(key), Timestamp::now()).await {
        Ok(existed) => existed,
        Err(EditError::Conflict) => return Err(ApiError::WebhookConflict),
        // The delete may have succeeded even though its response was lost.
        Err(EditError::Store(failure)) => match state.webhooks.get(tenant, id).await {
            Ok(None) => true,
            Ok(Some(_)) | Err(_) => return Err(failure.into()),
        },
    };
    if existed {
        info!("webhook deleted");
    }
    // Even without a row: an earlier delete may have stopped between the two steps.
    state.secrets.delete(tenant, id).await?;
    if existed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::WebhookNotFound) }
}

/// Shows the signing secret; `no-store` keeps it out of caches.
fn with_secret(webhook: &Webhook, secret: &SigningSecret, now: Timestamp) -> Response {
    let view = WebhookView::with_secret(webhook, secret, now);
    ([(CACHE_CONTROL, "no-store")], Json(view)).into_response()
}
