//! Replaces the secret of a webhook, and ends the overlap of two secrets.
//!
//! The rule: one rotation of a webhook runs at a time, and its row says which secrets are in force.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tracing::{error, info};

use webhooks::audit::Actor;
use webhooks::aws;
use webhooks::rotation::{Overlap, RotatedSecrets, StagingLabel};
use webhooks::secret::SigningSecret;
use webhooks::secrets::SecretError;
use webhooks::store::rate_limit::Limit;
use webhooks::timestamp::Timestamp;

use super::{Shared, find, with_secret};
use crate::auth::{Changing, Tenant};
use crate::error::ApiError;
use crate::extract::{JsonObject, NoParameters, PathId};
use crate::fields;

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
