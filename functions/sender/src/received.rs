//! A queue message as the sender receives it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;
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

impl Received {
    /// Reads a record. The error is about the envelope, which is AWS's and not a sender's of messages.
    pub fn read(record: &RawValue) -> Result<Self, serde_json::Error> {
        let record: SqsRecord<'_> = serde_json::from_str(record.get())?;
        let receive_count =
            record.attributes.receive_count.parse().map_err(serde_json::Error::custom)?;
        let content = serde_json::from_str(&record.body).map_err(|error| Unreadable {
            text: record.body.clone().into_owned(),
            reason: format!("not a delivery message: {error}"),
        });
        Ok(Self {
            message_id: record.message_id,
            receipt_handle: record.receipt_handle,
            receive_count,
            content,
        })
    }
}
