//! A Lambda batch: its raw records, and the answer that names those to be given again.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The records of a batch.
///
/// Where a record can be anybody's, `R` is `&RawValue`: each is read for itself, so that one that cannot
/// be read spoils no other.
#[derive(Debug, Deserialize)]
pub struct Batch<R> {
    /// In the order of the stream, for a stream.
    #[serde(rename = "Records")]
    pub records: Vec<R>,
}

/// The moment by which work must be done to leave `margin` before an invocation's `deadline`; now, when
/// there is no such time left.
#[must_use]
pub fn done_by(deadline: SystemTime, margin: Duration) -> Instant {
    let time_left = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    Instant::now() + time_left.saturating_sub(margin)
}

/// Which records of a batch failed. An answer that names none acknowledges the whole batch.
///
/// Every name must be one that came with the batch: AWS takes an empty or unknown one to mean that
/// everything failed.
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
    /// Asks for one record again: by message id for a queue; by sequence number for a stream, which
    /// then starts again from there.
    pub fn add_failure(&mut self, item_identifier: String) {
        self.batch_item_failures.push(ItemFailure { item_identifier });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_form_that_lambda_reads() {
        let mut answer = BatchResponse::default();
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"batchItemFailures":[]}"#);
        answer.add_failure("m1".to_owned());
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#
        );
    }
}
