//! Pipeline faults: records that we could not process, parked on a queue for the operator.
//!
//! The rule: every record can be parked. If SQS refuses its text, a placeholder without the text takes its place.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::message::MessageJson;
use crate::queue::{MAX_BATCH_BYTES, OutgoingMessage};
use crate::text::{first_chars, printable};

/// A record to park: it must not block the records behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineFault {
    origin: Origin,
    reason: String,
    record: String,
}

/// The function that could not process the record, and the record's id in that function's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A record of the jobs table's stream.
    Fanout {
        /// `None` if the record has no readable one.
        sequence_number: Option<String>,
    },
    /// A message of the delivery queue.
    Sender {
        /// The id that SQS gave the message.
        message_id: String,
    },
    /// A message of the replay queue.
    Replay {
        /// The id that SQS gave the message.
        message_id: String,
    },
}

/// The body of a message on `PipelineFaultsQueue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultBody<'a> {
    /// The function: `fanout` or `sender`.
    pub source: Cow<'a, str>,
    /// Why the record could not be processed, for people.
    pub reason: Cow<'a, str>,
    /// See [`Origin::Fanout`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<Cow<'a, str>>,
    /// See [`Origin::Sender`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Cow<'a, str>>,
    /// The record; `None` in a placeholder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Cow<'a, str>>,
    /// Present only if `record` is truncated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub record_is_cut: bool,
}

impl PipelineFault {
    /// `record` is the input, or the part of it that the fault is about; `reason` is for people.
    #[must_use]
    pub fn new(origin: Origin, reason: &str, record: String) -> Self {
        Self { origin, reason: printable(reason), record }
    }

    /// Printable, at most 500 characters.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The message for `PipelineFaultsQueue`; truncates a record that would not fit.
    #[must_use]
    pub fn message(&self) -> OutgoingMessage {
        // JSON escaping turns a character into at most six bytes.
        let record = first_chars(&self.record, MAX_BATCH_BYTES / 8);
        self.message_of(&self.reason, Some(record))
    }

    /// The message to send if the queue refused the first one: without the record, and in ASCII.
    #[must_use]
    pub fn placeholder(&self) -> OutgoingMessage {
        let reason = self.reason.replace(|c| !matches!(c, ' '..='~'), "?");
        self.message_of(&format!("{reason}; the queue refused the record itself"), None)
    }

    fn message_of(&self, reason: &str, record: Option<&str>) -> OutgoingMessage {
        let (source, sequence_number, message_id) = match &self.origin {
            Origin::Fanout { sequence_number } => ("fanout", sequence_number.as_deref(), None),
            Origin::Sender { message_id } => ("sender", None, Some(message_id.as_str())),
            Origin::Replay { message_id } => ("replay", None, Some(message_id.as_str())),
        };
        let body = FaultBody {
            source: source.into(),
            reason: reason.into(),
            sequence_number: sequence_number.map(Cow::from),
            message_id: message_id.map(Cow::from),
            record: record.map(Cow::from),
            record_is_cut: record.is_some_and(|record| record.len() < self.record.len()),
        };
        let body = MessageJson::of(&body).expect("strings can be written as JSON");
        let mut attributes = vec![("source", source.into()), ("reason", reason.into())];
        attributes.extend(sequence_number.map(|number| ("sequence_number", number.into())));
        attributes.extend(message_id.map(|id| ("message_id", id.into())));
        OutgoingMessage { attributes, ..OutgoingMessage::new(body) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fault(reason: &str, record: &str) -> PipelineFault {
        let origin = Origin::Fanout { sequence_number: Some("4421".to_owned()) };
        PipelineFault::new(origin, reason, record.to_owned())
    }

    fn body(message: &OutgoingMessage) -> Value {
        serde_json::from_str(message.body.as_str()).unwrap()
    }

    fn attributes(message: &OutgoingMessage) -> Vec<(&str, &str)> {
        message.attributes.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    #[test]
    fn a_record_of_any_size_and_with_any_character_fits_a_queue_message() {
        for character in ["\u{1}", "\u{ffff}", "𝄞", "\""] {
            let message = fault(character, &character.repeat(2 * MAX_BATCH_BYTES)).message();
            assert!(message.size() <= MAX_BATCH_BYTES, "{character:?}");
            assert_eq!(body(&message)["record_is_cut"], true);
        }
    }

    #[test]
    fn the_record_is_unchanged_and_the_reason_is_the_same_in_body_and_attribute() {
        let message =
            fault("not \u{ffff} a \u{1b} record é", "{\"a\":\"\u{ffff}\u{7f}\"}").message();
        let reason = "not \u{fffd} a ␛ record é";
        assert_eq!(
            body(&message),
            json!({
                "source": "fanout",
                "reason": reason,
                "sequence_number": "4421",
                "record": "{\"a\":\"\u{ffff}\u{7f}\"}",
            })
        );
        let expected = [("source", "fanout"), ("reason", reason), ("sequence_number", "4421")];
        assert_eq!(attributes(&message), expected);
    }

    #[test]
    fn a_placeholder_has_source_reason_and_id_but_no_record() {
        let reason = "a ? reason; the queue refused the record itself";
        let message = fault("a é reason", "the record").placeholder();
        assert_eq!(
            body(&message),
            json!({"source": "fanout", "reason": reason, "sequence_number": "4421"})
        );

        let origin = Origin::Sender { message_id: "m0".to_owned() };
        let message =
            PipelineFault::new(origin, "a é reason", "the record".to_owned()).placeholder();
        assert_eq!(
            body(&message),
            json!({"source": "sender", "reason": reason, "message_id": "m0"})
        );
        let expected = [("source", "sender"), ("reason", reason), ("message_id", "m0")];
        assert_eq!(attributes(&message), expected);
    }

    #[test]
    fn a_fault_of_version_0_1_0_is_read() {
        let json = include_str!("../../tests/formats/0.1.0/fault-message.json");
        let body: FaultBody<'_> = serde_json::from_str(json).unwrap();
        assert_eq!((body.source.as_ref(), body.record_is_cut), ("fanout", false));
        assert_eq!(body.sequence_number.as_deref(), Some("10000000000000000001"));
        assert!(body.record.unwrap().contains(r#""tenant_id":{"S":"acme"}"#));
    }

    #[test]
    fn a_record_without_a_sequence_number_is_parked_without_one() {
        let origin = Origin::Fanout { sequence_number: None };
        let message = PipelineFault::new(origin, "no record", "1".to_owned()).placeholder();
        assert!(body(&message)["sequence_number"].is_null());
        assert_eq!(message.attributes.len(), 2);
    }
}
