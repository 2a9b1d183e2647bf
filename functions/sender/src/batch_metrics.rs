//! Counts what happens in a batch, for its line of metrics.
//!
//! The rule: every message counts once at its end. A delivery that an internal error delays or parks counts as blocked,
//! also if an attempt was made. An attempt that panics counts as blocked too, beside the end of its message.

use std::cell::RefCell;
use std::iter;
use std::time::Duration;

use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus};
use webhooks::metrics::{Metric, Metrics};
use webhooks::store::deliveries::LogEntry;
use webhooks::timestamp::Timestamp;

use crate::Finished;
use crate::client_errors::RetriedClientErrors;
use crate::decision::{Action, Decision};
use crate::failure::Failure;
use crate::message::Message;

/// A younger message is not worth the bytes of its age in the log.
const MIN_AGE: Duration = Duration::from_secs(1);

/// The metrics of a batch, whose messages are handled at the same time.
#[derive(Debug, Default)]
pub(crate) struct BatchMetrics(RefCell<Metrics>);

impl BatchMetrics {
    /// Counts the messages that were received at `now`.
    pub(crate) fn of(messages: &[Message], now: Timestamp) -> Self {
        let mut metrics = Metrics::default();
        metrics.add(Metric::Received, messages.len());
        let ages = messages.iter().filter_map(|message| Some(now.since(message.sent_at?)));
        if let Some(oldest) = ages.max().filter(|age| *age >= MIN_AGE) {
            metrics.add_value(Metric::OldestMessageAge, millis(oldest));
        }
        Self(RefCell::new(metrics))
    }

    pub(crate) fn add(&self, metric: Metric, count: usize) {
        self.0.borrow_mut().add(metric, count);
    }

    /// Counts an attempt. The delay until the first one is that of the event's first delivery, not of a retry by its
    /// owner.
    pub(crate) fn attempted(&self, attempt: &Attempt, delivery: &DeliveryMessage) {
        let mut metrics = self.0.borrow_mut();
        metrics.add_value(Metric::AttemptDuration, attempt.duration_ms);
        if (attempt.chain, attempt.number) == (1, 1) {
            let delay = attempt.at.since(delivery.delivery_id.created_at());
            metrics.add_value(Metric::FirstAttemptDelay, millis(delay));
        }
    }

    /// Counts how the handling of a message ended.
    pub(crate) fn ended(&self, end: End, finished: &Finished<'_>) {
        let (metric, detail) = metrics_of(end, finished);
        for metric in iter::once(metric).chain(detail) {
            self.add(metric, 1);
        }
    }

    pub(crate) fn into_inner(self) -> Metrics {
        self.0.into_inner()
    }
}

/// The end that a decision leads to, if its action succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Delivered,
    DeliveredAfterRetry,
    Cancelled,
    /// The queue delivers the same message again.
    Retried,
    /// A copy of the message is queued.
    Requeued,
    /// The sender moves it to the dead-letter queue, for this reason.
    DeadLetter(Metric),
    /// The queue moves it, because it had all attempts.
    Redriven,
    Blocked,
}

impl End {
    pub(crate) fn of(decision: &Decision<'_>, retried: &RetriedClientErrors) -> Self {
        match &decision.action {
            Action::Acknowledge => match &decision.log {
                Some(LogEntry { status: DeliveryStatus::Delivered, attempt, .. }) => {
                    match attempt {
                        Some(attempt) if attempt.number > 1 => Self::DeliveredAfterRetry,
                        _ => Self::Delivered,
                    }
                }
                _ => Self::Cancelled,
            },
            Action::RetryAfter(_) => Self::Retried,
            Action::Requeue { .. } => Self::Requeued,
            Action::Redrive => Self::Redriven,
            Action::DeadLetter { failure, .. } => Self::DeadLetter(match failure {
                Failure::Refused(_) => Metric::DeadLettersForbidden,
                failure if failure.is_permanent(retried) => Metric::DeadLettersRejected,
                _ => Metric::DeadLettersExhausted,
            }),
            Action::Postpone { .. } | Action::Park(_) => Self::Blocked,
        }
    }
}

