//! A tenant of a test's own, with a key, and the API as they use it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use docintell::http::loopback_client;
use docintell::keys;
use harness::{Receiver, Script, eventually};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::id::TenantId;
use webhooks::secret::KeyEnvironment;
use webhooks::store::deliveries::{self, DeliveryRow};

use super::world::World;

/// A tenant that no other test knows.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Who they are.
    pub id: TenantId,
    /// Their API key.
    pub key: String,
    http: reqwest::Client,
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null where there is none.
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
    /// A new tenant.
    pub(crate) async fn new() -> Self {
        Self::with_id(TenantId::random()).await
    }

    /// A new tenant, an endpoint that does what `script` says, and its webhook for every event.
    pub(crate) async fn subscribed(script: impl Into<Script>) -> (Self, Receiver, Hook) {
        let (tenant, receiver) = (Self::new().await, Receiver::start(script).await);
        let hook = tenant.subscribe(&receiver).await;
        (tenant, receiver, hook)
    }

    /// A tenant of that id, with a new key.
    pub(crate) async fn with_id(id: TenantId) -> Self {
        let world = World::get();
        let store = keys::store(&world.aws(), &world.info().outputs.api_keys_table);
        let (key, _) = keys::create(&store, id, "a test's", KeyEnvironment::Test, None)
            .await
            .expect("a key can be made");
        world.keep_secret(key.expose());
        let http = loopback_client().expect("a client can be made");
        Self { id, key: key.expose().to_owned(), http }
    }

    /// A request with the tenant's key and, if there is one, a JSON body.
    pub(crate) async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.unsent(method, path).bearer_auth(&self.key);
        match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                Self::send(request.body(body.to_string())).await
            }
            None => Self::send(request).await,
        }
    }

    /// A request with nothing in it yet, not even a key.
    pub(crate) fn unsent(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", World::get().info().outputs.api_url))
    }

    /// Sends any request to the API.
    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the API answers");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the answer is text");
        if status >= 400 {
            let leaked = World::get().secrets().iter().any(|secret| text.contains(secret));
            assert!(!leaked, "an error's body shows a secret or a key");
        }
        let body: Value = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}")),
        };
        if let Some(secret) = body["signing_secret"].as_str() {
            World::get().keep_secret(secret);
        }
        Answer { status, headers, body }
    }

    /// Registers a webhook with these fields.
    pub(crate) async fn create(&self, fields: Value) -> Hook {
        let answer = self.request(Method::POST, "/v1/webhooks", Some(fields)).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        let text = |name: &str| answer.body[name].as_str().expect("it is a string").to_owned();
        Hook { id: text("webhook_config_id"), secret: text("signing_secret") }
    }

    /// Registers `receiver` for every event.
    pub(crate) async fn subscribe(&self, receiver: &Receiver) -> Hook {
        self.create(json!({
            "url": receiver.url(),
            "events": ["document.uploaded", "document.processing.completed", "document.processing.failed"],
        }))
        .await
    }

    /// Changes a webhook.
    pub(crate) async fn change(&self, hook: &Hook, fields: Value) {
        let path = format!("/v1/webhooks/{}", hook.id);
        let answer = self.request(Method::PATCH, &path, Some(fields)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }

    /// The hook's delivery, once its status is `status`.
    pub(crate) async fn delivery(&self, hook: &Hook, status: DeliveryStatus) -> DeliveryRow {
        eventually(&format!("a delivery that is {}", status.as_str()), async || {
            self.deliveries(hook).await.into_iter().find(|row| row.status == status)
        })
        .await
    }

    /// All that the log has of a hook.
    pub(crate) async fn deliveries(&self, hook: &Hook) -> Vec<DeliveryRow> {
        let world = World::get();
        aws_sdk_dynamodb::Client::new(&world.aws())
            .query()
            .table_name(&world.info().outputs.deliveries_table)
            .key_condition_expression("webhook_config_id = :id")
            .expression_attribute_values(":id", AttributeValue::S(hook.id.clone()))
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
