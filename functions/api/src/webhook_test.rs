//! The handler that tests a webhook.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use tracing::info;

use webhooks::audit::Actor;
use webhooks::store::rate_limit::Limit;
use webhooks::timestamp::Timestamp;
use webhooks::webhook_test::TestRequest;

use crate::auth::{Changing, Tenant};
use crate::error::ApiError;
use crate::extract::{JsonObject, NoParameters, PathId};
use crate::fields;
use crate::handlers::{Shared, find};

/// `POST /v1/webhooks/{webhook_id}/test`
///
/// A success makes a webhook that needs a test get deliveries, unless its URL has changed during the test.
///
/// Counts as a change: each test occupies a sender for up to ten seconds, and a tenant has many webhooks.
pub(crate) async fn test(
    Changing(Tenant { id: tenant, key }): Changing,
    NoParameters: NoParameters,
    PathId(id): PathId,
    State(state): Shared,
    body: Option<JsonObject>,
) -> Result<Response, ApiError> {
    let event = fields::test_event(body)?;
    let found = find(&state, tenant, id).await?;
    state.rate_limiter.take(Limit::Tests { tenant, webhook: id }, Timestamp::now()).await?;
    let test = TestRequest { tenant_id: tenant, webhook_config_id: id, event };
    // It may have been deleted since `find`.
    let result = state.sender.test(test).await?.ok_or(ApiError::WebhookNotFound)?;
    info!("webhook tested");
    if found.needs_test() && result.success {
        let (actor, now) = (Actor::Key(key), Timestamp::now());
        if state.editor.verify(&found, &result.url, actor, now).await? {
            info!("webhook verified; it gets deliveries");
        }
    }
    Ok(Json(result).into_response())
}
