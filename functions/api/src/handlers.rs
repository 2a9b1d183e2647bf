//! One handler per route: create, list, get, update and delete webhooks, and rotate their secrets.
//!
//! The rule: a row never exists without its secret. Create writes the secret first; delete removes the row
//! first. If a write fails without a clear result, the handler reads the row to find out what happened.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tracing::field::display;
use tracing::{Span, error, info};

use webhooks::audit::Actor;
use webhooks::aws;
use webhooks::health::HealthEvent;
use webhooks::id::{TenantId, WebhookId};
use webhooks::idempotency::IdempotentRequest;
use webhooks::rotation::{Overlap, RotatedSecrets, StagingLabel};
use webhooks::secret::SigningSecret;
use webhooks::secrets::SecretError;
use webhooks::store::StoreError;
use webhooks::store::rate_limit::Limit;
use webhooks::store::webhooks::{CreateError, EditError, Updated};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{Disabled, DisabledReason, Webhook, WebhookChanges};

use crate::AppState;
use crate::auth::{Changing, Tenant};
use crate::error::{ApiError, KeyConflict};
use crate::extract::{JsonObject, NoParameters, PathId};
use crate::fields;
use crate::idempotency::{self, CreateRequest};
use crate::page::Page;
use crate::view::{WebhookList, WebhookView};

pub(crate) type Shared = State<Arc<AppState>>;

/// `POST /v1/webhooks`
pub(crate) async fn create(
    Changing(caller): Changing,
    NoParameters: NoParameters,
    State(state): Shared,
    CreateRequest { body, once }: CreateRequest,
) -> Result<Response, ApiError> {
    if let Some(response) = idempotency::repeat(&state, caller.id, once.as_ref()).await? {
        return Ok(response);
    }
    match create_webhook(&state, caller, body, once.as_ref()).await {
        // A concurrent request with the same key may have created the webhook, or the last one within the limit.
        Err(refusal @ (ApiError::IdempotencyConflict(_) | ApiError::WebhookLimitReached(_))) => {
            let response = idempotency::repeat(&state, caller.id, once.as_ref()).await?;
            response.ok_or(refusal)
        }
        result => result,
    }
}

async fn create_webhook(
    state: &AppState,
    Tenant { id: tenant, key }: Tenant,
    body: JsonObject,
    once: Option<&IdempotentRequest>,
) -> Result<Response, ApiError> {
    let new = fields::new_webhook(body, &state.endpoint_policy).await?;
    if !state.webhooks.has_room(tenant, state.max_webhooks_per_tenant).await? {
        return Err(ApiError::WebhookLimitReached(state.max_webhooks_per_tenant));
    }
    let id = WebhookId::random();
    Span::current().record("webhook.id", display(id));
    let secret = SigningSecret::generate().map_err(ApiError::internal)?;
    let secret_version = store_first_secret(state, tenant, id, &secret).await?;
    let now = Timestamp::now();
    let webhook = Webhook {
        tenant_id: tenant,
        id,
        url: new.url,
        description: new.description,
        needs_test_since: state.require_tested_endpoints.then_some(now),
        events: new.events,
        disabled: (!new.is_active).then_some(Disabled { at: now, reason: DisabledReason::Owner }),
        failing_since: None,
        retry: new.retry,
        created_at: now,
        updated_at: now,
        secret_version,
        secret_label: None,
        previous_secret: None,
    };
    store_row(state, &webhook, Actor::Key(key), once).await?;
    info!("webhook created");
    let location = [(LOCATION, format!("/v1/webhooks/{id}"))];
    Ok((StatusCode::CREATED, location, with_secret(&webhook, &secret, now)).into_response())
}

/// Shows the signing secret; `no-store` keeps it out of caches.
fn with_secret(webhook: &Webhook, secret: &SigningSecret, now: Timestamp) -> Response {
    let view = WebhookView::with_secret(webhook, secret, now);
    ([(CACHE_CONTROL, "no-store")], Json(view)).into_response()
}

async fn store_first_secret(
    state: &AppState,
    tenant: TenantId,
    id: WebhookId,
    secret: &SigningSecret,
) -> Result<String, ApiError> {
    match state.secrets.create(tenant, id, secret).await {
        Ok(version) => Ok(version),
        Err(error) => {
            // The secret may exist even so, and no row will ever refer to it.
            remove_orphan(state, tenant, id).await;
            Err(error.into())
        }
    }
}

