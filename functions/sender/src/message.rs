//! Parses the messages that the sender receives.
//!
//! The rule: one pass parses the event, and a second one the delivery inside a message body. Most of an event
//! is that body, and every further pass over its escapes takes time.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use webhooks::batch::Unreadable;
use webhooks::delivery::DeliveryMessage;

use crate::progress::Progress;

/// One message of a batch.
#[derive(Debug)]
pub(crate) struct Message {
    /// Identifies the message in the response to the batch.
    pub(crate) id: String,
    /// Needed to change the message's visibility. It differs at each receive.
    pub(crate) receipt_handle: String,
    /// `ApproximateReceiveCount`: 1 at the first receive.
    pub(crate) receive_count: u32,
    /// Attempts of the delivery's chain in the log. The sender reads them for a message that was received before.
    pub(crate) logged_attempts: Option<u32>,
    /// The delivery, or the body that is not one.
    pub(crate) delivery: Result<DeliveryMessage, Unreadable>,
}

impl Message {
    /// How far `delivery`, which is this message's, is.
    pub(crate) fn progress_of(&self, delivery: &DeliveryMessage) -> Progress {
        Progress::new(delivery, self.receive_count, self.logged_attempts)
    }
}

/// Logs an error about a message, with its id and those of its delivery.
macro_rules! message_error {
    ($message:expr, $($fields_and_sentence:tt)+) => {{
        let delivery = $message.delivery.as_ref().ok();
        tracing::error!(
            message.id = $message.id,
            delivery.id = delivery.map(|it| tracing::field::display(it.delivery_id)),
            webhook.id = delivery.map(|it| tracing::field::display(it.webhook_config_id)),
            tenant.id = delivery.map(|it| tracing::field::display(it.tenant_id)),
            $($fields_and_sentence)+
        );
    }};
}
pub(crate) use message_error;

/// AWS writes this part, not the message's sender, so an error here fails the whole batch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsRecord<'a> {
    message_id: String,
    receipt_handle: String,
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(borrow)]
    attributes: Attributes<'a>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(rename = "ApproximateReceiveCount", borrow)]
    receive_count: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let record = SqsRecord::deserialize(deserializer)?;
        Ok(Self {
            id: record.message_id,
            receipt_handle: record.receipt_handle,
            receive_count: record.attributes.receive_count.parse().map_err(D::Error::custom)?,
            logged_attempts: None,
            delivery: Unreadable::or_parsed(record.body),
        })
    }
}

#[cfg(test)]
impl Message {
    /// The sample event's only message.
    pub(crate) fn sample() -> Self {
        let event = include_bytes!("../../../events/queue-batch.json");
        webhooks::batch::parse_messages(event).expect("the sample is a batch").remove(0)
    }
}
