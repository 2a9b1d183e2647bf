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
use crate::reason::{BlockReason, CancelReason, FaultReason};

/// The queue's `maxReceiveCount`: after this many receives the queue moves the message to the dead-letter queue.
pub const MAX_RECEIVES: u32 = 5;
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
    /// A copy replaces it, because more attempts are allowed than the message has receives, or because the endpoint
    /// asks for a longer wait than the schedule has. Hidden messages count towards the queue's limit of 120,000 in
    /// flight, which all tenants share; delayed ones do not.
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

/// The number of the attempt at this receive: from 1, counted over all copies of the message.
pub(crate) fn attempt_number(delivery: &DeliveryMessage, receive_count: u32) -> u32 {
    delivery.attempts_before.saturating_add(receive_count)
}

/// Decides what follows from `outcome`, for a message that was received for the `receive_count`th time. `retried` are
/// the client errors that are not final.
pub(crate) fn decide<'a>(
    outcome: Outcome<'a>,
    delivery: &'a DeliveryMessage,
    receive_count: u32,
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
            let action = after_failure(failure, attempt.number, receive_count, retry, retried);
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
            let action = after_block(reason, delivery, receive_count, now);
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

/// The action after attempt `number` failed at receive `receive_count` of its message. The delay is that of the
/// schedule, or the endpoint's `Retry-After` if that is longer.
#[must_use]
pub fn after_failure(
    failure: Failure,
    number: u32,
    receive_count: u32,
    retry: RetryPolicy,
    retried: &RetriedClientErrors,
) -> Action<'static> {
    if failure.is_permanent(retried) {
        return Action::DeadLetter { failure, attempts: number };
    }
    let has_attempts = number < retry.max_attempts();
    let has_receives = receive_count < MAX_RECEIVES;
    let scheduled = delay_after(number);
    let delay = scheduled.max(failure.retry_after());
    match (has_attempts, has_receives) {
        (true, true) if delay == scheduled => Action::RetryAfter(delay),
        (true, _) => Action::Requeue { attempts: number, delay },
        (false, true) => Action::DeadLetter { failure, attempts: number },
        (false, false) => Action::Redrive,
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
    receive_count: u32,
    now: Timestamp,
) -> Action<'a> {
    let blocked_since = delivery.blocked_since.unwrap_or(now);
    if now.since(blocked_since) >= MAX_BLOCKED {
        return Action::Park(FaultReason::Blocked(reason));
    }
    let attempts = attempt_number(delivery, receive_count).saturating_sub(1);
    Action::Postpone { attempts, blocked_since, reason }
}

#[cfg(test)]
mod tests {
    use webhooks::delivery::Phases;
    use webhooks::endpoint::EndpointRefusal;

    use super::*;
    use crate::message::Message;

    const GUIDE: RetryPolicy = RetryPolicy { enabled: true, max_retries: 5 };

    fn now() -> Timestamp {
        Timestamp::from_unix_millis(1_764_757_800_000)
    }

    fn delivery() -> DeliveryMessage {
        Message::sample().delivery.unwrap()
    }

    fn attempt(number: u32, failure: Option<&Failure>) -> Attempt {
        Attempt {
            chain: 1,
            number,
            at: now(),
            duration_ms: 0,
            phases: Phases::default(),
            first_status_code: None,
            status_code: None,
            error: failure.map(ToString::to_string),
            response_body: None,
        }
    }

    /// No client error is retried.
    fn none() -> RetriedClientErrors {
        RetriedClientErrors::default()
    }

    fn status(code: u16, retry_after: Option<u64>) -> Failure {
        let status = reqwest::StatusCode::from_u16(code).unwrap();
        Failure::Status { status, retry_after: retry_after.map(Duration::from_secs) }
    }

    /// The action after a failure that can be retried.
    fn failed(attempts_before: u32, receive_count: u32, retry: RetryPolicy) -> String {
        let number = attempts_before + receive_count;
        format!("{:?}", after_failure(Failure::Timeout, number, receive_count, retry, &none()))
    }

