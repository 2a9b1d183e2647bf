//! Fanout: a batch of job changes becomes deliveries on the queue, one per subscribed webhook.
//!
//! The rule: a record is acknowledged only when all its messages are queued, or when it is parked in
//! `PipelineFaults` with the reason. Whatever else happens, the stream is asked for it again.
//!
//! [`change`] says what a record means, [`dispatch`] queues what follows from it, [`subject`] is what the log
//! calls a record by, and this file walks the batch.

pub mod change;
pub mod config;
pub mod dispatch;
pub mod subject;

use std::panic;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use serde_json::value::RawValue;
use tracing::{debug, warn};
use webhooks::aws;
use webhooks::batch::{Batch, BatchResponse, done_by};

use crate::change::{Announcement, Warning};
use crate::config::Config;
use crate::dispatch::{Dispatcher, Task};
use crate::subject::Subject;

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
        let report = self.dispatcher.dispatch(&records, tasks, last_call_at).await;
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
            let sequence_number =
                Subject::of(records[failed]).sequence_number.ok_or(FanoutError::Unnamed)?;
            warn!(record.index = failed, "the batch is to be given again from here");
            // Lambda gives the batch again from the lowest number, so one says it all.
            response.add_failure(sequence_number);
        }
        Ok(response)
    }
}

/// What is to be done about one record.
fn task(record: &RawValue) -> Task {
    match change::announcement(record) {
        Ok(Announcement { event, warnings }) => {
            for warning in warnings {
                log(&warning, record);
            }
            event.map_or(Task::Nothing, Task::Deliver)
        }
        Err(error) => Task::Park(error.to_string()),
    }
}

/// The same, with a bug that one record brings out costing that record alone.
fn isolated_task(record: &RawValue) -> Task {
    panic::catch_unwind(|| task(record)).unwrap_or_else(|_on_standard_error| {
        Task::Park("an internal error: see the log".to_owned())
    })
}

fn log(warning: &Warning, record: &RawValue) {
    let Subject { job_id, tenant_id, .. } = Subject::of(record);
    macro_rules! line {
        ($($field:tt)*) => { warn!(job.id = job_id, tenant.id = tenant_id, $($field)*) };
    }
    match warning {
        Warning::UnknownStatus(status) => {
            line!(job.status = status, "a job's new status is unknown, so there is no event");
        }
        Warning::LeftOut(attribute, reason) => {
            line!(job.attribute = attribute, %reason, "an attribute of a job is left out of its event");
        }
        Warning::RecordTime(reason) => {
            line!(
                job.attribute = "updated_at",
                %reason,
                "a job's time cannot be read, so its event has the time of the stream record"
            );
        }
    }
}
