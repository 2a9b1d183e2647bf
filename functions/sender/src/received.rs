//! A queue message as the sender receives it.
//!
//! The rule: an event is read in one pass, and the delivery in a message's text in another. Most of an event is
//! that text, and each look at its escapes costs.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use webhooks::batch::Batch;
use webhooks::delivery::DeliveryMessage;

/// One receive of a message.
#[derive(Debug)]
pub struct Received {
    /// Names the message in the batch's answer.
    pub message_id: String,
    /// Stands for this receive when the message's visibility is changed.
    pub receipt_handle: String,
    /// `ApproximateReceiveCount`: 1 for the first receive.
    pub receive_count: u32,
    /// What the message asks for, or its text and why that cannot be read.
    pub content: Result<DeliveryMessage, Unreadable>,
}

/// A message that does not ask for a delivery.
#[derive(Debug)]
pub struct Unreadable {
    /// The message's text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The envelope, which is AWS's and not a sender's of messages: one that is wrong spoils its batch.
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

/// An event that does not have the form in which a queue's messages come. It says why itself, since of an error
/// Lambda shows this text and no cause.
#[derive(Debug, thiserror::Error)]
#[error("the event is not a batch of queue messages: {0}")]
pub struct NotABatch(serde_json::Error);

/// Reads an event.
pub fn batch(event: &[u8]) -> Result<Vec<Received>, NotABatch> {
    Ok(serde_json::from_slice::<Batch<_>>(event).map_err(NotABatch)?.records)
}

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let record = SqsRecord::deserialize(deserializer)?;
        let receive_count = record.attributes.receive_count.parse().map_err(D::Error::custom)?;
        let content = serde_json::from_str(&record.body).map_err(|error| Unreadable {
            reason: format!("not a delivery message: {error}"),
            text: record.body.into_owned(),
        });
        Ok(Self {
            message_id: record.message_id,
            receipt_handle: record.receipt_handle,
            receive_count,
            content,
        })
    }
}