/// The counts that a message adds one to.
fn metrics_of(end: End, finished: &Finished<'_>) -> (Metric, Option<Metric>) {
    match (finished, end) {
        (Finished::Parked, _) => (Metric::Parked, Some(Metric::Blocked)),
        (Finished::Interrupted, _) | (_, End::Blocked) => (Metric::Blocked, None),
        (_, End::Retried) => (Metric::RetriesScheduled, None),
        (_, End::Redriven) => (Metric::DeadLetters, Some(Metric::DeadLettersExhausted)),
        // The message that was to replace it could not be queued.
        (Finished::Returned, _) => (Metric::Blocked, None),
        (_, End::Requeued) => (Metric::RetriesScheduled, None),
        (_, End::DeadLetter(reason)) => (Metric::DeadLetters, Some(reason)),
        (_, End::Delivered) => (Metric::Delivered, None),
        (_, End::DeliveredAfterRetry) => (Metric::Delivered, Some(Metric::DeliveredAfterRetry)),
        (_, End::Cancelled) => (Metric::Cancelled, None),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use webhooks::delivery::Phases;
    use webhooks::endpoint::EndpointRefusal;
    use webhooks::metrics::MetricsLog;
    use webhooks::retry::RetryPolicy;

    use super::*;
    use crate::decision::{Outcome, decide};
    use crate::progress::Progress;
    use crate::reason::{BlockReason, CancelReason};

    /// When the job of the sample was written, in Unix milliseconds.
    const WRITTEN: u64 = 1_764_757_109_312;

    fn attempt(number: u32, at: u64) -> Attempt {
        Attempt {
            chain: 1,
            number,
            at: Timestamp::from_unix_millis(at),
            duration_ms: 148,
            phases: Phases::default(),
            first_status_code: None,
            status_code: None,
            error: None,
            response_body: None,
        }
    }

    fn delivery() -> DeliveryMessage {
        Message::sample().delivery.unwrap()
    }

    fn end_of(outcome: Outcome<'_>, receive: u32) -> End {
        let (delivery, retried) = (delivery(), RetriedClientErrors::default());
        let progress = Progress::without_loss(receive);
        let decision = decide(outcome, &delivery, progress, &retried, Timestamp::now());
        End::of(&decision, &retried)
    }

    fn end_of_attempt(number: u32, failure: Option<Failure>, retry: RetryPolicy) -> End {
        end_of(Outcome::Attempted { attempt: attempt(number, WRITTEN), failure, retry }, number)
    }

    fn status(code: u16) -> Failure {
        let status = reqwest::StatusCode::from_u16(code).unwrap();
        Failure::Status { status, retry_after: None }
    }

    #[test]
    fn each_decision_has_its_end() {
        let forbidden = Failure::Refused(EndpointRefusal::Address);
        let guide = RetryPolicy::default();
        let once = RetryPolicy { enabled: false, ..guide };
        for (end, expected) in [
            (end_of_attempt(1, None, guide), End::Delivered),
            (end_of_attempt(2, None, guide), End::DeliveredAfterRetry),
            (end_of_attempt(1, Some(status(500)), guide), End::Retried),
            (end_of_attempt(5, Some(status(500)), guide), End::Redriven),
            (
                end_of_attempt(1, Some(status(500)), once),
                End::DeadLetter(Metric::DeadLettersExhausted),
            ),
            (
                end_of_attempt(1, Some(status(404)), guide),
                End::DeadLetter(Metric::DeadLettersRejected),
            ),
            (
                end_of_attempt(1, Some(forbidden), guide),
                End::DeadLetter(Metric::DeadLettersForbidden),
            ),
            (end_of(Outcome::Cancelled(CancelReason::Deleted), 1), End::Cancelled),
            (end_of(Outcome::Blocked(BlockReason::TooLittleTime), 1), End::Blocked),
        ] {
            assert_eq!(end, expected);
        }
    }

    #[test]
    fn a_message_counts_by_what_became_of_it_and_not_by_what_was_decided() {
        use Metric::{Blocked, DeadLetters, DeadLettersExhausted, Parked, RetriesScheduled};
        let letter = End::DeadLetter(DeadLettersExhausted);
        for (end, finished, expected) in [
            (End::Retried, Finished::Returned, (RetriesScheduled, None)),
            (End::Requeued, Finished::Acknowledged, (RetriesScheduled, None)),
            (End::Requeued, Finished::Returned, (Blocked, None)),
            (End::Requeued, Finished::Parked, (Parked, Some(Blocked))),
            (letter, Finished::Acknowledged, (DeadLetters, Some(DeadLettersExhausted))),
            (letter, Finished::Returned, (Blocked, None)),
            (letter, Finished::Parked, (Parked, Some(Blocked))),
            (End::Redriven, Finished::Returned, (DeadLetters, Some(DeadLettersExhausted))),
            (End::Blocked, Finished::Acknowledged, (Blocked, None)),
            (End::Blocked, Finished::Parked, (Parked, Some(Blocked))),
            (End::Delivered, Finished::Interrupted, (Blocked, None)),
        ] {
            assert_eq!(metrics_of(end, &finished), expected, "{end:?}, {finished:?}");
        }
    }

    #[test]
    fn only_the_first_attempt_of_the_first_chain_has_a_delay() {
        let metrics = BatchMetrics::default();
        let (first, second) = (attempt(1, WRITTEN + 655), attempt(2, WRITTEN + 1_700));
        let retried = Attempt { chain: 2, ..attempt(1, WRITTEN + 90_000) };
        for attempt in [first, second, retried] {
            metrics.attempted(&attempt, &delivery());
        }
        let mut expected = Metrics::default();
        expected.add_value(Metric::FirstAttemptDelay, 655);
        (0..3).for_each(|_| expected.add_value(Metric::AttemptDuration, 148));
        assert_eq!(metrics.into_inner(), expected);
    }

    #[test]
    fn the_age_of_the_oldest_message_counts_from_one_second() {
        let aged = |age| {
            let mut messages = [Message::sample(), Message::sample(), Message::sample()];
            messages[0].sent_at = None;
            let received = messages[1].sent_at.unwrap().plus(Duration::from_millis(age));
            messages[2].sent_at = Some(received);
            BatchMetrics::of(&messages, received).into_inner()
        };
        let mut expected = Metrics::default();
        expected.add(Metric::Received, 3);
        assert_eq!(aged(999), expected);
        expected.add_value(Metric::OldestMessageAge, 1000);
        assert_eq!(aged(1000), expected);
    }

    #[test]
    fn ten_healthy_deliveries_take_at_most_400_bytes() {
        // A job's time is in whole seconds, so delays are spread over the second after the usual half.
        let delays = [512, 634, 701, 745, 812, 866, 903, 958, 1_024, 1_311];
        let durations = [48, 52, 67, 95, 102, 110, 134, 148, 203, 251];
        let batch: Vec<Message> = delays.iter().map(|_| Message::sample()).collect();
        let metrics = BatchMetrics::of(&batch, batch[0].sent_at.unwrap());
        for (delay, duration_ms) in delays.into_iter().zip(durations) {
            let attempt = Attempt { duration_ms, ..attempt(1, WRITTEN + delay) };
            metrics.attempted(&attempt, &delivery());
            metrics.ended(End::Delivered, &Finished::Acknowledged);
        }
        let log = MetricsLog::new("DocIntell/docintell-webhooks-production".to_owned());
        let line = log.line(&metrics.into_inner(), Timestamp::now());
        let line = String::from_utf8(line).unwrap();
        assert!(
            line.contains(r#""Received":10,"Delivered":10,"FirstAttemptDelay":[512,"#),
            "{line}"
        );
        assert!(line.len() <= 400, "{} bytes: {line}", line.len());
    }
}