    #[test]
    fn a_failing_delivery_waits_1_2_4_8_seconds_and_is_then_redriven() {
        assert_eq!(
            [1, 2, 3, 4, 5].map(|receive_count| failed(0, receive_count, GUIDE)),
            ["RetryAfter(1s)", "RetryAfter(2s)", "RetryAfter(4s)", "RetryAfter(8s)", "Redrive"]
        );
    }

    #[test]
    fn success_ends_a_delivery_at_any_attempt() {
        let delivery = delivery();
        for number in 1..=5 {
            let attempt = attempt(number, None);
            let outcome = Outcome::Attempted { attempt, failure: None, retry: GUIDE };
            let Decision { action, log, .. } = decide(outcome, &delivery, number, &none(), now());
            assert!(matches!(action, Action::Acknowledge), "{action:?}");
            assert_eq!(log.unwrap().status, DeliveryStatus::Delivered);
        }
    }

    #[test]
    fn a_client_error_and_a_forbidden_address_are_dead_letters_at_once() {
        let client_error = status(404, None);
        for failure in [client_error, Failure::Refused(EndpointRefusal::Address)] {
            let action = after_failure(failure, 1, 1, GUIDE, &none());
            assert!(matches!(action, Action::DeadLetter { attempts: 1, .. }), "{action:?}");
        }
    }

    #[test]
    fn the_sender_dead_letters_a_delivery_whose_attempts_end_before_the_fifth_receive() {
        let off = RetryPolicy { enabled: false, max_retries: 5 };
        let two = RetryPolicy { enabled: true, max_retries: 2 };
        let dead_letter =
            |attempts| format!("DeadLetter {{ failure: Timeout, attempts: {attempts} }}");
        assert_eq!(failed(0, 1, off), dead_letter(1));
        assert_eq!(
            [failed(0, 1, two), failed(0, 2, two)],
            ["RetryAfter(1s)".to_owned(), dead_letter(2)]
        );
        assert_eq!(failed(3, 2, GUIDE), dead_letter(5));
    }

    #[test]
    fn attempts_beyond_the_fifth_use_a_copy_of_the_message() {
        let ten = RetryPolicy { enabled: true, max_retries: 10 };
        assert_eq!(failed(0, 5, ten), "Requeue { attempts: 5, delay: 16s }");
        assert_eq!(failed(5, 1, ten), "RetryAfter(32s)");
        assert_eq!(failed(5, 4, ten), "RetryAfter(256s)");
        assert_eq!(failed(5, 5, ten), "Redrive");
    }

    #[test]
    fn the_log_says_pending_with_the_next_attempt_until_the_last_one_failed() {
        let delivery = delivery();
        for (number, status, next) in [
            (4, DeliveryStatus::Pending, Some(now().plus(Duration::from_secs(8)))),
            (5, DeliveryStatus::Failed, None),
        ] {
            let attempt = attempt(number, Some(&Failure::Timeout));
            let failure = Some(Failure::Timeout);
            let outcome = Outcome::Attempted { attempt, failure, retry: GUIDE };
            let entry = decide(outcome, &delivery, number, &none(), now()).log.unwrap();
            assert_eq!((entry.status, entry.next_attempt_at), (status, next));
            assert_eq!(entry.attempt.map(|attempt| attempt.number), Some(number));
        }
    }

    #[test]
    fn an_internal_error_costs_no_attempt_and_is_parked_after_12_hours() {
        let before =
            |hours: u64| Timestamp::from_unix_millis(now().unix_millis() - hours * 3_600_000);
        for (since, expected) in [(None, now()), (Some(before(11)), before(11))] {
            let delivery = DeliveryMessage { blocked_since: since, ..delivery() };
            let outcome = Outcome::Blocked(BlockReason::TooLittleTime);
            let Decision { action, log, .. } = decide(outcome, &delivery, 3, &none(), now());
            let Action::Postpone { attempts: 2, blocked_since, .. } = action else {
                panic!("{action:?}")
            };
            assert_eq!(blocked_since, expected);
            let next = log.unwrap().next_attempt_at;
            assert_eq!(next, Some(now().plus(BLOCKED_DELAY)));
        }
        let delivery = DeliveryMessage { blocked_since: Some(before(12)), ..delivery() };
        let outcome = Outcome::Blocked(BlockReason::TooLittleTime);
        let Decision { action, log, .. } = decide(outcome, &delivery, 3, &none(), now());
        assert!(matches!(action, Action::Park(FaultReason::Blocked(_))), "{action:?}");
        assert_eq!(log.unwrap().status, DeliveryStatus::Failed);
    }

