//! Inputs for the functions, in AWS's own formats: webhook rows, batches of the queue and of the stream, requests.

mod deliveries;
mod queue;
mod replays;
mod requests;
mod stream;

use serde_json::{Map, Value, json};
use webhooks::event_type::EventType;
use webhooks::id::{TenantId, WebhookId};

use crate::attributes::item;
pub use deliveries::{LISTS, delivery_row, delivery_rows};
pub use queue::{
    BODY, GUIDES_BODY, Message, batch, batch_of, batches, delivery_id, first_receives, message,
    text,
};
pub use replays::{REPLAY, first_slice, replay_row, running_replay};
pub use requests::{api_key_row, get, post};
pub use stream::{job_change, job_change_with, job_changes, numbered_job_changes, sequence_number};

pub const DELIVERIES: &str = "https://sqs.test/123456789012/deliveries";
pub const DEAD_LETTERS: &str = "https://sqs.test/123456789012/dead-letters";
pub const REPLAYS: &str = "https://sqs.test/123456789012/replays";
pub const FAULTS: &str = "https://sqs.test/123456789012/pipeline-faults";

/// The default tenant of the fixtures.
pub const TENANT: &str = "770e8400-e29b-41d4-a716-446655440002";
/// The signing secret of every webhook.
pub const SECRET: &str = "whsec_dGhpcnR5IGJ5dGVzIG9mIHRoZSB0ZXN0J3Mgb3du";
/// The version of [`SECRET`] in Secrets Manager.
pub(crate) const SECRET_VERSION: &str = "3f1f6f6e-0000-4000-8000-000000000001";

/// The answer to a batch without failures.
pub const NOTHING_FAILED: &str = r#"{"batchItemFailures":[]}"#;

/// The key of a webhook's row.
#[derive(Debug, Clone, Copy)]
pub struct WebhookKey {
    pub tenant: TenantId,
    pub webhook: WebhookId,
}

impl WebhookKey {
    /// A new webhook of a new tenant.
    #[must_use]
    pub fn random() -> Self {
        Self::of(TenantId::random())
    }

    /// A new webhook of `tenant`.
    #[must_use]
    pub fn of(tenant: TenantId) -> Self {
        Self { tenant, webhook: WebhookId::random() }
    }

    /// `count` new webhooks of one new tenant.
    #[must_use]
    pub fn several(count: usize) -> Vec<Self> {
        let tenant = TenantId::random();
        std::iter::repeat_with(|| Self::of(tenant)).take(count).collect()
    }

    /// The row of a webhook for every event, in DynamoDB's format.
    #[must_use]
    pub fn row(self, url: &str) -> Value {
        item(&self.plain_row(url))
    }

    fn plain_row(self, url: &str) -> Value {
        json!({
            "tenant_id": self.tenant.to_string(),
            "webhook_config_id": self.webhook.to_string(),
            "url": url,
            "events": EventType::ALL.map(EventType::as_str),
            "is_active": true,
            "retry_enabled": true,
            "max_retries": 5,
            "created_at": "2025-12-01T00:00:00Z",
            "updated_at": "2025-12-01T00:00:00Z",
            "secret_version": SECRET_VERSION,
        })
    }
}

/// The row of a new webhook of [`TENANT`] in plain JSON, easy to change in a test.
#[must_use]
pub fn webhook(url: &str) -> Value {
    WebhookKey::of(TENANT.parse().expect("TENANT is a UUID")).plain_row(url)
}

/// [`webhook`] with these fields replaced or added.
#[must_use]
pub fn webhook_with(url: &str, fields: Value) -> Value {
    with(webhook(url), fields)
}

/// Rows in DynamoDB's format.
pub fn rows<'a>(webhooks: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    webhooks.into_iter().map(item).collect()
}

#[must_use]
pub fn id_of(webhook: &Value) -> &str {
    webhook["webhook_config_id"].as_str().expect("a row has an id")
}

/// Replaces or adds fields.
fn with(mut object: Value, fields: Value) -> Value {
    let into: &mut Map<_, _> = object.as_object_mut().expect("a fixture is an object");
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    into.extend(fields);
    object
}
