//! A delivery: one event on its way to one webhook, on the queue and in the log.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::Event;
use crate::event_type::EventType;
use crate::id::{DeliveryId, EventId, TenantId, WebhookId};
use crate::message::MessageJson;
use crate::named::named;
use crate::timestamp::Timestamp;

/// The queue message that asks for a delivery, written by fanout and read by the sender.
///
/// It carries the body but neither URL nor secret: those are read when the attempt is made, so that a
/// change holds at once.
#[derive(Clone, Serialize, Deserialize)]
pub struct DeliveryMessage {
    /// The format of this message.
    pub v: FormatVersion,
    /// This delivery.
    pub delivery_id: DeliveryId,
    /// The event that is delivered.
    pub event_id: EventId,
    /// The webhook's owner.
    pub tenant_id: TenantId,
    /// The webhook.
    pub webhook_config_id: WebhookId,
    /// The event's name.
    pub event: EventType,
    /// The event's time, in whole seconds.
    pub occurred_at: Timestamp,
    /// Attempts made by earlier copies of this message.
    pub attempts_before: u32,
    /// Since when faults of our own have kept the next attempt from being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_since: Option<Timestamp>,
    /// The exact bytes to POST, the same for every attempt.
    pub body: Box<RawValue>,
}

/// Shows what the delivery is, never the document data that it carries.
impl fmt::Debug for DeliveryMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryMessage")
            .field("delivery_id", &self.delivery_id)
            .field("webhook_config_id", &self.webhook_config_id)
            .field("event", &self.event)
            .field("attempts_before", &self.attempts_before)
            .finish_non_exhaustive()
    }
}

impl DeliveryMessage {
    /// The first message of `event`'s delivery to `webhook`.
    #[must_use]
    pub fn new(event: &Event, webhook: WebhookId) -> Self {
        Self {
            v: FormatVersion,
            delivery_id: DeliveryId::of(event.id, webhook),
            event_id: event.id,
            tenant_id: event.tenant_id,
            webhook_config_id: webhook,
            event: event.name,
            occurred_at: event.occurred_at,
            attempts_before: 0,
            blocked_since: None,
            body: event.body.clone(),
        }
    }

    /// A copy that takes this message's place after `attempts` attempts.
    #[must_use]
    pub fn carrying(&self, attempts: u32, blocked_since: Option<Timestamp>) -> Self {
        Self { attempts_before: attempts, blocked_since, ..self.clone() }
    }

    /// The message as text.
    pub fn to_json(&self) -> Result<MessageJson, serde_json::Error> {
        MessageJson::of(self)
    }
}

/// The only format there is, `1`; a message of another one is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct FormatVersion;

impl From<FormatVersion> for u8 {
    fn from(_: FormatVersion) -> Self {
        1
    }
}

impl TryFrom<u8> for FormatVersion {
    type Error = String;

    fn try_from(version: u8) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("unknown message format {other}; expected 1")),
        }
    }
}

named! {
    /// Where a delivery stands.
    pub enum DeliveryStatus {
        /// An attempt has failed and another will follow.
        Pending = "pending",
        /// The endpoint answered 2xx.
        Delivered = "delivered",
        /// No attempt will follow; the message is in the dead-letter queue.
        Failed = "failed",
        /// The webhook was switched off or deleted before the delivery succeeded.
        Cancelled = "cancelled",
    }
}

/// One try at a delivery, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1 over all copies of the message.
    pub number: u32,
    /// When the request was begun.
    pub at: Timestamp,
    /// Milliseconds until the answer was read or given up.
    pub duration_ms: u64,
    /// The answer's status, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Why the attempt failed; absent when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of the answer of a failed attempt, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"v":1,"delivery_id":"019ae3c0-0000-7000-8000-000000000001","event_id":"019ae3c0-0000-7000-8000-000000000002","tenant_id":"770e8400-e29b-41d4-a716-446655440002","webhook_config_id":"550e8400-e29b-41d4-a716-446655440000","event":"document.uploaded","occurred_at":"2025-12-03T10:30:00Z","attempts_before":0,"body":{"b": 1.50,"a":"\u00e9"}}"#;

    #[test]
    fn a_body_goes_through_the_queue_byte_for_byte() {
        let message: DeliveryMessage = serde_json::from_str(MESSAGE).unwrap();
        assert_eq!(message.body.get(), r#"{"b": 1.50,"a":"\u00e9"}"#);
        assert_eq!(message.to_json().unwrap().as_str(), MESSAGE);
    }

    #[test]
    fn a_message_of_another_format_is_refused() {
        let newer = MESSAGE.replace(r#""v":1"#, r#""v":2"#);
        let error = serde_json::from_str::<DeliveryMessage>(&newer).unwrap_err();
        assert!(error.to_string().contains("unknown message format 2"), "{error}");
    }

    #[test]
    fn debug_does_not_show_the_body() {
        let message: DeliveryMessage = serde_json::from_str(MESSAGE).unwrap();
        assert!(!format!("{message:?}").contains("1.50"));
    }
}
