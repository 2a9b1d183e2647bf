//! The HTTP API with which a tenant manages its webhooks.
//!
//! A request comes through the [`gateway`] to the [`router`], which lists the routes. Extractors find the
//! tenant of its API key, count it towards the tenant's limits ([`auth`]) and parse its path, query and body
//! ([`extract`], [`page`], [`fields`]). One of the [`handlers`] does the work; those of the delivery log are in
//! [`deliveries`], those of replays in [`replays`], that of a webhook's history in [`audit`], and [`webhook_test`] asks
//! the [`sender`]. A repeated create is answered by [`idempotency`]. [`documents`] serves the descriptions of the events
//! and of this API, which `openapi` makes of the code. Every failure is an [`error::ApiError`], which makes the error
//! response. Each request writes one log line ([`request_log`]).

mod audit;
mod auth;
mod config;
mod cursor;
mod deliveries;
mod documents;
mod endpoint;
mod error;
mod extract;
mod fields;
mod gateway;
mod handlers;
mod idempotency;
#[cfg(test)]
mod openapi;
mod page;
mod replays;
mod request_log;
mod sender;
mod view;
mod webhook_test;

use std::sync::Arc;

use aws_types::SdkConfig;
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Router, middleware};
use webhooks::endpoint::EndpointPolicy;
use webhooks::health_events::HealthEvents;
use webhooks::queue::Queue;
use webhooks::secrets::SecretStore;
use webhooks::store::{
    ApiKeyStore, AuditStore, DeliveryLog, DynamoDb, RateLimiter, ReplayStore, WebhookEditor,
    WebhookStore,
};

use crate::error::ApiError;
use crate::sender::SenderFunction;

pub use crate::config::{Config, ReplayRate};
pub use crate::gateway::serve;

/// Maximum size of a request body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// Clients and settings that all requests share.
#[derive(Debug)]
pub struct AppState {
    /// Finds API keys by their hash.
    pub(crate) api_keys: ApiKeyStore,
    /// Webhook rows, which do not contain the signing secrets.
    pub(crate) webhooks: WebhookStore,
    /// Changes webhooks, and notes each change in their history.
    pub(crate) editor: WebhookEditor,
    /// The webhooks' history.
    pub(crate) audit: AuditStore,
    /// The delivery log.
    pub(crate) log: DeliveryLog,
    /// The queue of deliveries in progress.
    pub(crate) delivery_queue: Queue,
    /// The webhooks' replays.
    pub(crate) replays: ReplayStore,
    /// The queue that drives replays.
    pub(crate) replay_queue: Queue,
    /// The pace of replays.
    pub(crate) replay_rate: ReplayRate,
    /// Signing secrets, which the API writes and never reads.
    pub(crate) secrets: SecretStore,
    /// Announces that a webhook was switched off or on.
    pub(crate) health_events: HealthEvents,
    /// Posts to the endpoints of webhooks, which this function never does.
    pub(crate) sender: SenderFunction,
    /// Counts changes per tenant, rotations per key and tests per webhook.
    pub(crate) rate_limiter: RateLimiter,
    /// If true, a webhook with a new URL gets nothing but tests until one succeeds.
    pub(crate) require_tested_endpoints: bool,
    /// Decides which endpoint URLs a tenant may register.
    pub(crate) endpoint_policy: EndpointPolicy,
    /// At this number, create responds with 409.
    pub(crate) max_webhooks_per_tenant: u32,
    /// Creates, updates, rotations, deletes, tests, retries and changes of replays together; above it, they get a 429.
    pub(crate) changes_per_minute: u32,
}

