//! The routes of a webhook's deliveries: list them, get one in full, send one again.
//!
//! The rule: the key of every read and write is the tenant of the API key and the webhook of the path, so a cursor or a
//! delivery's id shows nothing of another webhook.

pub(crate) mod query;
pub(crate) mod view;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tracing::info;

use webhooks::id::{DeliveryId, WebhookKey};
use webhooks::redelivery::{Redelivered, redeliver};
use webhooks::store::deliveries::{DeliveryRow, Order};
use webhooks::timestamp::Timestamp;

use crate::AppState;
use crate::auth::{Changing, Tenant};
use crate::error::ApiError;
use crate::extract::{NoParameters, PathDeliveryId, PathId};
use crate::fields::NoFields;
use crate::handlers::{Shared, find};
use query::DeliveryQuery;
use view::{DeliveryDetail, DeliveryList};

/// `GET /v1/webhooks/{webhook_id}/deliveries`
pub(crate) async fn list(
    Tenant { id: tenant, .. }: Tenant,
    query: DeliveryQuery,
    PathId(id): PathId,
    State(state): Shared,
) -> Result<Response, ApiError> {
    let webhook = find(&state, tenant, id).await?.key();
    let DeliveryQuery { filter, range, limit } = query;
    let now = Timestamp::now();
    let page = state.log.list(webhook, &filter, range, Order::NewestFirst, limit, now).await?;
    Ok(Json(DeliveryList::of(&page, now)).into_response())
}

/// `GET /v1/webhooks/{webhook_id}/deliveries/{delivery_id}`
pub(crate) async fn get(
    Tenant { id: tenant, .. }: Tenant,
    NoParameters: NoParameters,
    PathId(id): PathId,
    PathDeliveryId(delivery): PathDeliveryId,
    State(state): Shared,
) -> Result<Response, ApiError> {
    let webhook = find(&state, tenant, id).await?.key();
    let row = find_delivery(&state, webhook, delivery).await?;
    Ok(Json(DeliveryDetail::of(&row, Timestamp::now())).into_response())
}

async fn find_delivery(
    state: &AppState,
    webhook: WebhookKey,
    delivery: DeliveryId,
) -> Result<DeliveryRow, ApiError> {
    state.log.get(webhook, delivery).await?.ok_or(ApiError::DeliveryNotFound)
}

/// `POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry`
pub(crate) async fn retry(
    Changing(Tenant { id: tenant, .. }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    PathDeliveryId(delivery): PathDeliveryId,
    State(state): Shared,
    NoFields: NoFields,
) -> Result<Response, ApiError> {
    let found = find(&state, tenant, id).await?;
    let webhook = found.key();
    let seen = find_delivery(&state, webhook, delivery).await?.summary;
    if let Some((withheld, _)) = found.withheld() {
        return Err(withheld.into());
    }
    let now = Timestamp::now();
    match redeliver(&state.log, &state.delivery_queue, &seen, None, now).await? {
        Redelivered::Queued(row) => {
            info!(
                delivery.id = %delivery,
                delivery.chain = row.summary.chain,
                webhook.id = %id,
                tenant.id = %tenant,
                event.id = %row.summary.event_id,
                event.name = %row.summary.event,
                "delivery queued again"
            );
            Ok((StatusCode::ACCEPTED, Json(DeliveryDetail::of(&row, now))).into_response())
        }
        Redelivered::UnderWay => Err(ApiError::DeliveryPending),
    }
}
