//! Parses the messages that the function receives.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use webhooks::batch::Batch;
use webhooks::replay::ReplayMessage;

/// One message of a batch.
#[derive(Debug)]
pub(crate) struct Message {
    /// Identifies the message in the response to the batch.
    pub(crate) id: String,
    /// The slice to do, or the body that names none.
    pub(crate) content: Result<ReplayMessage, Unreadable>,
}

/// A message body that is not a [`ReplayMessage`].
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) body: String,
    pub(crate) error: serde_json::Error,
}

/// The event is not a batch of queue messages. The text includes the cause, because Lambda shows nothing else
/// of an error.
#[derive(Debug, thiserror::Error)]
#[error("the event is not a batch of queue messages: {0}")]
pub struct NotABatch(serde_json::Error);

/// Parses an event. A malformed body affects only its own message.
pub(crate) fn parse_batch(event: &[u8]) -> Result<Vec<Message>, NotABatch> {
    Ok(serde_json::from_slice::<Batch<_>>(event).map_err(NotABatch)?.records)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsRecord<'a> {
    message_id: String,
    #[serde(borrow)]
    body: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let record = SqsRecord::deserialize(deserializer)?;
        Ok(Self {
            id: record.message_id,
            content: serde_json::from_str(&record.body)
                .map_err(|error| Unreadable { body: record.body.into_owned(), error }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_event_is_a_message_of_the_first_slice() {
        let sample = include_str!("../../../events/replay-slice.json");
        let messages = parse_batch(sample.as_bytes()).unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].content.as_ref().unwrap().slice, 1);
    }

    #[test]
    fn a_body_that_is_no_replay_message_is_kept() {
        for body in ["", "{", "{}", r#"{\"v\":2}"#] {
            let event = format!(r#"{{"Records":[{{"messageId":"m0","body":"{body}"}}]}}"#);
            let message = parse_batch(event.as_bytes()).unwrap().remove(0);
            assert_eq!(message.id, "m0");
            assert_eq!(message.content.unwrap_err().body, body.replace('\\', ""));
        }
        assert!(parse_batch(b"{}").is_err());
    }
}
