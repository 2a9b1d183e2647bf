//! Creates a webhook: its secret first, then its row.
//!
//! The rule: if the row is not written, the secret is removed again.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use tracing::field::display;
use tracing::{Span, error, info};

use webhooks::audit::Actor;
use webhooks::aws;
use webhooks::id::{TenantId, WebhookId};
use webhooks::idempotency::IdempotentRequest;
use webhooks::secret::SigningSecret;
use webhooks::store::webhooks::CreateError;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{Disabled, DisabledReason, Webhook};

use super::{Shared, with_secret};
use crate::AppState;
use crate::auth::{Changing, Tenant};
use crate::error::{ApiError, KeyConflict};
use crate::extract::{JsonObject, NoParameters};
use crate::fields;
use crate::idempotency::{self, CreateRequest};

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
