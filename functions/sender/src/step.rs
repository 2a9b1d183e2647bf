//! What comes next for a message, given how this receive of it ended. Pure.
//!
//! The rule: only an attempt that was made counts as one; a fault of ours costs the tenant nothing.

use std::time::Duration;

use webhooks::delivery::DeliveryStatus;
use webhooks::retry::{RetryPolicy, delay_after};
use webhooks::timestamp::Timestamp;

use crate::attempt::Answer;

/// The queue's `maxReceiveCount`: a message that fails at this receive is moved by the queue itself.
pub const MAX_RECEIVES: u32 = 5;
/// The wait before a delivery that a fault of ours held up is tried again.
pub const BLOCKED_DELAY: Duration = Duration::from_secs(30);
/// After so long a time of faults of ours the delivery is set aside for our operator.
const MAX_BLOCKED: Duration = Duration::from_hours(12);

/// Where a message stands at this receive.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    /// Attempts made by earlier copies of the message.
    pub attempts_before: u32,
    /// Receives of this copy, this one included.
    pub count: u32,
    /// Since when faults of ours have held the delivery up.
    pub blocked_since: Option<Timestamp>,
}

impl Receive {
    /// The number of the attempt that this receive is for, from 1.
    #[must_use]
    pub fn attempt_number(self) -> u32 {
        self.attempts_before.saturating_add(self.count)
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the message is done with.
    Acknowledge,
    /// The same message is received again after this wait.
    RetryAfter(Duration),
    /// The message has had its last receive; the queue moves it to the dead-letter queue at once.
    Redrive,
    /// The message goes to the dead-letter queue with the reason.
    DeadLetter,
    /// A copy takes the message's place.
    Replace {
        /// Attempts so far.
        attempts: u32,
        /// How long the queue holds the copy back.
        delay: Duration,
        /// See [`Receive::blocked_since`].
        blocked_since: Option<Timestamp>,
    },
    /// The message goes to `PipelineFaults` with the reason.
    Fault,
}

impl Step {
    /// The delivery's status once this step is taken after an attempt.
    #[must_use]
    pub fn status(self) -> DeliveryStatus {
        match self {
            Self::Acknowledge => DeliveryStatus::Delivered,
            Self::RetryAfter(_) | Self::Replace { .. } => DeliveryStatus::Pending,
            Self::Redrive | Self::DeadLetter | Self::Fault => DeliveryStatus::Failed,
        }
    }
}

/// The step after an attempt.
#[must_use]
pub fn after_attempt(answer: Answer, receive: Receive, policy: RetryPolicy) -> Step {
    let number = receive.attempt_number();
    match answer {
        Answer::Success => Step::Acknowledge,
        Answer::ClientError | Answer::Refused => Step::DeadLetter,
        Answer::Failure => match (number < policy.max_attempts(), receive.count < MAX_RECEIVES) {
            (true, true) => Step::RetryAfter(delay_after(number)),
            (true, false) => {
                Step::Replace { attempts: number, delay: delay_after(number), blocked_since: None }
            }
            (false, true) => Step::DeadLetter,
            (false, false) => Step::Redrive,
        },
    }
}

/// The step after a receive that a fault of ours ended before its attempt was made.
#[must_use]
pub fn after_block(receive: Receive, now: Timestamp) -> Step {
    let since = receive.blocked_since.unwrap_or(now);
    let blocked_millis = now.unix_millis().saturating_sub(since.unix_millis());
    if Duration::from_millis(blocked_millis) >= MAX_BLOCKED {
        return Step::Fault;
    }
    Step::Replace {
        attempts: receive.attempt_number() - 1,
        delay: BLOCKED_DELAY,
        blocked_since: Some(since),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: RetryPolicy = RetryPolicy { enabled: true, max_retries: 5 };

    fn receive(attempts_before: u32, count: u32) -> Receive {
        Receive { attempts_before, count, blocked_since: None }
    }

    fn failed(attempts_before: u32, count: u32, policy: RetryPolicy) -> Step {
        after_attempt(Answer::Failure, receive(attempts_before, count), policy)
    }

    fn retry_after(seconds: u64) -> Step {
        Step::RetryAfter(Duration::from_secs(seconds))
    }

    fn replace(attempts: u32, seconds: u64) -> Step {
        let delay = Duration::from_secs(seconds);
        Step::Replace { attempts, delay, blocked_since: None }
    }

    #[test]
    fn a_failing_delivery_waits_1_2_4_8_seconds_and_is_then_redriven() {
        assert_eq!(
            [1, 2, 3, 4, 5].map(|count| failed(0, count, GUIDE)),
            [retry_after(1), retry_after(2), retry_after(4), retry_after(8), Step::Redrive]
        );
    }

    #[test]
    fn success_ends_a_delivery_at_any_attempt() {
        for count in 1..=5 {
            let step = after_attempt(Answer::Success, receive(0, count), GUIDE);
            assert_eq!((step, step.status()), (Step::Acknowledge, DeliveryStatus::Delivered));
        }
    }

    #[test]
    fn a_client_error_and_a_forbidden_address_are_parked_at_once() {
        for answer in [Answer::ClientError, Answer::Refused] {
            assert_eq!(after_attempt(answer, receive(0, 1), GUIDE), Step::DeadLetter);
        }
    }

    #[test]
    fn attempts_that_end_before_the_fifth_receive_are_parked_by_us() {
        let off = RetryPolicy { enabled: false, max_retries: 5 };
        let two = RetryPolicy { enabled: true, max_retries: 2 };
        assert_eq!(failed(0, 1, off), Step::DeadLetter);
        assert_eq!([failed(0, 1, two), failed(0, 2, two)], [retry_after(1), Step::DeadLetter]);
        assert_eq!(failed(3, 2, GUIDE), Step::DeadLetter);
    }

    #[test]
    fn attempts_beyond_the_fifth_go_on_with_a_copy_of_the_message() {
        let ten = RetryPolicy { enabled: true, max_retries: 10 };
        assert_eq!(failed(0, 5, ten), replace(5, 16));
        assert_eq!(failed(5, 1, ten), retry_after(32));
        assert_eq!(failed(5, 4, ten), retry_after(256));
        assert_eq!(failed(5, 5, ten), Step::Redrive);
    }

    #[test]
    fn a_fault_of_ours_costs_no_attempt_and_is_ours_alone_after_12_hours() {
        let now = Timestamp::from_unix_millis(1_764_757_800_000);
        let since =
            |hours: u64| Some(Timestamp::from_unix_millis(now.unix_millis() - hours * 3_600_000));
        let blocked = |blocked_since| after_block(Receive { blocked_since, ..receive(0, 3) }, now);
        let copy =
            |blocked_since| Step::Replace { attempts: 2, delay: BLOCKED_DELAY, blocked_since };
        assert_eq!(blocked(None), copy(Some(now)));
        assert_eq!(blocked(since(11)), copy(since(11)));
        assert_eq!(blocked(since(12)), Step::Fault);
    }
}