impl AppState {
    /// Makes the clients from `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: Config) -> Self {
        let dynamodb = DynamoDb::new(sdk);
        let secrets_manager = aws_sdk_secretsmanager::Client::new(sdk);
        let sqs = aws_sdk_sqs::Client::new(sdk);
        let webhooks = WebhookStore::new(dynamodb.clone(), config.webhooks_table.clone());
        let audit =
            AuditStore::new(dynamodb.clone(), config.webhook_audit_table, config.keep_audit);
        Self {
            api_keys: ApiKeyStore::new(dynamodb.clone(), config.api_keys_table),
            editor: WebhookEditor::new(webhooks.clone(), audit.clone()),
            webhooks,
            audit,
            log: DeliveryLog::new(
                dynamodb.clone(),
                config.deliveries_table,
                config.keep_deliveries,
            ),
            delivery_queue: Queue::new(sqs.clone(), config.delivery_queue_url),
            replays: ReplayStore::new(
                dynamodb.clone(),
                config.replays_table,
                config.keep_deliveries,
            ),
            replay_queue: Queue::new(sqs, config.replay_queue_url),
            replay_rate: config.replay_rate,
            rate_limiter: RateLimiter::new(dynamodb, config.webhooks_table),
            secrets: SecretStore::new(secrets_manager, config.secrets_prefix),
            health_events: HealthEvents::new(sdk),
            sender: SenderFunction::new(sdk, config.sender_function),
            require_tested_endpoints: config.require_tested_endpoints,
            endpoint_policy: config.endpoint_policy,
            max_webhooks_per_tenant: config.max_webhooks_per_tenant,
            changes_per_minute: config.changes_per_minute,
        }
    }
}

