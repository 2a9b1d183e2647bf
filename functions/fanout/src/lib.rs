//! Fanout: turns a batch of job changes into deliveries on the queue, one per subscribed webhook. The delivery to a
//! webhook that is switched off is logged as skipped instead.
//!
//! The rule: a record is acknowledged only after all its messages are queued and all its skipped deliveries are logged,
//! or after it is parked in `PipelineFaultsQueue` with the reason. Otherwise the stream delivers it again.
//!
//! This file takes a batch of records (`record`) and returns the response. `change` reads what a record
//! announces, `plan` decides what follows, `dispatch` sends the messages, and `skips` logs what is skipped.

mod change;
mod config;
mod dispatch;
mod plan;
mod record;
mod skips;

use std::panic;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use serde_json::value::RawValue;
use tracing::{debug, warn};
use webhooks::aws;
use webhooks::batch::{Batch, BatchResponse, done_by};
use webhooks::timestamp::Timestamp;

use crate::change::{Announcement, Warning};
use crate::dispatch::Dispatcher;
use crate::plan::{FaultReason, Task};
use crate::record::{Record, RecordIds};

pub use crate::config::Config;

/// Time reserved at the end of an invocation for its response.
const RESPONSE_MARGIN: Duration = Duration::from_secs(1);

/// The fanout function with its clients.
#[derive(Debug)]
pub struct Fanout {
    dispatcher: Dispatcher,
}

/// Why the stream must deliver the whole batch again.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// The event is not a batch of stream records.
    #[error("the payload is not a batch of stream records")]
    NotABatch(#[source] serde_json::Error),
    /// The failed record has no sequence number, so the response cannot name it.
    #[error("a record without a sequence number could not be dispatched")]
    Unnamed,
}

impl Fanout {
    /// Creates all AWS clients from `sdk`.
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
        let report = self.dispatcher.dispatch(tasks, Timestamp::now(), last_call_at).await;
        // At debug level, because a line for each job change would cost as much as the rest of fanout. Parked
        // and failed records have lines of their own.
        debug!(
            records = batch.records.len(),
            deliveries = report.deliveries,
            skipped = report.skipped,
            dropped = report.dropped,
            faults = report.faults,
            "dispatched a batch of job changes"
        );

        let mut response = BatchResponse::default();
        if let Some(failed) = report.first_failure {
            let sequence_number = failed.ids().sequence_number.ok_or(FanoutError::Unnamed)?;
            warn!(
                record.index = failed.index,
                "the stream will deliver the batch again from this record"
            );
            // Lambda resumes at the lowest sequence number, so one is enough.
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

/// The record's task. A panic affects only this record; standard error describes it.
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
