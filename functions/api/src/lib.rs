//! The HTTP API by which a tenant manages webhooks.
//!
//! A request comes through the [`gateway`] to the [`router`], which is the table of routes. There its
//! key becomes a tenant, whose changes are limited ([`auth`]), its path, query and body become values
//! ([`extract`], [`page`], [`fields`]), and one of the [`handlers`] does what was asked. Whatever goes
//! wrong on the way is an [`error::ApiError`], which alone knows what a client is told. Each request is
//! one line in the log ([`request_log`]).

mod auth;
pub mod config;
mod endpoint;
mod error;
mod extract;
mod fields;
pub mod gateway;
mod handlers;
mod page;
mod request_log;
mod view;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Router, middleware};

use webhooks::endpoint::EndpointPolicy;
use webhooks::secrets::SecretStore;
use webhooks::store::{ApiKeyStore, RateLimiter, WebhookStore};

use crate::error::ApiError;

/// The largest body that is read, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// What every request works with.
#[derive(Debug)]
pub struct AppState {
    /// The API keys.
    pub api_keys: ApiKeyStore,
    /// The webhooks.
    pub webhooks: WebhookStore,
    /// Their signing secrets, which are written here and never read.
    pub secrets: SecretStore,
    /// Counts the requests that have a limit.
    pub rate_limiter: RateLimiter,
    /// Which endpoints may be registered.
    pub endpoint_policy: EndpointPolicy,
    /// How many webhooks one tenant may have.
    pub max_webhooks_per_tenant: u32,
    /// How many changing requests one tenant may send in a minute.
    pub changes_per_minute: u32,
}

/// The table of routes.
pub fn router(state: Arc<AppState>) -> Router {
    Router::new()
        .route("/v1/webhooks", post(handlers::create).get(handlers::list))
        .route(
            "/v1/webhooks/{webhook_id}",
            get(handlers::get).patch(handlers::update).delete(handlers::delete),
        )
        .route("/v1/webhooks/{webhook_id}/rotate", post(handlers::rotate))
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
    use serde_json::{Value, json};

    /// Answers without a key, so that nothing beyond the routes is reached.
    async fn answer(sample: &str, change: impl FnOnce(&mut Value)) -> Value {
        let latest = BehaviorVersion::latest();
        let dynamodb = aws_sdk_dynamodb::Config::builder().behavior_version(latest).build();
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb);
        let secrets = aws_sdk_secretsmanager::Config::builder().behavior_version(latest).build();
        let state = AppState {
            api_keys: ApiKeyStore::new(dynamodb.clone(), "keys".to_owned()),
            webhooks: WebhookStore::new(dynamodb.clone(), "webhooks".to_owned()),
            secrets: SecretStore::new(
                aws_sdk_secretsmanager::Client::from_conf(secrets),
                "secrets".to_owned(),
            ),
            rate_limiter: RateLimiter::new(dynamodb, "webhooks".to_owned()),
            endpoint_policy: EndpointPolicy::default(),
            max_webhooks_per_tenant: 50,
            changes_per_minute: 60,
        };
        let mut event: Value = serde_json::from_str(sample).unwrap();
        event["headers"].as_object_mut().unwrap().remove("authorization").unwrap();
        change(&mut event);
        let event = event.to_string();
        let answer = gateway::answer(&router(Arc::new(state)), event.as_bytes()).await;
        serde_json::to_value(answer).unwrap()
    }

    fn code(answer: &Value) -> Value {
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        body["error"].clone()
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
            let answer = answer(sample, |_| ()).await;
            assert_eq!(answer["statusCode"], 401, "{sample}");
            assert_eq!(answer["headers"]["www-authenticate"], "Bearer");
        }
    }

    #[tokio::test]
    async fn what_no_route_has_is_not_found_without_a_key() {
        for path in
            ["/", "", "v1", "/v1/webhooks/", "/v1/webhooks/a/b", "/v2/webhooks", "/v1//webhooks"]
        {
            let answer = answer(GET, |event| event["rawPath"] = path.into()).await;
            assert_eq!(
                (&answer["statusCode"], code(&answer)),
                (&json!(404), json!("route_not_found")),
                "{path}"
            );
            assert_eq!(answer["headers"]["content-type"], "application/json");
        }
    }

    #[tokio::test]
    async fn another_method_is_told_which_are_allowed() {
        for (sample, allowed) in [(CREATE, "POST,GET,HEAD"), (GET, "GET,HEAD,PATCH,DELETE")] {
            for method in ["PUT", "get", "BREW"] {
                let put =
                    |event: &mut Value| event["requestContext"]["http"]["method"] = method.into();
                let answer = answer(sample, put).await;
                assert_eq!(answer["statusCode"], 405, "{method}");
                assert_eq!(answer["headers"]["allow"], allowed);
                assert_eq!(answer["headers"]["content-type"], "application/json");
            }
        }
    }

    #[tokio::test]
    async fn no_answer_may_be_taken_for_another_type_than_it_names() {
        let large = "x".repeat(MAX_BODY_BYTES + 1);
        for (status, name, value) in [
            (401, "version", "2.0".into()),
            (404, "rawPath", "/".into()),
            (413, "body", large.into()),
            (400, "headers", json!({"x": "\u{1}"})),
            (400, "rawPath", Value::Null),
            (414, "rawQueryString", "x".repeat(9000).into()),
        ] {
            let answer = answer(CREATE, |event| event[name] = value).await;
            assert_eq!(answer["statusCode"], status, "{name}");
            assert_eq!(answer["headers"]["x-content-type-options"], "nosniff", "{name}");
        }
    }
}
