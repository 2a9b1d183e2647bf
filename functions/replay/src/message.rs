//! Parses the messages that the function receives.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use webhooks::batch::Unreadable;
use webhooks::replay::ReplayMessage;

/// One message of a batch.
#[derive(Debug)]
pub(crate) struct Message {
    /// Identifies the message in the response to the batch.
    pub(crate) id: String,
    /// The slice to do, or the body that names none.
    pub(crate) content: Result<ReplayMessage, Unreadable>,
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
        Ok(Self { id: record.message_id, content: Unreadable::or_parsed(record.body) })
    }
}

#[cfg(test)]
mod tests {
    use webhooks::batch::parse_messages;

    use super::*;

    #[test]
    fn the_sample_event_is_a_message_of_the_first_slice() {
        let sample = include_str!("../../../events/replay-slice.json");
        let messages: Vec<Message> = parse_messages(sample.as_bytes()).unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].content.as_ref().unwrap().slice, 1);
    }

    #[test]
    fn a_body_that_is_no_replay_message_is_kept() {
        for body in ["", "{", "{}", r#"{\"v\":2}"#] {
            let event = format!(r#"{{"Records":[{{"messageId":"m0","body":"{body}"}}]}}"#);
            let message: Message = parse_messages(event.as_bytes()).unwrap().remove(0);
            assert_eq!(message.id, "m0");
            assert_eq!(message.content.unwrap_err().body, body.replace('\\', ""));
        }
        assert!(parse_messages::<Message>(b"{}").is_err());
    }
}
