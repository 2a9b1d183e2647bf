//! The HTTP API by which a tenant manages webhooks.
//!
//! A request comes through the [`gateway`] to the [`router`], which is the table of routes. There its
//! key becomes a tenant ([`auth`]), its path, query and body become values ([`extract`], [`page`],
//! [`fields`]), and one handler of [`webhooks`] does what was asked. Whatever goes wrong on the way is
//! an [`error::ApiError`], which alone knows what a client is told. Each request is one line in the log
//! ([`request_log`]).

pub mod auth;
pub mod config;
pub mod endpoint;
pub mod error;
pub mod extract;
pub mod fields;
pub mod gateway;
pub mod page;
pub mod request_log;
pub mod view;
pub mod webhooks;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};

use ::webhooks::endpoint::EndpointPolicy;
use ::webhooks::secrets::SecretStore;
use ::webhooks::store::{ApiKeyStore, WebhookStore};

use crate::error::ApiError;

/// The largest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// What every request works with.
#[derive(Debug)]
pub struct AppState {
    /// The API keys.
    pub api_keys: ApiKeyStore,
    /// The webhooks.
    pub webhooks: WebhookStore,
    /// Their signing secrets, which are written here and never read.
    pub secrets: SecretStore,
    /// Which endpoints may be registered.
    pub endpoint_policy: EndpointPolicy,
    /// How many webhooks one tenant may have.
    pub max_webhooks_per_tenant: u32,
}

/// The table of routes.
pub fn router(state: Arc<AppState>) -> Router {
    Router::new()
        .route("/v1/webhooks", post(webhooks::create).get(webhooks::list))
        .route(
            "/v1/webhooks/{webhook_id}",
            get(webhooks::get).patch(webhooks::update).delete(webhooks::delete),
        )
        .route("/v1/webhooks/{webhook_id}/rotate", post(webhooks::rotate))
        .fallback(async || ApiError::RouteNotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(request_log::log_request))
        .with_state(state)
}
