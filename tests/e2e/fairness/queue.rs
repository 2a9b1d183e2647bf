//! The delivery queue as AWS describes standard queues: which message comes next, and which are in flight.
//!
//! The rules are from AWS's page on fair queues
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>).
//! Older messages come first without groups, as the announcement says
//! (<https://aws.amazon.com/blogs/compute/building-resilient-multi-tenant-systems-with-amazon-sqs-fair-queues/>).
//! Only [`RECENT`] is assumed.

use std::collections::VecDeque;
use std::time::Duration;

/// A group with fewer messages in flight is noisy only if it takes too much processing time.
const NOISY_IN_FLIGHT: u32 = 30;
/// A group is noisy above this share of all messages in flight or of the recent processing time.
const NOISY_SHARE: f64 = 0.1;
/// A group that got no new message for this long is not noisy.
const NOT_SENDING: Duration = Duration::from_mins(5);
/// The time constant with which old processing time decays. Assumed.
const RECENT: Duration = Duration::from_mins(1);

/// Time since the simulation began.
pub(super) type Time = Duration;

/// The `MessageGroupId` of messages. A queue is fair between groups.
#[derive(Debug, Clone, Copy)]
pub(super) enum Grouping {
    /// The tenant's id, as deployed.
    ByTenant,
    /// The webhook's id.
    ByWebhook,
    /// No group id: the queue is not fair.
    None,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// The index of the webhook.
    pub webhook: usize,
    /// When its event was queued.
    pub queued_at: Time,
    /// Receives so far.
    pub receives: u32,
    /// When it was last received.
    received_at: Time,
}

#[derive(Debug)]
pub(super) struct Queue {
    /// The index of each webhook's group.
    group_of: Vec<usize>,
    groups: Vec<Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// The oldest first.
    visible: VecDeque<Message>,
    in_flight: u32,
    /// Decayed seconds of processing time as of `as_of`.
    processing: f64,
    as_of: Time,
    last_sent_at: Time,
}

impl Queue {
    /// An empty queue for messages of webhooks that belong to these tenants.
    pub(super) fn new(grouping: Grouping, tenants: &[usize]) -> Self {
        let group = |(webhook, &tenant)| match grouping {
            Grouping::ByTenant => tenant,
            Grouping::ByWebhook => webhook,
            Grouping::None => 0,
        };
        let group_of: Vec<usize> = tenants.iter().enumerate().map(group).collect();
        let groups = group_of.iter().max().map_or(0, |last| last + 1);
        Self { group_of, groups: (0..groups).map(|_| Group::default()).collect() }
    }

    /// True if no message is visible.
    pub(super) fn is_drained(&self) -> bool {
        self.groups.iter().all(|group| group.visible.is_empty())
    }

    /// Adds a new message for a webhook.
    pub(super) fn send(&mut self, webhook: usize, now: Time) {
        let message = Message { webhook, queued_at: now, receives: 0, received_at: Time::ZERO };
        let group = self.group(&message);
        group.last_sent_at = now;
        group.insert(message);
    }

    /// Hands out up to `limit` messages and marks them as in flight.
    pub(super) fn receive(&mut self, limit: usize, now: Time) -> Vec<Message> {
        let slow = self.slow(now);
        let mut batch = Vec::with_capacity(limit);
        while batch.len() < limit
            && let Some(next) = self.next(&slow, now)
            && let Some(message) = self.groups[next].visible.pop_front()
        {
            self.groups[next].in_flight += 1;
            batch.push(Message { receives: message.receives + 1, received_at: now, ..message });
        }
        batch
    }

    /// Deletes a message that is in flight.
    pub(super) fn delete(&mut self, message: &Message, now: Time) {
        let group = self.group(message);
        group.in_flight -= 1;
        let took = now.saturating_sub(message.received_at).as_secs_f64();
        (group.processing, group.as_of) = (group.processing_at(now) + took, now);
    }

    /// Makes a message that is in flight visible again.
    pub(super) fn show(&mut self, message: Message, now: Time) {
        self.delete(&message, now);
        self.group(&message).insert(message);
    }

    fn group(&mut self, message: &Message) -> &mut Group {
        &mut self.groups[self.group_of[message.webhook]]
    }

    /// The next group: the quiet one with the oldest message, or else the noisy one with the fewest messages in
    /// flight.
    fn next(&self, slow: &[bool], now: Time) -> Option<usize> {
        let in_flight = self.groups.iter().map(|group| group.in_flight).sum();
        let turns = self.groups.iter().zip(slow).enumerate().filter_map(|(at, (group, slow))| {
            let oldest = group.visible.front()?.queued_at;
            let is_sending = now < group.last_sent_at + NOT_SENDING;
            let is_noisy = is_sending && (*slow || group.has_many_of(in_flight));
            Some((is_noisy.then_some(group.in_flight), oldest, at))
        });
        turns.min().map(|(_, _, at)| at)
    }

