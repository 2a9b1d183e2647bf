//! Decides what follows after one receive of a delivery message. Pure: the time is an argument.
//!
//! The rule: only attempts that were made count. An internal error does not use up an attempt.

use std::time::Duration;

use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus};
use webhooks::retry::{RetryPolicy, delay_after};
use webhooks::store::deliveries::LogEntry;
use webhooks::timestamp::Timestamp;

use crate::client_errors::RetriedClientErrors;
use crate::failure::Failure;
use crate::health::Evidence;
use crate::progress::Progress;
use crate::reason::{BlockReason, CancelReason, FaultReason};

/// How long a delivery waits after an internal error blocked it.
pub(crate) const BLOCKED_DELAY: Duration = Duration::from_secs(30);
/// A delivery that internal errors have blocked for this long is parked for the operator.
const MAX_BLOCKED: Duration = Duration::from_hours(12);
/// The reason of a parked delivery in the delivery log. Only the operator sees the details.
const BLOCKED_FOR_GOOD: &str = "an internal error kept the delivery from being made";

/// The outcome of one receive of a delivery message.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// An attempt was made. It succeeded if `failure` is `None`.
    Attempted { attempt: Attempt, failure: Option<Failure>, retry: RetryPolicy },
    /// The tenant no longer wants the delivery.
    Cancelled(CancelReason),
    /// An internal error prevented the attempt.
    Blocked(BlockReason<'a>),
}

/// What follows from an [`Outcome`].
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) action: Action<'a>,
    /// The entry for the delivery log; `None` while a delivery without a row is blocked.
    pub(crate) log: Option<LogEntry<'a>>,
    /// What the delivery says about its endpoint, once the action has been carried out.
    pub(crate) evidence: Option<Evidence>,
}

/// What to do with the queue message.
#[derive(Debug)]
pub enum Action<'a> {
    /// The queue deletes it.
    Acknowledge,
    /// The queue hides it for this long and then delivers it again.
    RetryAfter(Duration),
    /// The queue moves it to the dead-letter queue, because this was its last receive.
    Redrive,
    /// The sender moves it to the dead-letter queue.
    DeadLetter {
        /// Why the last attempt failed.
        failure: Failure,
        /// Number of attempts made.
        attempts: u32,
    },
    /// A copy replaces it: more attempts are allowed than the message has receives, earlier receives were lost, or the
    /// endpoint asks for a longer wait than the schedule has. Hidden messages count towards the queue's limit of 120,000
    /// in flight, which all tenants share; delayed ones do not.
    Requeue {
        /// Attempts so far.
        attempts: u32,
        /// How long the queue holds the copy back.
        delay: Duration,
    },
    /// A copy replaces it after 30 s, because this receive made no attempt.
    Postpone {
        /// Attempts so far.
        attempts: u32,
        /// When an internal error first blocked the next attempt.
        blocked_since: Timestamp,
        /// The error that blocked it this time.
        reason: BlockReason<'a>,
    },
    /// The sender moves it to `PipelineFaultsQueue`.
    Park(FaultReason<'a>),
}

/// Decides what follows from `outcome`. `progress` is that of the delivery when its message was received, and `retried`
/// are the client errors that are not final.
pub(crate) fn decide<'a>(
    outcome: Outcome<'a>,
    delivery: &'a DeliveryMessage,
    progress: Progress,
    retried: &RetriedClientErrors,
    now: Timestamp,
) -> Decision<'a> {
    let entry = |status, attempt, reason, next_attempt_at| {
        Some(LogEntry { message: delivery, status, attempt, reason, next_attempt_at, at: now })
    };
    match outcome {
        Outcome::Attempted { attempt, failure: None, .. } => Decision {
            action: Action::Acknowledge,
            log: entry(DeliveryStatus::Delivered, Some(attempt), None, None),
            evidence: Some(Evidence::Success),
        },
        Outcome::Attempted { attempt, failure: Some(failure), retry } => {
            let evidence = Evidence::of_dead_letter(&failure);
            let action = after_failure(failure, progress, retry, retried);
            let (log, evidence) = match action {
                Action::Redrive | Action::DeadLetter { .. } => {
                    (entry(DeliveryStatus::Failed, Some(attempt), None, None), evidence)
                }
                Action::RetryAfter(delay) | Action::Requeue { delay, .. } => {
                    let next = Some(now.plus(delay));
                    (entry(DeliveryStatus::Pending, Some(attempt), None, next), None)
                }
                _ => (entry(DeliveryStatus::Pending, Some(attempt), None, Some(now)), None),
            };
            Decision { action, log, evidence }
        }
        Outcome::Cancelled(reason) => Decision {
            action: Action::Acknowledge,
            log: entry(DeliveryStatus::Cancelled, None, Some(reason.to_string()), None),
            evidence: None,
        },
        Outcome::Blocked(reason) => {
            let action = after_block(reason, delivery, progress, now);
            let log = match action {
                Action::Park(_) => {
                    entry(DeliveryStatus::Failed, None, Some(BLOCKED_FOR_GOOD.to_owned()), None)
                }
                // Only a delivery that has a row: otherwise its first attempt creates it.
                Action::Postpone { attempts, .. } if attempts > 0 || delivery.chain > 1 => {
                    let next = now.plus(BLOCKED_DELAY);
                    entry(DeliveryStatus::Pending, None, None, Some(next))
                }
                _ => None,
            };
            Decision { action, log, evidence: None }
        }
    }
}

/// The action after the next attempt of `progress` failed. The delay is that of the schedule, or the endpoint's
/// `Retry-After` if that is longer.
#[must_use]
pub fn after_failure(
    failure: Failure,
    progress: Progress,
    retry: RetryPolicy,
    retried: &RetriedClientErrors,
) -> Action<'static> {
    let number = progress.next_attempt();
    if failure.is_permanent(retried) {
        return Action::DeadLetter { failure, attempts: number };
    }
    let has_attempts = number < retry.max_attempts();
    let scheduled = delay_after(number);
    let delay = scheduled.max(failure.retry_after());
    match (has_attempts, progress.is_last_receive()) {
        (true, false) if delay == scheduled && !progress.has_lost_receives() => {
            Action::RetryAfter(delay)
        }
        (true, _) => Action::Requeue { attempts: number, delay },
        (false, false) => Action::DeadLetter { failure, attempts: number },
        (false, true) => Action::Redrive,
    }
}

/// The log entry of a delivery whose message was parked, whatever `log` was to say.
pub(crate) fn log_parked<'a>(
    log: Option<LogEntry<'a>>,
    delivery: &'a DeliveryMessage,
    now: Timestamp,
) -> LogEntry<'a> {
    let (status, reason) = (DeliveryStatus::Failed, Some(BLOCKED_FOR_GOOD.to_owned()));
    match log {
        Some(entry) if entry.status == DeliveryStatus::Failed => entry,
        Some(entry) => LogEntry { status, reason, next_attempt_at: None, ..entry },
        None => LogEntry {
            message: delivery,
            status,
            attempt: None,
            reason,
            next_attempt_at: None,
            at: now,
        },
    }
}

fn after_block<'a>(
    reason: BlockReason<'a>,
    delivery: &DeliveryMessage,
    progress: Progress,
    now: Timestamp,
) -> Action<'a> {
    let blocked_since = delivery.blocked_since.unwrap_or(now);
    if now.since(blocked_since) >= MAX_BLOCKED {
        return Action::Park(FaultReason::Blocked(reason));
    }
    Action::Postpone { attempts: progress.attempts(), blocked_since, reason }
}

#[cfg(test)]
mod tests;