/// Every path with its methods. `openapi.json` describes the same ones; a test compares them.
fn routes() -> [(&'static str, MethodRouter<Arc<AppState>>); 15] {
    [
        ("/v1/webhooks", post(handlers::create).get(handlers::list)),
        (
            "/v1/webhooks/{webhook_id}",
            get(handlers::get).patch(handlers::update).delete(handlers::delete),
        ),
        ("/v1/webhooks/{webhook_id}/rotate", post(handlers::rotate)),
        ("/v1/webhooks/{webhook_id}/previous-secret", delete(handlers::delete_previous_secret)),
        ("/v1/webhooks/{webhook_id}/test", post(webhook_test::test)),
        ("/v1/webhooks/{webhook_id}/audit", get(audit::list)),
        ("/v1/webhooks/{webhook_id}/deliveries", get(deliveries::list)),
        ("/v1/webhooks/{webhook_id}/deliveries/{delivery_id}", get(deliveries::get)),
        ("/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry", post(deliveries::retry)),
        ("/v1/webhooks/{webhook_id}/replays", post(replays::create).get(replays::list)),
        (
            "/v1/webhooks/{webhook_id}/replays/{replay_id}",
            get(replays::get).delete(replays::cancel),
        ),
        ("/v1/webhooks/{webhook_id}/replays/{replay_id}/pause", post(replays::pause)),
        ("/v1/webhooks/{webhook_id}/replays/{replay_id}/resume", post(replays::resume)),
        ("/v1/event-types", get(documents::event_types)),
        ("/v1/openapi.json", get(documents::openapi)),
    ]
}

/// All routes, their fallbacks and the middleware around them.
pub fn router(state: Arc<AppState>) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(async || ApiError::RouteNotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn(extract::refuse_large_bodies))
        .layer(middleware::from_fn(request_log::log_request))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use aws_sdk_secretsmanager::config::Credentials;
    use serde_json::{Value, json};
    use webhooks::aws;
    use webhooks::metrics::MetricsLog;

    /// Sends the sample without its API key: the response comes before any AWS call.
    pub(crate) async fn response_to(sample: &str, change: impl FnOnce(&mut Value)) -> Value {
        let nobody = Credentials::new("id", "key", None, None, "test");
        let aws = aws::config_for("eu-central-1".to_owned(), nobody, None);
        let config = Config {
            webhooks_table: "webhooks".to_owned(),
            webhook_audit_table: "audit".to_owned(),
            keep_audit: Duration::from_hours(1),
            api_keys_table: "keys".to_owned(),
            deliveries_table: "deliveries".to_owned(),
            keep_deliveries: Duration::from_hours(1),
            delivery_queue_url: "https://sqs.test/deliveries".to_owned(),
            replays_table: "replays".to_owned(),
            replay_queue_url: "https://sqs.test/replays".to_owned(),
            replay_rate: ReplayRate { default: 50, max: 500 },
            secrets_prefix: "secrets".to_owned(),
            sender_function: "sender".to_owned(),
            max_webhooks_per_tenant: 50,
            changes_per_minute: 60,
            require_tested_endpoints: false,
            endpoint_policy: EndpointPolicy::default(),
            metrics_namespace: "test".to_owned(),
        };
        let metrics_log = MetricsLog::new(config.metrics_namespace.clone());
        let router = router(Arc::new(AppState::new(&aws, config)));
        let mut event: Value = serde_json::from_str(sample).unwrap();
        event["headers"].as_object_mut().unwrap().remove("authorization");
        change(&mut event);
        let event = event.to_string();
        let response = gateway::handle(&router, &metrics_log, event.as_bytes()).await;
        serde_json::to_value(response).unwrap()
    }

    fn code(response: &Value) -> Value {
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        body["error"].clone()
    }

    const CREATE: &str = include_str!("../../../events/api-create.json");
    pub(crate) const GET: &str = include_str!("../../../events/api-get.json");

    #[tokio::test]
    async fn every_sample_event_matches_a_route_that_requires_a_key() {
        for sample in [
            CREATE,
            GET,
            include_str!("../../../events/api-list.json"),
            include_str!("../../../events/api-update.json"),
            include_str!("../../../events/api-rotate.json"),
            include_str!("../../../events/api-delete-previous-secret.json"),
            include_str!("../../../events/api-test.json"),
            include_str!("../../../events/api-delete.json"),
            include_str!("../../../events/api-audit.json"),
            include_str!("../../../events/api-deliveries.json"),
            include_str!("../../../events/api-delivery.json"),
            include_str!("../../../events/api-retry.json"),
            include_str!("../../../events/api-replay.json"),
            include_str!("../../../events/api-replays.json"),
        ] {
            let response = response_to(sample, |_| ()).await;
            assert_eq!(response["statusCode"], 401, "{sample}");
            assert_eq!(response["headers"]["www-authenticate"], "Bearer");
        }
    }

    #[tokio::test]
    async fn the_documents_need_no_key_and_may_be_cached() {
        for (sample, document) in [
            (include_str!("../../../events/api-event-types.json"), documents::EVENT_TYPES),
            (include_str!("../../../events/api-openapi.json"), documents::OPENAPI),
        ] {
            let response = response_to(sample, |_| ()).await;
            assert_eq!(response["statusCode"], 200);
            assert_eq!(response["body"], document);
            for (name, value) in [
                ("content-type", "application/json"),
                ("cache-control", "public, max-age=300"),
                ("access-control-allow-origin", "*"),
            ] {
                assert_eq!(response["headers"][name], value, "{name}");
            }
            let response =
                response_to(sample, |event| event["rawQueryString"] = "a=1".into()).await;
            assert_eq!(
                (&response["statusCode"], code(&response)),
                (&json!(400), json!("invalid_parameter"))
            );
        }
    }

    #[tokio::test]
    async fn an_unknown_path_is_404_even_without_a_key() {
        for path in
            ["/", "", "v1", "/v1/webhooks/", "/v1/webhooks/a/b", "/v2/webhooks", "/v1//webhooks"]
        {
            let response = response_to(GET, |event| event["rawPath"] = path.into()).await;
            assert_eq!(
                (&response["statusCode"], code(&response)),
                (&json!(404), json!("route_not_found")),
                "{path}"
            );
            assert_eq!(response["headers"]["content-type"], "application/json");
        }
    }

    #[tokio::test]
    async fn a_405_lists_the_allowed_methods() {
        for (sample, allowed) in [(CREATE, "POST,GET,HEAD"), (GET, "GET,HEAD,PATCH,DELETE")] {
            for method in ["PUT", "get", "BREW"] {
                let put =
                    |event: &mut Value| event["requestContext"]["http"]["method"] = method.into();
                let response = response_to(sample, put).await;
                assert_eq!(response["statusCode"], 405, "{method}");
                assert_eq!(response["headers"]["allow"], allowed);
                assert_eq!(response["headers"]["content-type"], "application/json");
            }
        }
    }

    #[tokio::test]
    async fn every_response_forbids_content_type_sniffing() {
        let large = "x".repeat(MAX_BODY_BYTES + 1);
        for (status, name, value) in [
            (401, "version", "2.0".into()),
            (404, "rawPath", "/".into()),
            (413, "body", large.into()),
            (400, "headers", json!({"x": "\u{1}"})),
            (400, "rawPath", Value::Null),
            (414, "rawQueryString", "x".repeat(9000).into()),
        ] {
            let response = response_to(CREATE, |event| event[name] = value).await;
            assert_eq!(response["statusCode"], status, "{name}");
            assert_eq!(response["headers"]["x-content-type-options"], "nosniff", "{name}");
        }
    }
}
