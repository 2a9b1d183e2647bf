//! A Lambda batch: its raw records, the bodies of a queue's messages, and the response that names the failed ones.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The records of a batch.
///
/// Use `&RawValue` as `R` if a record can be malformed. Each record is then parsed separately, so that a
/// malformed one does not affect the others.
#[derive(Debug, Deserialize)]
pub struct Batch<R> {
    /// In stream order, if they come from a stream.
    #[serde(rename = "Records")]
    pub records: Vec<R>,
}

/// The event is not a batch of queue messages. The text includes the cause, because Lambda shows nothing else
/// of an error.
#[derive(Debug, thiserror::Error)]
#[error("the event is not a batch of queue messages: {0}")]
pub struct NotABatch(serde_json::Error);

/// Parses the messages of a queue's batch. `M` keeps a body that cannot be parsed as [`Unreadable`], so that it
/// affects only its own message.
pub fn parse_messages<M: DeserializeOwned>(event: &[u8]) -> Result<Vec<M>, NotABatch> {
    Ok(serde_json::from_slice::<Batch<M>>(event).map_err(NotABatch)?.records)
}

/// A message's body that does not have the format of its queue.
#[derive(Debug)]
pub struct Unreadable {
    /// As it was received.
    pub body: String,
    /// Why it cannot be parsed.
    pub error: serde_json::Error,
}

impl Unreadable {
    /// Parses a body, or keeps it with the error.
    pub fn or_parsed<T: DeserializeOwned>(body: Cow<'_, str>) -> Result<T, Self> {
        serde_json::from_str(&body).map_err(|error| Self { body: body.into_owned(), error })
    }
}

/// The moment by which work must end to leave `margin` before the invocation's `deadline`; now if less time is
/// left.
#[must_use]
pub fn done_by(deadline: SystemTime, margin: Duration) -> Instant {
    let time_left = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    Instant::now() + time_left.saturating_sub(margin)
}

/// The failed records of a batch. A response without failures acknowledges the whole batch.
///
/// Every identifier must come from the batch. An empty or unknown identifier makes AWS treat the whole batch as
/// failed.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl BatchResponse {
    /// Reports a record as failed: by message id for a queue, by sequence number for a stream. A stream resumes
    /// at the lowest failed sequence number.
    pub fn add_failure(&mut self, item_identifier: String) {
        self.batch_item_failures.push(ItemFailure { item_identifier });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_has_lambdas_json_format() {
        let mut response = BatchResponse::default();
        assert_eq!(serde_json::to_string(&response).unwrap(), r#"{"batchItemFailures":[]}"#);
        response.add_failure("m1".to_owned());
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#
        );
    }
}