    /// For each group, true if it has more than [`NOISY_SHARE`] of the recent processing time.
    fn slow(&self, now: Time) -> Vec<bool> {
        let seconds: Vec<_> = self.groups.iter().map(|group| group.processing_at(now)).collect();
        let all: f64 = seconds.iter().sum();
        seconds.iter().map(|seconds| *seconds > NOISY_SHARE * all).collect()
    }
}

impl Group {
    fn insert(&mut self, message: Message) {
        let older = self.visible.partition_point(|other| other.queued_at <= message.queued_at);
        self.visible.insert(older, message);
    }

    /// True if the group has more than [`NOISY_SHARE`] of all messages in flight.
    fn has_many_of(&self, in_flight: u32) -> bool {
        self.in_flight >= NOISY_IN_FLIGHT
            && f64::from(self.in_flight) > NOISY_SHARE * f64::from(in_flight)
    }

    fn processing_at(&self, now: Time) -> f64 {
        self.processing * (-now.saturating_sub(self.as_of).div_duration_f64(RECENT)).exp()
    }
}

mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    /// A queue with `flood` messages for webhook 0 and a later one for another tenant's webhook 1.
    fn flooded(grouping: Grouping, flood: usize) -> Queue {
        let mut queue = Queue::new(grouping, &[0, 1]);
        for _ in 0..flood {
            queue.send(0, at(1));
        }
        queue.send(1, at(2));
        queue
    }

    /// The webhook of the next message at `now`.
    fn first(queue: &mut Queue, now: Time) -> usize {
        queue.receive(1, now)[0].webhook
    }

    #[test]
    fn a_noisy_group_waits_behind_a_quiet_one() {
        let mut queue = flooded(Grouping::ByTenant, 100);
        queue.receive(30, at(1));
        assert_eq!(first(&mut queue, at(2)), 1);
    }

    #[test]
    fn a_group_with_fewer_than_30_messages_in_flight_is_not_noisy() {
        let mut queue = flooded(Grouping::ByTenant, 100);
        queue.receive(29, at(1));
        assert_eq!(first(&mut queue, at(2)), 0);
    }

    #[test]
    fn a_group_with_few_messages_in_flight_is_noisy_when_they_take_long() {
        let mut queue = flooded(Grouping::ByTenant, 2);
        for message in queue.receive(1, at(1)) {
            queue.delete(&message, at(2));
        }
        assert_eq!(first(&mut queue, at(2)), 1);
    }

    #[test]
    fn the_noisy_group_with_fewer_messages_in_flight_comes_first() {
        let mut queue = flooded(Grouping::ByTenant, 100);
        // They include the quiet webhook's message.
        queue.receive(61, at(2));
        for _ in 0..100 {
            queue.send(1, at(2));
        }
        assert!(queue.receive(59, at(2)).iter().all(|message| message.webhook == 1));
        let both = queue.receive(20, at(2));
        assert_eq!(both.iter().filter(|message| message.webhook == 1).count(), 10);
    }

    #[test]
    fn a_group_without_new_messages_for_five_minutes_is_not_noisy() {
        let mut queue = flooded(Grouping::ByTenant, 100);
        queue.receive(30, at(1));
        assert_eq!(first(&mut queue, at(1) + NOT_SENDING), 0);
    }

    #[test]
    fn a_tenants_webhooks_are_noisy_together_only_if_grouped_by_tenant() {
        let first_of = |grouping| {
            // Ten webhooks of one tenant, each with three messages in flight and one visible, and another tenant's.
            let mut queue = Queue::new(grouping, &[[0; 10].as_slice(), &[1]].concat());
            for message in 0..40 {
                queue.send(message % 10, at(1));
            }
            queue.receive(30, at(1));
            queue.send(10, at(2));
            first(&mut queue, at(2))
        };
        assert_eq!(first_of(Grouping::ByTenant), 10);
        assert_ne!(first_of(Grouping::ByWebhook), 10);
    }

    #[test]
    fn without_groups_the_oldest_message_comes_first() {
        let mut queue = flooded(Grouping::None, 100);
        queue.receive(30, at(1));
        let rest = queue.receive(100, at(2));
        assert_eq!(rest.iter().position(|message| message.webhook == 1), Some(70));
    }

    #[test]
    fn a_message_in_flight_is_not_handed_out_until_it_is_visible_again() {
        let mut queue = Queue::new(Grouping::ByTenant, &[0]);
        queue.send(0, at(0));
        let message = queue.receive(10, at(0))[0];
        assert!(queue.is_drained());
        queue.show(message, at(1));
        assert_eq!(queue.receive(10, at(1))[0].receives, 2);
    }
}
