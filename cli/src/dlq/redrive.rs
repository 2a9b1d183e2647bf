//! `docintell dlq redrive`: sends parked messages again.
//!
//! The rule: a message is deleted only after its copy is queued. Whatever interrupts a redrive, a message is sent twice
//! at worst, and none is lost.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::future::join_all;
use tokio::time::Instant;
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::queue::Queue;
use webhooks::redelivery::{Redelivered, redeliver, redeliver_pending};
use webhooks::store::DeliveryLog;
use webhooks::timestamp::Timestamp;

use super::held::{BATCH, Held};
use super::job_change::Fanout;
use super::parked::Parked;
use super::plan::{self, LeftOut, Step};
use super::select::Selection;
use crate::output;
use crate::progress::{Progress, Task};
use crate::stop::Stop;
use crate::words::count;

/// A redrive ends after so many failures in a row: the others would fail too.
const HOPELESS: usize = 10;

/// Where messages go.
#[derive(Debug)]
pub(super) struct Destinations {
    pub(super) log: DeliveryLog,
    pub(super) deliveries: Queue,
    pub(super) fanout: Fanout,
}

/// What happened to the messages.
#[derive(Debug, Default)]
pub(super) struct Report {
    sent: usize,
    left_out: BTreeMap<LeftOut, usize>,
    /// The reasons of those that could not be sent.
    failed: Vec<String>,
    /// The reasons of those that were sent but could not be deleted.
    kept: Vec<String>,
    was_stopped: bool,
}

/// Why a message was not sent.
enum NotSent {
    LeftOut(LeftOut),
    Failed(String),
}

/// Splits messages into those that can be sent and the number of those that cannot, by reason.
pub(super) fn planned(
    messages: &[Parked],
    all: bool,
    now: Timestamp,
) -> (Vec<(&Parked, Step<'_>)>, Report) {
    let (mut steps, mut report) = (Vec::new(), Report::default());
    for parked in messages {
        match plan::step(parked, all, now) {
            Ok(step) => steps.push((parked, step)),
            Err(reason) => report.leave_out(reason),
        }
    }
    (steps, report)
}

impl Destinations {
    /// Sends and deletes the messages at `rate` per second, until they are done or the user stops.
    pub(super) async fn redrive(
        &self,
        selection: &mut Selection,
        all: bool,
        rate: NonZeroU32,
        stop: &Stop,
        now: Timestamp,
    ) -> Report {
        let (steps, mut report) = planned(&selection.messages, all, now);
        selection.held.release_except(steps.iter().map(|(parked, _)| *parked)).await;
        let task = Progress::Shown.begin("redriving");
        let work = self.send_all(&steps, &mut selection.held, &mut report, rate, stop, &task);
        task.watch(Box::pin(work)).await;
        report
    }

    async fn send_all(
        &self,
        steps: &[(&Parked, Step<'_>)],
        held: &mut Held,
        report: &mut Report,
        rate: NonZeroU32,
        stop: &Stop,
        task: &Task,
    ) {
        let started = Instant::now();
        let (mut done, mut failures_in_a_row) = (0, 0);
        for batch in steps.chunks(batch_size(rate)) {
            let due = started + Duration::from_secs(1) * done / rate.get();
            stop.sleep(due.saturating_duration_since(Instant::now())).await;
            if stop.is_requested() {
                report.was_stopped = true;
                return;
            }
            held.extend_if_due().await;
            let failed_before = report.failed.len();
            let sent = self.send(batch, report).await;
            let not_deleted = held.delete(&sent).await;
            report
                .kept
                .extend(not_deleted.into_iter().map(|(id, reason)| format!("{id}: {reason}")));
            report.sent += sent.len();
            done += u32::try_from(batch.len()).unwrap_or(u32::MAX);
            task.note(&format!("{done} of {}", steps.len()));
            let failed = report.failed.len() - failed_before;
            failures_in_a_row = if failed == batch.len() { failures_in_a_row + failed } else { 0 };
            if failures_in_a_row >= HOPELESS {
                return;
            }
        }
    }

    /// Sends one batch; returns the ids of the messages that were sent.
    async fn send<'a>(
        &self,
        batch: &[(&'a Parked, Step<'_>)],
        report: &mut Report,
    ) -> Vec<&'a str> {
        let calls = batch.iter().map(async |(parked, step)| match step {
            Step::Queue(delivery) => self.queue(parked, delivery).await,
            Step::FanOut(change) => self.fanout.send(&change.record).await.map_err(NotSent::from),
        });
        let results = join_all(calls).await;
        let mut sent = Vec::new();
        for ((parked, _), result) in batch.iter().zip(results) {
            match result {
                Ok(()) => sent.push(parked.received.message_id.as_str()),
                Err(NotSent::LeftOut(reason)) => report.leave_out(reason),
                Err(NotSent::Failed(reason)) => report.fail(parked, &reason),
            }
        }
        sent
    }

    /// Queues the delivery's next chain, if it has a row.
    async fn queue(&self, parked: &Parked, delivery: &DeliveryMessage) -> Result<(), NotSent> {
        let Some(row) = &parked.row else {
            let message = plan::without_a_row(parked, delivery).outgoing();
            let message = message.map_err(anyhow::Error::from)?;
            return Ok(self.deliveries.send(message).await.map_err(anyhow::Error::from)?);
        };
        let (queue, now) = (&self.deliveries, Timestamp::now());
        let redelivered = if parked.is_unattempted() {
            redeliver_pending(&self.log, queue, &row.summary, None, now).await
        } else {
            redeliver(&self.log, queue, &row.summary, None, now).await
        };
        match redelivered.map_err(anyhow::Error::from)? {
            Redelivered::Queued(_) => Ok(()),
            Redelivered::UnderWay => Err(NotSent::LeftOut(LeftOut::UnderWay)),
        }
    }
}

impl From<anyhow::Error> for NotSent {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(chain(error.as_ref()))
    }
}

