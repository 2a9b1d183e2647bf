//! `docintell dlq redrive`: sends parked messages again.
//!
//! The rule: a message is deleted only after its copy is queued. Whatever interrupts a redrive, a message is sent twice
//! at worst, and none is lost.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::queue::Queue;
use webhooks::redelivery::{Redelivered, redeliver, redeliver_pending};
use webhooks::store::DeliveryLog;
use webhooks::timestamp::Timestamp;

use super::held::{BATCH, Held};
use super::job_change::Fanout;
use super::outcome::{Ended, Outcome};
use super::parked::Parked;
use super::plan::{self, LeftOut, Step};
use super::select::Selection;
use crate::output;
use crate::progress::{Progress, Task};
use crate::stop::{Stop, Stopped};
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
    ended: Vec<Ended>,
    was_stopped: bool,
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
            Err(reason) => report.add(parked, Outcome::LeftOut(reason)),
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
            let failed_before = report.failed();
            let sent = self.send(batch, report).await;
            let ids: Vec<&str> = sent.iter().map(|it| it.received.message_id.as_str()).collect();
            let mut kept: HashMap<_, _> = held.delete(&ids).await.into_iter().collect();
            for parked in sent {
                let reason = kept.remove(&parked.received.message_id);
                report.add(parked, reason.map_or(Outcome::Redriven, Outcome::NotDeleted));
            }
            done += u32::try_from(batch.len()).unwrap_or(u32::MAX);
            task.note(&format!("{done} of {}", steps.len()));
            let failed = report.failed() - failed_before;
            failures_in_a_row = if failed == batch.len() { failures_in_a_row + failed } else { 0 };
            if failures_in_a_row >= HOPELESS {
                return;
            }
        }
    }

    /// Sends one batch; returns the messages that were sent.
    async fn send<'a>(
        &self,
        batch: &[(&'a Parked, Step<'_>)],
        report: &mut Report,
    ) -> Vec<&'a Parked> {
        let calls = batch.iter().map(async |(parked, step)| match step {
            Step::Queue(delivery) => self.queue(parked, delivery).await,
            Step::FanOut(change) => self.fanout.send(&change.record).await.map_err(Outcome::from),
        });
        let results = join_all(calls).await;
        let mut sent = Vec::new();
        for ((parked, _), result) in batch.iter().zip(results) {
            match result {
                Ok(()) => sent.push(*parked),
                Err(outcome) => report.add(parked, outcome),
            }
        }
        sent
    }

    /// Queues the delivery's next chain, if it has a row. The error is why it was not sent.
    async fn queue(&self, parked: &Parked, delivery: &DeliveryMessage) -> Result<(), Outcome> {
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
            Redelivered::UnderWay => Err(Outcome::LeftOut(LeftOut::UnderWay)),
        }
    }
}

impl From<anyhow::Error> for Outcome {
    fn from(error: anyhow::Error) -> Self {
        Self::NotRedriven(chain(error.as_ref()))
    }
}

impl Report {
    pub(super) fn add(&mut self, parked: &Parked, outcome: Outcome) {
        self.ended.push(Ended::new(parked, outcome));
    }

    fn count(&self, is_counted: impl Fn(&Outcome) -> bool) -> usize {
        self.ended.iter().filter(|ended| is_counted(&ended.outcome)).count()
    }

    fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::NotRedriven(_)))
    }

    /// What was not sent and why, a line for each reason.
    pub(super) fn left_out(&self) -> impl Iterator<Item = String> {
        let mut numbers = BTreeMap::new();
        for ended in &self.ended {
            if let Outcome::LeftOut(reason) = ended.outcome {
                *numbers.entry(reason).or_insert(0) += 1;
            }
        }
        numbers.into_iter().map(|(reason, number)| format!("Left out {number}: {reason}."))
    }

    /// An object for each message. Those that a stop kept from being sent are missing.
    pub(super) fn objects(&self) -> impl Iterator<Item = Value> {
        self.ended.iter().map(Ended::json)
    }

    /// Prints what happened. An error if something went wrong.
    pub(super) fn conclude(&self, selected: usize, json: bool) -> Result<()> {
        if json {
            self.objects().try_for_each(|it| output::json(&it))?;
        }
        let kept = self.count(|outcome| matches!(outcome, Outcome::NotDeleted(_)));
        let sent = self.count(|outcome| *outcome == Outcome::Redriven) + kept;
        let selected = count(selected, "message");
        output::sentence(format_args!("Redrove {sent} of {selected}."), json)?;
        self.left_out().try_for_each(|it| output::sentence(it, json))?;
        self.ended.iter().filter_map(Ended::problem).for_each(output::note);
        match (self.failed(), kept) {
            (0, 0) if self.was_stopped => {
                Err(Stopped("the other messages are still parked".to_owned()).into())
            }
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
        let busy = || "busy".to_owned();
        let report = |outcomes: &[Outcome]| {
            let mut report = Report::default();
            for outcome in outcomes {
                report.add(&letter, outcome.clone());
            }
            report
        };
        let failed = report(&[Outcome::Redriven, Outcome::NotRedriven(busy())]);
        let error = failed.conclude(2, false).unwrap_err().to_string();
        assert!(error.starts_with("1 message was not redriven"), "{error}");
        let kept = report(&[Outcome::NotDeleted(busy()), Outcome::NotDeleted(busy())]);
        let error = kept.conclude(2, true).unwrap_err().to_string();
        assert!(error.starts_with("2 messages were redriven but"), "{error}");
        let stopped = Report { was_stopped: true, ..Report::default() };
        assert!(
            stopped.conclude(2, false).is_err() && Report::default().conclude(0, false).is_ok()
        );
    }
}
