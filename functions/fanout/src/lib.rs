//! Fanout: a batch of job changes becomes deliveries on the queue, one per subscribed webhook.
//!
//! The rule: a record is acknowledged only when all its messages are queued, or when it is parked in
//! `PipelineFaults` with the reason. Whatever else happens, the stream is asked for it again.
//!
//! [`change`] says what a record means, [`dispatch`] queues what follows from it, and this file walks
//! the batch.

pub mod change;
pub mod config;
pub mod dispatch;

use std::panic;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::{debug, warn};
use webhooks::aws;
use webhooks::batch::{Batch, BatchResponse, done_by};
use webhooks::fault::PipelineFault;

use crate::config::Config;
use crate::dispatch::{Dispatcher, Task};

/// What is kept of an invocation's time for answering.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// The function: everything an invocation needs.
#[derive(Debug)]
pub struct Fanout {
    dispatcher: Dispatcher,
}

/// Why a whole batch has to be given again.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// The payload is no batch of records.
    #[error("the payload is not a batch of stream records")]
    NotABatch(#[source] serde_json::Error),
    /// A record failed that cannot be named in the answer.
    #[error("a record without a sequence number could not be dispatched")]
    Unnamed,
}

impl Fanout {
    /// The function with the clients that `sdk` makes.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: Config) -> Self {
        Self { dispatcher: Dispatcher::new(sdk, config) }
    }

    /// Handles one invocation, which ends at `deadline`.
    pub async fn handle(
        &self,
        event: &[u8],
        deadline: SystemTime,
    ) -> Result<BatchResponse, FanoutError> {
        let last_call_at = done_by(deadline, aws::CALL_TIMEOUT + ANSWER_MARGIN);
        let batch: Batch<&RawValue> =
            serde_json::from_slice(event).map_err(FanoutError::NotABatch)?;
        let records = batch.records;

        let tasks = records.iter().map(|record| isolated_task(record)).collect();
        let report = self.dispatcher.dispatch(tasks, last_call_at).await;
        // Told at debug level: for changes that come singly a line each would cost as much as the rest of
        // fanout, and whatever is parked or fails has a line of its own.
        debug!(
            records = records.len(),
            deliveries = report.deliveries,
            faults = report.faults,
            "dispatched a batch of job changes"
        );

        let mut response = BatchResponse::default();
        if let Some(failed) = report.first_failure {
            let sequence_number = sequence_number(records[failed]).ok_or(FanoutError::Unnamed)?;
            warn!(record.index = failed, "the batch is to be given again from here");
            // Lambda gives the batch again from the lowest number, so one says it all.
            response.add_failure(sequence_number);
        }
        Ok(response)
    }
}

/// What is to be done about one record.
fn task(record: &RawValue) -> Task {
    match change::event(record) {
        Ok(Some(event)) => Task::Deliver(event),
        Ok(None) => Task::Nothing,
        Err(error) => Task::Park(PipelineFault {
            source: "fanout",
            reason: error.to_string(),
            record: record.get().to_owned(),
        }),
    }
}

/// The same, with a bug that one record brings out costing that record alone.
fn isolated_task(record: &RawValue) -> Task {
    panic::catch_unwind(|| task(record)).unwrap_or_else(|_on_standard_error| {
        Task::Park(PipelineFault {
            source: "fanout",
            reason: "an internal error: see the log".to_owned(),
            record: record.get().to_owned(),
        })
    })
}

/// Read apart from the rest of the record, which may be what is wrong with it.
fn sequence_number(record: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Record {
        dynamodb: Change,
    }
    #[derive(Deserialize)]
    struct Change {
        #[serde(rename = "SequenceNumber")]
        sequence_number: String,
    }
    serde_json::from_str::<Record>(record.get()).ok().map(|record| record.dynamodb.sequence_number)
}
