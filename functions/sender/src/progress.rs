//! How far a delivery is when its message is received. Pure.
//!
//! The rule: a receive that made no attempt costs the delivery nothing. The log says how many attempts were made, between
//! what the message carries and what its earlier receives allow. If an attempt was not logged, it is made again: a
//! delivery can get more attempts than its webhook allows, but not fewer.

use webhooks::delivery::DeliveryMessage;

/// The queue's `maxReceiveCount`: after this many receives the queue moves the message to the dead-letter queue.
pub const MAX_RECEIVES: u32 = 5;

/// The attempts of a delivery's chain before this receive, and the receives of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    attempts: u32,
    /// From 1, this one included.
    receives: u32,
    /// Earlier receives of the message that made no attempt: a crash, a timeout, a throttled or failed start.
    lost_receives: u32,
}

impl Progress {
    /// At receive `receive_count` of `delivery`. `logged` is the number of the chain's attempts in the log; `None` if it
    /// was not read or cannot be read. Then each earlier receive counts as an attempt.
    pub(crate) fn new(delivery: &DeliveryMessage, receive_count: u32, logged: Option<u32>) -> Self {
        let fewest = delivery.attempts_before;
        let most = fewest.saturating_add(receive_count.saturating_sub(1));
        // More are logged if the queue moved the message back from the dead-letter queue, or if a copy of it exists.
        let attempts = logged.unwrap_or(most).clamp(fewest, most);
        Self { attempts, receives: receive_count, lost_receives: most - attempts }
    }

    /// At receive `receive_count` of a first message whose earlier receives each made an attempt.
    #[must_use]
    pub fn without_loss(receive_count: u32) -> Self {
        Self {
            attempts: receive_count.saturating_sub(1),
            receives: receive_count,
            lost_receives: 0,
        }
    }

    pub(crate) fn attempts(self) -> u32 {
        self.attempts
    }

    /// The number of the attempt at this receive: from 1, counted over all copies of the message.
    pub(crate) fn next_attempt(self) -> u32 {
        self.attempts.saturating_add(1)
    }

    pub(crate) fn has_lost_receives(self) -> bool {
        self.lost_receives > 0
    }

    /// True if the queue moves the message to the dead-letter queue instead of delivering it again.
    pub(crate) fn is_last_receive(self) -> bool {
        self.receives >= MAX_RECEIVES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    /// The number of the next attempt and of lost receives.
    fn at(attempts_before: u32, receive_count: u32, logged: Option<u32>) -> (u32, u32) {
        let delivery = DeliveryMessage { attempts_before, ..Message::sample().delivery.unwrap() };
        let progress = Progress::new(&delivery, receive_count, logged);
        (progress.next_attempt(), progress.lost_receives)
    }

    #[test]
    fn the_next_attempt_is_one_more_than_those_in_the_log() {
        assert_eq!(
            [1, 2, 3, 4, 5].map(|receive| at(0, receive, Some(receive - 1))).map(|it| it.0),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(at(0, 5, Some(0)), (1, 4), "four receives were lost before the first attempt");
        assert_eq!(at(0, 4, Some(2)), (3, 1));
        assert_eq!(
            at(4, 3, Some(5)),
            (6, 1),
            "a copy carries four, and one of its receives was lost"
        );
    }

    #[test]
    fn without_the_log_each_receive_counts_as_an_attempt() {
        assert_eq!(at(0, 1, None), (1, 0));
        assert_eq!(at(0, 5, None), (5, 0));
        assert_eq!(at(4, 3, None), (7, 0));
    }

    #[test]
    fn the_log_changes_neither_what_a_message_carries_nor_what_its_receives_allow() {
        assert_eq!(at(3, 2, Some(1)), (4, 1), "the log lacks attempts that earlier copies made");
        assert_eq!(
            at(0, 2, Some(5)),
            (2, 0),
            "the message was moved back from the dead-letter queue"
        );
        assert_eq!(at(0, 1, Some(5)), (1, 0));
    }

    #[test]
    fn a_copy_of_a_message_with_lost_receives_comes_nearer_to_the_end_even_if_nothing_is_logged() {
        let (mut before, mut posts) = (0, 0);
        while before < 5 {
            // The first receive of each copy is not compared with the log.
            let first = at(before, 1, None).0;
            let (second, lost) = at(before, 2, Some(0));
            assert!(lost == 1 || second > first);
            posts += if first < 5 { 2 } else { 1 };
            before = second.max(first);
        }
        assert_eq!(posts, 9, "each attempt but the last is made twice at most");
    }
}