/// Writes the row of a webhook whose secret is stored. If that fails, removes the secret, unless the row may
/// exist.
async fn store_row(
    state: &AppState,
    webhook: &Webhook,
    actor: Actor,
    once: Option<&IdempotentRequest>,
) -> Result<(), ApiError> {
    let (tenant, id) = (webhook.tenant_id, webhook.id);
    let limit = state.max_webhooks_per_tenant;
    let failure = match state.editor.create(webhook, actor, limit, once).await {
        Ok(()) => return Ok(()),
        Err(CreateError::LimitReached) => {
            remove_orphan(state, tenant, id).await;
            return Err(ApiError::WebhookLimitReached(state.max_webhooks_per_tenant));
        }
        Err(CreateError::KeyUsed) => ApiError::IdempotencyConflict(KeyConflict::InUse),
        Err(CreateError::Store(failure)) => failure.into(),
    };
    // The write may have succeeded even though its response was lost.
    match state.webhooks.get(tenant, id).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            remove_orphan(state, tenant, id).await;
            Err(failure)
        }
        Err(error) => {
            error!(
                webhook.id = %id,
                error = %aws::chain(&error),
                "cannot tell whether a new webhook was stored; its secret is kept"
            );
            Err(failure)
        }
    }
}

/// Deletes the secret of a webhook that does not exist. Only logs a failure: the request has failed already.
async fn remove_orphan(state: &AppState, tenant: TenantId, id: WebhookId) {
    if let Err(error) = state.secrets.delete(tenant, id).await {
        error!(
            webhook.id = %id,
            error = %aws::chain(&error),
            "cannot delete a signing secret that has no webhook"
        );
    }
}

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

/// `POST /v1/webhooks/{webhook_id}/rotate`
pub(crate) async fn rotate(
    Changing(Tenant { id: tenant, key }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
    body: Option<JsonObject>,
) -> Result<Response, ApiError> {
    let overlap = fields::overlap(body)?;
    let now = Timestamp::now();
    let Some(claimed) = state.webhooks.claim_rotation(tenant, id, now).await? else {
        find(&state, tenant, id).await?;
        return Err(ApiError::RotationConflict);
    };
    let limit = Limit::Rotations { tenant, webhook: id, key };
    if let Err(refused) = state.rate_limiter.take(limit, now).await {
        // Without this, no key could rotate until the claim expires.
        if let Err(error) = state.webhooks.release_rotation(tenant, id, now).await {
            error!(error = %aws::chain(&error), "cannot release the claim of a refused rotation");
        }
        return Err(refused.into());
    }
    let secret = SigningSecret::generate().map_err(ApiError::internal)?;
    let label = StagingLabel::after(claimed.secret_label);
    let (version, overlap) = match state.secrets.put(tenant, id, &secret, label).await {
        Ok(version) => (version, overlap),
        Err(SecretError::NotFound) => {
            // If a concurrent delete removed the secret, its row is gone too and this is a 404.
            find(&state, tenant, id).await?;
            // The secret was lost. Without the old version there is nothing to overlap.
            error!(webhook.id = %id, "the webhook had no secret; the rotation creates one");
            (state.secrets.create(tenant, id, &secret).await?, Overlap::NONE)
        }
        Err(error) => return Err(error.into()),
    };
    let now = Timestamp::now();
    let new = RotatedSecrets::new(&claimed, version, now, overlap);
    let old = &claimed.secret_version;
    let replaced = state.editor.replace_secret(tenant, id, old, &new, Actor::Key(key), now).await;
    let webhook = match replaced {
        Ok(Some(webhook)) => webhook,
        other => {
            // The SDK may have repeated a write that succeeded and then found the new version instead of `old`. The
            // row says whether our secret is in force.
            let webhook = find(&state, tenant, id).await?;
            if webhook.secret_version != new.version {
                other?;
                return Err(ApiError::RotationConflict);
            }
            webhook
        }
    };
    info!("signing secret rotated");
    Ok(with_secret(&webhook, &secret, now))
}

/// `DELETE /v1/webhooks/{webhook_id}/previous-secret`
pub(crate) async fn delete_previous_secret(
    Changing(Tenant { id: tenant, key }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
) -> Result<StatusCode, ApiError> {
    let now = Timestamp::now();
    let webhook = find(&state, tenant, id).await?;
    if webhook.previous_secret_at(now).is_none() {
        return Ok(StatusCode::NO_CONTENT);
    }
    // Does not end the overlap of a concurrent rotation, because its caller has not asked for that.
    let (current, actor) = (&webhook.secret_version, Actor::Key(key));
    if state.editor.end_overlap(tenant, id, current, actor, now).await?.is_none() {
        find(&state, tenant, id).await?;
        return Err(ApiError::RotationConflict);
    }
    info!("overlap of signing secrets ended");
    Ok(StatusCode::NO_CONTENT)
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
