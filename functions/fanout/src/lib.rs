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
use tracing::debug;
use webhooks::aws;
use webhooks::batch::{Batch, BatchResponse, done_by};
use webhooks::log::panic_message;
use webhooks::metrics::{Metric, Metrics, MetricsLog};
use webhooks::timestamp::Timestamp;

use crate::change::{Announcement, Warning};
use crate::dispatch::Dispatcher;
use crate::plan::{FaultReason, Task};
use crate::record::{Record, record_line};

pub use crate::config::Config;

/// Time reserved at the end of an invocation for its response.
const RESPONSE_MARGIN: Duration = Duration::from_secs(1);

/// The fanout function with its clients.
#[derive(Debug)]
pub struct Fanout {
    dispatcher: Dispatcher,
    metrics_log: MetricsLog,
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
        let metrics_log = MetricsLog::new(config.metrics_namespace.clone());
        Self { dispatcher: Dispatcher::new(sdk, config), metrics_log }
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
        let now = Timestamp::now();
        let mut metrics = received(&tasks, now);
        let report = self.dispatcher.dispatch(tasks, now, last_call_at).await;
        report.count(batch.records.len(), &mut metrics);
        self.metrics_log.write(&metrics, now);
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
            record_line!(warn, failed, "the stream will deliver the batch again from this record");
            // Lambda resumes at the lowest sequence number, so one is enough.
            response.add_failure(sequence_number);
        }
        Ok(response)
    }
}

/// The metrics of what the stream delivered. Its first record is the oldest.
fn received(tasks: &[(Record<'_>, Task)], now: Timestamp) -> Metrics {
    let mut metrics = Metrics::default();
    let events = tasks.iter().filter(|(_, task)| matches!(task, Task::Deliver(_)));
    metrics.add(Metric::Events, events.count());
    if let Some(written_at) = tasks.first().and_then(|(record, _)| record.written_at()) {
        let age = now.since(written_at).as_millis();
        metrics.add_value(Metric::OldestRecordAge, u64::try_from(age).unwrap_or(u64::MAX));
    }
    metrics
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

/// The record's task. A panic affects only this record.
fn isolated_task(record: Record<'_>) -> Task {
    panic::catch_unwind(|| task(record)).unwrap_or_else(|panic| {
        let reason = panic_message(&*panic);
        record_line!(error, record, reason, "reading a record panicked");
        Task::Park(FaultReason::Panic)
    })
}

fn log(warning: &Warning, record: Record<'_>) {
    macro_rules! line {
        ($($field:tt)*) => { record_line!(warn, record, $($field)*) };
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
