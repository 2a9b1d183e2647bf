//! Pipeline faults: records that we could not understand or process, parked for our own operator.

use serde::Serialize;

use crate::queue::{MAX_BATCH_BYTES, OutgoingMessage};
use crate::text::first_chars;

/// A record that is set aside so that it does not block the ones behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PipelineFault {
    /// The function that gave up: `fanout` or `sender`.
    pub source: &'static str,
    /// What is wrong, for a person.
    pub reason: String,
    /// The record as it came, cut where it would not fit a queue message.
    pub record: String,
}

impl PipelineFault {
    /// The message for the `PipelineFaults` queue.
    #[must_use]
    pub fn into_message(self) -> OutgoingMessage {
        // JSON escapes at worst turn one character into six bytes.
        let record = first_chars(&self.record, MAX_BATCH_BYTES / 8).to_owned();
        let reason = first_chars(&self.reason, 1024).to_owned();
        let attributes = vec![("source", self.source.to_owned()), ("reason", reason)];
        let body = serde_json::json!({
            "source": self.source,
            "reason": attributes[1].1,
            "record": record,
        });
        OutgoingMessage { body: body.to_string(), attributes, ..OutgoingMessage::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_any_size_fits_a_queue_message() {
        let fault = PipelineFault {
            source: "fanout",
            reason: "no reason".to_owned(),
            record: "\u{1}".repeat(2 * MAX_BATCH_BYTES),
        };
        assert!(fault.into_message().body.len() <= MAX_BATCH_BYTES);
    }
}
