//! A delivery: one event on its way to one webhook, on the queue and in the log.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::Event;
use crate::event_type::EventType;
use crate::id::{DeliveryId, EventId, TenantId, WebhookId, WebhookKey};
use crate::message::MessageJson;
use crate::named::named;
use crate::queue::OutgoingMessage;
use crate::timestamp::Timestamp;

/// The queue message of one delivery. Fanout writes it and the sender reads it.
///
/// It has the body but neither URL nor secret: the sender reads those for every attempt, so a change takes effect
/// at once.
#[derive(Clone, Serialize, Deserialize)]
pub struct DeliveryMessage {
    /// `1`.
    pub v: FormatVersion,
    /// `X-DocIntell-Delivery` header; the same for every attempt.
    pub delivery_id: DeliveryId,
    /// `webhook-id` header.
    pub event_id: EventId,
    /// Owner of the webhook.
    pub tenant_id: TenantId,
    /// With `tenant_id`, the key of the webhook's row.
    pub webhook_config_id: WebhookId,
    /// `X-DocIntell-Event` header.
    pub event: EventType,
    /// `X-DocIntell-Timestamp` header; in whole seconds.
    pub occurred_at: Timestamp,
    /// From 1. A retry or replay keeps the delivery's ids and body, and starts the next chain of attempts.
    #[serde(default = "first_chain", skip_serializing_if = "is_first_chain")]
    pub chain: u32,
    /// Attempts of this chain that were made with earlier copies of this message.
    pub attempts_before: u32,
    /// When an internal error first blocked the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_since: Option<Timestamp>,
    /// The exact bytes to POST, the same for every attempt.
    pub body: Box<RawValue>,
}

/// Leaves out the body, which contains document data.
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
    /// The first message of a delivery.
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
            chain: first_chain(),
            attempts_before: 0,
            blocked_since: None,
            body: event.body.clone(),
        }
    }

    /// A copy that replaces this message after `attempts` attempts in total.
    #[must_use]
    pub fn carrying(&self, attempts: u32, blocked_since: Option<Timestamp>) -> Self {
        Self { attempts_before: attempts, blocked_since, ..self.clone() }
    }

    /// The webhook and its owner.
    #[must_use]
    pub fn webhook(&self) -> WebhookKey {
        WebhookKey { tenant_id: self.tenant_id, webhook_id: self.webhook_config_id }
    }

    /// The body of the SQS message.
    pub fn to_json(&self) -> Result<MessageJson, serde_json::Error> {
        MessageJson::of(self)
    }

    /// The message for the delivery queue.
    ///
    /// Its group is the tenant and not the webhook. A tenant could have many webhooks, each too quiet for SQS to treat
    /// its group as noisy.
    pub fn outgoing(&self) -> Result<OutgoingMessage, serde_json::Error> {
        let message = OutgoingMessage::new(self.to_json()?);
        Ok(OutgoingMessage { group: Some(self.tenant_id), ..message })
    }
}

/// The number of a delivery's first chain.
pub(crate) fn first_chain() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first_chain(chain: &u32) -> bool {
    *chain == first_chain()
}

/// `1`, the only format; a message with another one fails to parse.
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
    /// A delivery's status in the delivery log.
    pub enum DeliveryStatus {
        /// An attempt failed; another will follow.
        Pending = "pending",
        /// The endpoint answered 2xx.
        Delivered = "delivered",
        /// No attempt will follow; the message is in the dead-letter queue, or in `PipelineFaultsQueue`.
        Failed = "failed",
        /// The webhook was deleted before the delivery succeeded, or got no deliveries.
        Cancelled = "cancelled",
        /// The event happened while the webhook got no deliveries; nothing was sent.
        Skipped = "skipped",
    }
}

/// One attempt, as stored in the delivery log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The message's [`DeliveryMessage::chain`].
    #[serde(default = "first_chain", skip_serializing_if = "is_first_chain")]
    pub chain: u32,
    /// From 1, counted over all copies of the chain's message.
    pub number: u32,
    /// When the request started.
    pub at: Timestamp,
    /// Until the response was read or the attempt failed.
    pub duration_ms: u64,
    /// Where the time went.
    #[serde(default, skip_serializing_if = "Phases::is_unknown")]
    pub phases: Phases,
    /// 401 or 403 if an endpoint refused the current secret while a rotation overlapped. The phases and the next three
    /// fields are then about the second POST, signed with the previous secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_status_code: Option<u16>,
    /// HTTP status; `None` if there was no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Why the attempt failed; `None` if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// First 500 characters of the response to a failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
}

/// Durations of an attempt's phases in milliseconds; `None` if a phase did not take place, as with a kept connection,
/// or was not completed, or if the client cannot tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Resolving the host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_ms: Option<u32>,
    /// Opening the connection; over https with the TLS handshake, which the client does not tell apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// The TLS handshake, for a client that can tell it apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ms: Option<u32>,
    /// From the attempt's start to the response's status line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u32>,
}

impl Phases {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
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
