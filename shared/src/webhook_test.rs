//! A test of a webhook: api asks the sender for one POST, and the sender returns what happened.
//!
//! The rule: the request names a webhook. Only the sender reads its URL and its secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::{Event, EventError};
use crate::event_type::EventType;
use crate::id::{EventId, TenantId, WebhookId};
use crate::job::Job;
use crate::timestamp::Timestamp;

/// The payload with which api invokes the sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestInvocation {
    /// Tells the payload from a batch of messages.
    pub test: TestRequest,
}

/// Which webhook to test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRequest {
    /// Owner of the webhook.
    pub tenant_id: TenantId,
    /// With `tenant_id`, the key of the webhook's row.
    pub webhook_config_id: WebhookId,
    /// The event to send; `None` means the first one that the webhook subscribes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventType>,
}

/// The sender's answer. If the sender itself fails, Lambda returns its error instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestAnswer {
    /// The POST was made, or the URL or address was refused.
    Tested(TestResult),
    /// The tenant has no such webhook.
    WebhookNotFound,
    /// The webhook or its secret could not be read, because an AWS service failed. The sender has logged why.
    Unavailable,
}

/// What happened: the body of the API's response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestResult {
    /// True if the endpoint answered 2xx.
    pub success: bool,
    /// The webhook that was tested.
    pub webhook_config_id: WebhookId,
    /// Where the request went.
    pub url: String,
    /// When the request started.
    pub tested_at: Timestamp,
    /// Status of the response; `None` without a response.
    pub status_code: Option<u16>,
    /// Until the response was read or the attempt failed.
    pub response_time_ms: u64,
    /// First 500 characters of the response's body; `None` if there is none.
    pub response_body: Option<String>,
    /// Why the test failed; `None` if it succeeded.
    pub error: Option<String>,
    /// What was sent; if there was no connection, what would have been sent.
    pub request: SentRequest,
}

/// A request as the endpoint receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SentRequest {
    /// By name, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The exact text.
    pub body: String,
}

/// An event of type `name` at `now`, with the guide's example values and random ids.
pub fn example(name: EventType, tenant_id: TenantId, now: Timestamp) -> Result<Event, EventError> {
    let id = EventId::of_record(&random_id(), now);
    let (document_id, job_id) = (random_id(), random_id());
    Event::new(id, name, &Job::example(tenant_id, document_id, job_id, now))
}

/// The text of a random UUID, as the document pipeline uses for its ids.
fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(event: &Event) -> Value {
        serde_json::from_str(event.body.get()).unwrap()
    }

    #[test]
    fn an_example_has_the_tenants_id_the_time_and_other_ids_each_time() {
        let tenant = TenantId::random();
        let now = Timestamp::parse("2025-12-03T10:30:47.5Z").unwrap();
        for name in EventType::ALL {
            let [one, other] = [(); 2].map(|()| example(name, tenant, now).unwrap());
            assert_ne!(one.id, other.id);
            let (one, other) = (body(&one), body(&other));
            for body in [&one, &other] {
                assert_eq!(
                    (&body["event"], &body["timestamp"]),
                    (&json!(name), &json!("2025-12-03T10:30:47Z"))
                );
                assert_eq!(body["data"]["tenant_id"], tenant.to_string());
            }
            for id in ["document_id", "job_id"] {
                assert_ne!(one["data"][id], other["data"][id], "{id}");
            }
            assert_ne!(one["data"]["document_id"], one["data"]["job_id"]);
        }
    }

    #[test]
    fn a_request_without_an_event_is_read() {
        let sample = include_str!("../../events/sender-test.json");
        let TestInvocation { test } = serde_json::from_str(sample).unwrap();
        assert_eq!(test.event, Some(EventType::ProcessingCompleted));
        let without = TestInvocation { test: TestRequest { event: None, ..test } };
        let text = serde_json::to_string(&without).unwrap();
        assert!(!text.contains("event"), "{text}");
        assert_eq!(serde_json::from_str::<TestInvocation>(&text).unwrap(), without);
    }
}
