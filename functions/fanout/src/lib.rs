//! Fanout: a batch of job changes becomes deliveries on the queue, one per subscribed webhook.
//!
//! The rule: a record is acknowledged only after all its messages are queued, or after it is parked in
//! `PipelineFaults` with the reason. Otherwise the stream must give it again.
//!
//! This file takes a batch of records (`record`) and returns the response to it. In between, `change` reads what a
//! record announces, `plan` says which messages follow from that, and `dispatch` sends them.

mod change;
mod config;
mod dispatch;
mod plan;
mod record;

use std::panic;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use serde_json::value::RawValue;
use tracing::{debug, warn};
use webhooks::aws;
use webhooks::batch::{Batch, BatchResponse, done_by};

use crate::change::{Announcement, Warning};
use crate::dispatch::Dispatcher;
use crate::plan::{FaultReason, Task};
use crate::record::{Record, RecordIds};

pub use crate::config::Config;

/// Time to keep at the end of an invocation for its response.
const RESPONSE_MARGIN: Duration = Duration::from_secs(1);

/// The function: everything that an invocation needs.
#[derive(Debug)]
pub struct Fanout {
    dispatcher: Dispatcher,
}

/// Why the stream must give the whole batch again.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// The event is something else.
    #[error("the payload is not a batch of stream records")]
    NotABatch(#[source] serde_json::Error),
    /// The response cannot name the record that failed.
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
        let last_call_at = done_by(deadline, aws::CALL_TIMEOUT + RESPONSE_MARGIN);
        let batch: Batch<&RawValue> =
            serde_json::from_slice(event).map_err(FanoutError::NotABatch)?;
        let records = batch.records.iter().enumerate();
        let tasks: Vec<_> = records
            .map(|(index, json)| Record { index, json })
            .map(|record| (record, isolated_task(record)))
            .collect();
        let report = self.dispatcher.dispatch(tasks, last_call_at).await;
        // At debug level: a line for each change would cost as much as the rest of fanout, and whatever is parked
        // or fails has its own line.
        debug!(
            records = batch.records.len(),
            deliveries = report.deliveries,
            faults = report.faults,
            "dispatched a batch of job changes"
        );

        let mut response = BatchResponse::default();
        if let Some(failed) = report.first_failure {
            let sequence_number = failed.ids().sequence_number.ok_or(FanoutError::Unnamed)?;
            warn!(record.index = failed.index, "the batch is to be given again from here");
            // Lambda starts again at the lowest number, so one is enough.
            response.add_failure(sequence_number);
        }
        Ok(response)
    }
}

fn task(record: Record<'_>) -> Task {
    match change::announcement(record.json) {
        Ok(Announcement { event, warnings }) => {
            for warning in warnings {
                log(&warning, record);
            }
            event.map_or(Task::Nothing, Task::Deliver)
        }
        Err(error) => Task::Park(error.into()),
    }
}

/// The record's task. A panic costs this record alone; standard error describes it.
fn isolated_task(record: Record<'_>) -> Task {
    panic::catch_unwind(|| task(record)).unwrap_or(Task::Park(FaultReason::Panic))
}

fn log(warning: &Warning, record: Record<'_>) {
    let RecordIds { job_id, tenant_id, .. } = record.ids();
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
