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
        .layer(middleware::from_fn(extract::refuse_large_bodies))
        .layer(middleware::from_fn(request_log::log_request))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::config::BehaviorVersion;
    use axum::http::{Method, StatusCode, header};
    use axum::response::Response;
    use lambda_http::{Request, Service as _};

    /// Answers without a key, so that nothing beyond the routes is reached.
    async fn answer(sample: &str, change: impl FnOnce(&mut Request)) -> Response {
        let latest = BehaviorVersion::latest();
        let dynamodb = aws_sdk_dynamodb::Config::builder().behavior_version(latest).build();
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb);
        let secrets = aws_sdk_secretsmanager::Config::builder().behavior_version(latest).build();
        let state = AppState {
            api_keys: ApiKeyStore::new(dynamodb.clone(), "keys".to_owned()),
            webhooks: WebhookStore::new(dynamodb, "webhooks".to_owned()),
            secrets: SecretStore::new(
                aws_sdk_secretsmanager::Client::from_conf(secrets),
                "secrets".to_owned(),
            ),
            endpoint_policy: EndpointPolicy::default(),
            max_webhooks_per_tenant: 50,
        };
        let mut request = lambda_http::request::from_str(sample).unwrap();
        request.headers_mut().remove(header::AUTHORIZATION);
        change(&mut request);
        router(Arc::new(state)).call(request).await.unwrap()
    }

    const CREATE: &str = include_str!("../../../events/api-create.json");
    const GET: &str = include_str!("../../../events/api-get.json");

    #[tokio::test]
    async fn every_sample_event_meets_a_route_that_asks_for_a_key() {
        for sample in [
            CREATE,
            GET,
            include_str!("../../../events/api-list.json"),
            include_str!("../../../events/api-update.json"),
            include_str!("../../../events/api-rotate.json"),
            include_str!("../../../events/api-delete.json"),
        ] {
            let response = answer(sample, |_| ()).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{sample}");
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        }
    }

    #[tokio::test]
    async fn what_no_route_has_is_not_found_without_a_key() {
        for path in ["/", "/v1/webhooks/", "/v1/webhooks/a/b", "/v2/webhooks"] {
            let response = answer(GET, |request| *request.uri_mut() = path.parse().unwrap()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        }
    }

    #[tokio::test]
    async fn another_method_is_told_which_are_allowed() {
        for (sample, allowed) in [(CREATE, "POST,GET,HEAD"), (GET, "GET,HEAD,PATCH,DELETE")] {
            let response = answer(sample, |request| *request.method_mut() = Method::PUT).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()[header::ALLOW], allowed);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        }
    }
}
