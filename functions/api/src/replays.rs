//! The routes of a webhook's replays: try one without sending, start one, look at them, pause, resume and cancel one.
//!
//! The rule: the key of every read and write is the tenant of the API key and the webhook of the path. The replay
//! function does the sending; these handlers only write the replay's row and queue a message for the function.

pub(crate) mod fields;
pub(crate) mod view;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;
use tracing::info;

use webhooks::id::{ReplayId, WebhookKey};
use webhooks::replay::{Change, Replay};
use webhooks::replay_start::{queue_message, start};
use webhooks::store::replays::{Changed, NewReplay, count};
use webhooks::timestamp::Timestamp;

use crate::AppState;
use crate::auth::{Changing, Tenant};
use crate::error::ApiError;
use crate::extract::{JsonObject, NoParameters, PathId, PathReplayId};
use crate::fields::NoFields;
use crate::handlers::{Shared, find};
use fields::ReplayRequest;
use view::{CountView, ReplayList, ReplayView};

/// The most replays of a list.
const MAX_LISTED: usize = 100;

/// After this time a count reads no further page of the log.
const COUNT_TIME: Duration = Duration::from_secs(10);

/// `POST /v1/webhooks/{webhook_id}/replays`
pub(crate) async fn create(
    Changing(Tenant { id: tenant, .. }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
    body: JsonObject,
) -> Result<Response, ApiError> {
    let now = Timestamp::now();
    let request = fields::replay(body, state.replay_rate, now)?;
    let found = find(&state, tenant, id).await?;
    let webhook = found.key();
    let ReplayRequest { filter, rate_per_second, dry_run } = request;
    if !dry_run {
        if let Some((withheld, _)) = found.withheld() {
            return Err(withheld.into());
        }
        // `create` enforces this. The check avoids counting for a replay that it would refuse.
        if state.replays.open(webhook, now).await?.is_some() {
            return Err(ApiError::ReplayRunning);
        }
    }
    let give_up_at = Instant::now() + COUNT_TIME;
    let counted = count(&state.log, webhook, &filter, now, give_up_at).await?;
    if dry_run {
        return Ok(Json(CountView::of(&counted, rate_per_second, now)).into_response());
    }
    let new = NewReplay { webhook, filter, rate_per_second, counted: counted.count };
    let replay = start(&state.replays, &state.replay_queue, new, now).await?;
    info!(
        replay.id = %replay.replay_id,
        webhook.id = %id,
        tenant.id = %tenant,
        "replay started"
    );
    let location = [(LOCATION, format!("/v1/webhooks/{id}/replays/{}", replay.replay_id))];
    Ok((StatusCode::CREATED, location, Json(ReplayView::of(&replay, now))).into_response())
}

/// `GET /v1/webhooks/{webhook_id}/replays`
pub(crate) async fn list(
    Tenant { id: tenant, .. }: Tenant,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
) -> Result<Response, ApiError> {
    let webhook = find(&state, tenant, id).await?.key();
    let replays = state.replays.list(webhook, MAX_LISTED).await?;
    Ok(Json(ReplayList::of(&replays, Timestamp::now())).into_response())
}

/// `GET /v1/webhooks/{webhook_id}/replays/{replay_id}`
pub(crate) async fn get(
    Tenant { id: tenant, .. }: Tenant,
    NoParameters: NoParameters,
    PathId(id): PathId,
    PathReplayId(replay): PathReplayId,
    State(state): Shared,
) -> Result<Response, ApiError> {
    let webhook = find(&state, tenant, id).await?.key();
    let replay = state.replays.get(webhook, replay).await?.ok_or(ApiError::ReplayNotFound)?;
    Ok(Json(ReplayView::of(&replay, Timestamp::now())).into_response())
}

/// `POST /v1/webhooks/{webhook_id}/replays/{replay_id}/pause`
pub(crate) async fn pause(
    Changing(Tenant { id: tenant, .. }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    PathReplayId(replay): PathReplayId,
    State(state): Shared,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let webhook = find(&state, tenant, id).await?.key();
    let paused = change(&state, webhook, replay, Change::Pause).await?;
    Ok(Json(ReplayView::of(&paused, Timestamp::now())).into_response())
}

/// `POST /v1/webhooks/{webhook_id}/replays/{replay_id}/resume`
///
/// Queues a message even if the replay is running: its message may be lost, and a second one does no harm.
pub(crate) async fn resume(
    Changing(Tenant { id: tenant, .. }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    PathReplayId(replay): PathReplayId,
    State(state): Shared,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let found = find(&state, tenant, id).await?;
    let webhook = found.key();
    if let Some((withheld, _)) = found.withheld() {
        // A replay that does not exist or has ended is a clearer error.
        let now = Timestamp::now();
        let replay = state.replays.get(webhook, replay).await?.ok_or(ApiError::ReplayNotFound)?;
        return Err(match Change::Resume.apply(&replay, now) {
            Some(_) => withheld.into(),
            None => ApiError::ReplayEnded(replay.state_at(now)),
        });
    }
    let resumed = change(&state, webhook, replay, Change::Resume).await?;
    queue_message(&state.replay_queue, &resumed).await?;
    Ok(Json(ReplayView::of(&resumed, Timestamp::now())).into_response())
}

/// `DELETE /v1/webhooks/{webhook_id}/replays/{replay_id}`
pub(crate) async fn cancel(
    Changing(Tenant { id: tenant, .. }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    PathReplayId(replay): PathReplayId,
    State(state): Shared,
) -> Result<Response, ApiError> {
    let webhook = find(&state, tenant, id).await?.key();
    let cancelled = change(&state, webhook, replay, Change::Cancel).await?;
    Ok(Json(ReplayView::of(&cancelled, Timestamp::now())).into_response())
}

async fn change(
    state: &AppState,
    webhook: WebhookKey,
    replay: ReplayId,
    change: Change,
) -> Result<Replay, ApiError> {
    let now = Timestamp::now();
    match state.replays.change(webhook, replay, change, now).await? {
        Changed::Done(replay) => {
            info!(
                replay.id = %replay.replay_id,
                replay.state = %replay.state,
                webhook.id = %webhook.webhook_id,
                tenant.id = %webhook.tenant_id,
                "replay changed"
            );
            Ok(replay)
        }
        Changed::Ended(replay) => Err(ApiError::ReplayEnded(replay.state_at(now))),
        Changed::Conflict => Err(ApiError::ReplayConflict),
        Changed::NotFound => Err(ApiError::ReplayNotFound),
    }
}
