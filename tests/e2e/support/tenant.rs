//! A tenant that belongs to one test, its API key, and the API calls it makes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use docintell::http::loopback_client;
use docintell::keys;
use docintell::local::StackInfo;
use harness::{Receiver, Script, eventually};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::id::TenantId;
use webhooks::secret::KeyEnvironment;
use webhooks::store::deliveries::{self, DeliveryRow};

use super::openapi;
use super::world::World;

/// A tenant that no other test uses.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub id: TenantId,
    pub key: String,
    http: reqwest::Client,
    api_url: String,
}

/// A response from the API.
#[derive(Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null if the response has no body.
    pub body: Value,
}

/// A webhook that a test has registered.
#[derive(Debug)]
pub(crate) struct Hook {
    /// `webhook_config_id`
    pub id: String,
    /// `signing_secret`
    pub secret: String,
}

impl Tenant {
    /// A tenant with a random id and a new key.
    pub(crate) async fn new() -> Self {
        Self::with_id(TenantId::random()).await
    }

    /// A new tenant, a receiver that follows `script`, and a webhook that sends it every event.
    pub(crate) async fn subscribed(script: impl Into<Script>) -> (Self, Receiver, Hook) {
        let (tenant, receiver) = (Self::new().await, Receiver::start(script).await);
        let hook = tenant.subscribe(&receiver).await;
        (tenant, receiver, hook)
    }

    /// A tenant with this id and a new key.
    pub(crate) async fn with_id(id: TenantId) -> Self {
        let world = World::get();
        let store = keys::store(&world.aws(), &world.info().outputs.api_keys_table);
        let (key, _) = keys::create(&store, id, "test", KeyEnvironment::Test, None)
            .await
            .expect("a key can be created");
        world.keep_secret(key.expose());
        Self::calling(&world.info().outputs.api_url, id, key.expose())
    }

    /// The tenant of a stack other than the one that all tests share.
    pub(crate) fn of_stack(info: &StackInfo) -> Self {
        World::get().keep_secret(&info.api_key);
        Self::calling(&info.outputs.api_url, info.tenant_id, &info.api_key)
    }

    fn calling(api_url: &str, id: TenantId, key: &str) -> Self {
        let http = loopback_client().expect("a client can be built");
        Self { id, key: key.to_owned(), http, api_url: api_url.to_owned() }
    }

    /// Sends a request with the tenant's key and, if given, a JSON body.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        let request = self.unsent(method, path).bearer_auth(&self.key);
        match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                Self::send(request.body(body.to_string())).await
            }
            None => Self::send(request).await,
        }
    }

    /// A request without a key, headers or a body, to be completed and sent.
    pub(crate) fn unsent(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api_url))
    }

    /// Sends any request to the API. Fails if the response is not as the API's document describes it.
    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Response {
        let (client, request) = request.build_split();
        let request = request.expect("the request is valid");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("the API responds");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the response is text");
        if status >= 400 {
            let leaked = World::get().secrets().iter().any(|secret| text.contains(secret));
            assert!(!leaked, "an error's body contains a secret or a key");
        }
        let body: Value = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}")),
        };
        if let Some(secret) = body["signing_secret"].as_str() {
            World::get().keep_secret(secret);
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        openapi::check_response(method.as_str(), &path, status, header, &body);
        Response { status, headers, body }
    }

    /// Registers a webhook with these fields.
    pub(crate) async fn create(&self, fields: Value) -> Hook {
        let response = self.request(Method::POST, "/v1/webhooks", Some(fields)).await;
        assert_eq!(response.status, 201, "{:?}", response.body);
        let text = |name: &str| response.body[name].as_str().expect("it is a string").to_owned();
        Hook { id: text("webhook_config_id"), secret: text("signing_secret") }
    }

    /// Registers a webhook that sends `receiver` every event.
    pub(crate) async fn subscribe(&self, receiver: &Receiver) -> Hook {
        self.create(json!({
            "url": receiver.url(),
            "events": ["document.uploaded", "document.processing.completed", "document.processing.failed"],
        }))
        .await
    }

    /// Changes these fields of a webhook.
    pub(crate) async fn change(&self, hook: &Hook, fields: Value) {
        let path = format!("/v1/webhooks/{}", hook.id);
        let response = self.request(Method::PATCH, &path, Some(fields)).await;
        assert_eq!(response.status, 200, "{:?}", response.body);
    }

    /// Waits until a delivery of the webhook has this status, and returns it.
    pub(crate) async fn delivery(&self, hook: &Hook, status: DeliveryStatus) -> DeliveryRow {
        eventually(&format!("a delivery with the status {}", status.as_str()), async || {
            self.deliveries(hook).await.into_iter().find(|row| row.summary.status == status)
        })
        .await
    }

    /// Every delivery of the webhook in the delivery log.
    pub(crate) async fn deliveries(&self, hook: &Hook) -> Vec<DeliveryRow> {
        let world = World::get();
        aws_sdk_dynamodb::Client::new(&world.aws())
            .query()
            .table_name(&world.info().outputs.deliveries_table)
            .key_condition_expression("webhook = :webhook")
            .expression_attribute_values(
                ":webhook",
                AttributeValue::S(format!("{}/{}", self.id, hook.id)),
            )
            .consistent_read(true)
            .send()
            .await
            .expect("the log can be read")
            .items
            .unwrap_or_default()
            .into_iter()
            .map(|item: HashMap<_, _>| deliveries::read(item).expect("the log's rows can be read"))
            .collect()
    }
}