impl Report {
    fn leave_out(&mut self, reason: LeftOut) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    fn fail(&mut self, parked: &Parked, reason: &str) {
        self.failed.push(format!("message {}: {reason}", parked.received.message_id));
    }

    /// What was not sent and why, a line for each reason.
    pub(super) fn left_out(&self) -> impl Iterator<Item = String> {
        self.left_out.iter().map(|(reason, number)| format!("Left out {number}: {reason}."))
    }

    /// Prints what happened. An error if something went wrong.
    pub(super) fn conclude(&self, selected: usize) -> Result<()> {
        let sent = self.sent;
        output::line(format_args!("Redrove {sent} of {}.", count(selected, "message")))?;
        for line in self.left_out() {
            output::line(line)?;
        }
        for reason in self.failed.iter().chain(&self.kept) {
            output::note(reason);
        }
        match (self.failed.len(), self.kept.len()) {
            (0, 0) if self.was_stopped => bail!("stopped: the other messages are still parked"),
            (0, 0) => Ok(()),
            (0, kept) => bail!(
                "{} redriven but could not be deleted: delete them with `dlq drop ID`, or they may be sent twice",
                were(kept)
            ),
            (failed, _) => bail!("{} not redriven and are still parked: try again", were(failed)),
        }
    }
}

fn were(messages: usize) -> String {
    format!("{} {}", count(messages, "message"), if messages == 1 { "was" } else { "were" })
}

/// Messages to send at a time: at most a fifth of a second's worth.
fn batch_size(rate: NonZeroU32) -> usize {
    usize::try_from(rate.get() / 5).unwrap_or(BATCH).clamp(1, BATCH)
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::{DELIVERY, fault};
    use super::super::parked::tests::{parked, row};
    use super::*;

    #[test]
    fn a_slow_redrive_sends_single_messages_and_a_fast_one_full_batches() {
        let sizes = [1, 5, 20, 50, 1000].map(|rate| batch_size(NonZeroU32::new(rate).unwrap()));
        assert_eq!(sizes, [1, 1, 4, 10, 10]);
    }

    #[test]
    fn what_is_left_out_is_counted_by_reason() {
        let delivered = || Parked { row: Some(row("delivered", 1)), ..parked(DELIVERY) };
        let messages = [delivered(), parked(DELIVERY), delivered(), parked(&fault(None))];
        let (steps, report) = planned(&messages, false, Timestamp::from_unix_millis(0));
        assert_eq!(steps.len(), 1);
        let lines: Vec<String> = report.left_out().collect();
        assert!(lines[0].starts_with("Left out 2: delivered since"), "{lines:?}");
        assert!(lines[1].starts_with("Left out 1: the queue refused"), "{lines:?}");
    }

    #[test]
    fn a_redrive_that_failed_in_part_is_an_error() {
        let letter = parked(DELIVERY);
        let mut failed = Report { sent: 3, ..Report::default() };
        failed.fail(&letter, "busy");
        let error = failed.conclude(4).unwrap_err().to_string();
        assert!(error.starts_with("1 message was not redriven"), "{error}");
        let kept =
            Report { sent: 2, kept: vec!["m1".to_owned(), "m2".to_owned()], ..Report::default() };
        assert!(
            kept.conclude(2).unwrap_err().to_string().starts_with("2 messages were redriven but")
        );
        let stopped = Report { was_stopped: true, ..Report::default() };
        assert!(stopped.conclude(2).is_err() && Report::default().conclude(0).is_ok());
    }
}