    #[test]
    fn the_longer_of_schedule_and_retry_after_is_the_delay() {
        let action = |asked, number: u32| {
            let action = after_failure(status(503, asked), number, number.min(5), GUIDE, &none());
            format!("{action:?}")
        };
        assert_eq!(action(None, 3), "RetryAfter(4s)");
        assert_eq!(action(Some(0), 3), "RetryAfter(4s)");
        assert_eq!(action(Some(4), 3), "RetryAfter(4s)");
        assert_eq!(action(Some(5), 3), "Requeue { attempts: 3, delay: 5s }");
        assert_eq!(action(Some(900), 1), "Requeue { attempts: 1, delay: 900s }");
        assert_eq!(action(Some(900), 5), "Redrive", "no attempt follows");

        let failure = status(503, Some(60));
        let attempt = attempt(1, Some(&failure));
        let outcome = Outcome::Attempted { attempt, failure: Some(failure), retry: GUIDE };
        let delivery = delivery();
        let entry = decide(outcome, &delivery, 1, &none(), now()).log.unwrap();
        assert_eq!(entry.next_attempt_at, Some(now().plus(Duration::from_mins(1))));
    }

    #[test]
    fn a_client_error_is_retried_only_if_the_stack_says_so() {
        let all: RetriedClientErrors = "408,425,429".parse().unwrap();
        let only_429: RetriedClientErrors = "429".parse().unwrap();
        for (code, retried, expected) in [
            (429, &none(), false),
            (429, &only_429, true),
            (408, &only_429, false),
            (408, &all, true),
            (425, &all, true),
            (410, &all, false),
            (400, &all, false),
        ] {
            let action = after_failure(status(code, None), 1, 1, GUIDE, retried);
            assert_eq!(matches!(action, Action::RetryAfter(_)), expected, "{code}: {action:?}");
        }
        let action = after_failure(status(429, Some(30)), 1, 1, GUIDE, &only_429);
        assert_eq!(format!("{action:?}"), "Requeue { attempts: 1, delay: 30s }");
        let action = after_failure(status(429, Some(30)), 1, 1, GUIDE, &none());
        assert!(matches!(action, Action::DeadLetter { .. }), "{action:?}");
    }

    #[test]
    fn only_a_success_and_the_end_by_the_endpoints_fault_say_something_about_its_health() {
        let delivery = delivery();
        let evidence = |number, failure: Option<Failure>| {
            let attempt = attempt(number, failure.as_ref());
            let outcome = Outcome::Attempted { attempt, failure, retry: GUIDE };
            decide(outcome, &delivery, number, &none(), now()).evidence
        };
        let dead_letter = |error: &str| Some(Evidence::DeadLetter { error: error.to_owned() });
        assert_eq!(evidence(1, None), Some(Evidence::Success));
        assert_eq!(evidence(4, Some(Failure::Timeout)), None, "another attempt follows");
        assert_eq!(evidence(5, Some(Failure::Timeout)), dead_letter("no answer within 10 s"));
        assert_eq!(evidence(1, Some(status(404, None))), dead_letter("the endpoint answered 404"));
        assert_eq!(evidence(1, Some(status(410, None))), Some(Evidence::Gone));
        let refused = Failure::Refused(EndpointRefusal::Address);
        assert_eq!(
            evidence(1, Some(refused)),
            dead_letter("the endpoint's address is not allowed")
        );
        assert_eq!(evidence(5, Some(Failure::Panic)), None, "a panic is ours");
        for outcome in [
            Outcome::Cancelled(CancelReason::Deleted),
            Outcome::Blocked(BlockReason::TooLittleTime),
        ] {
            assert_eq!(decide(outcome, &delivery, 5, &none(), now()).evidence, None);
        }
    }
}
