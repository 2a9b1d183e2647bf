//! Lambda's event source mapping, the sender and the endpoints in simulated time. The seed determines the
//! result, because no clock is read.
//!
//! The sender's own code decides what follows a failed attempt. As in `functions/sender`, all messages of a batch
//! are posted at once, a failed message gets its visibility timeout at once, and the invocation ends with the
//! slowest post.

use std::collections::BTreeMap;
use std::time::Duration;

use sender::{ATTEMPT_TIMEOUT, Action, Failure, Progress, RetriedClientErrors, after_failure};
use webhooks::retry::RetryPolicy;

use super::queue::{Grouping, Message, Queue, Time};
use super::random::Random;

/// Concurrent invocations at first and at low traffic.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
const FIRST_POLLERS: u32 = 5;
/// From the receive to the posts: the invocation's start and the read of the webhooks. Assumed.
const BEFORE_POSTS: Duration = Duration::from_millis(30);
/// From the end of the last post to the deletes: the delivery log and the function's response. Assumed.
const AFTER_POSTS: Duration = Duration::from_millis(20);
/// The shortest and the longest response time of a working endpoint. Assumed.
const RESPONSE_TIME: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(75));

/// The settings of the queue and of the event source mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub batch_size: usize,
    pub max_concurrency: u32,
    pub grouping: Grouping,
    pub scaling: Scaling,
}

/// How Lambda adds pollers while messages wait: `by` pollers after each `every`. AWS says up to 300 a minute but
/// not in which steps. Assumed: an added poller stops as soon as it finds the queue empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaling {
    pub every: Duration,
    pub by: u32,
}

/// A webhook and its events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Webhook {
    /// The tenant's number. A tenant's webhooks with equal [`Events`] have their events at the same times,
    /// because each document is an event of all of them.
    pub tenant: usize,
    pub endpoint: Endpoint,
    pub events: Events,
}

/// What an endpoint does with a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Answers,
    /// Never answers, so that every attempt times out.
    Hangs,
}

/// When a webhook's events are queued.
#[derive(Debug, Clone, Copy)]
pub(super) enum Events {
    /// This many at one moment.
    AtOnce(Time, u32),
    /// Independent of each other, with this mean interval.
    Steady(Duration),
    /// At this fixed interval.
    Regular(Duration),
}

/// A delivery that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    pub webhook: usize,
    pub queued_at: Time,
    pub delivered_at: Time,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub deliveries: Vec<Delivery>,
    /// When each failed delivery's last attempt failed, and its webhook.
    pub dead_letters: Vec<(Time, usize)>,
    /// The maximum number of concurrent invocations.
    pub most_invocations: u32,
}

/// Queues events until `until`, and returns when all are delivered or dead letters.
pub(super) fn run(settings: Settings, webhooks: &[Webhook], until: Time, seed: u64) -> Outcome {
    let mut seeds = Random(seed);
    let tenants: Vec<usize> = webhooks.iter().map(|webhook| webhook.tenant).collect();
    let mut seed_of = BTreeMap::new();
    for &tenant in &tenants {
        seed_of.entry(tenant).or_insert_with(|| seeds.number());
    }
    let mut simulation = Simulation {
        settings,
        webhooks,
        until,
        queue: Queue::new(settings.grouping, &tenants),
        now: Time::ZERO,
        due: BTreeMap::new(),
        scheduled: 0,
        // A seed per tenant, so that a webhook's events do not depend on its neighbours.
        arrivals: tenants.iter().map(|tenant| Random(seed_of[tenant])).collect(),
        response_times: Random(seeds.number()),
        pollers: FIRST_POLLERS.min(settings.max_concurrency),
        busy: 0,
        growing: false,
        outcome: Outcome::default(),
    };
    for webhook in 0..webhooks.len() {
        simulation.schedule_next(webhook);
    }
    while let Some(((now, _), event)) = simulation.due.pop_first() {
        simulation.now = now;
        simulation.handle(event);
        simulation.poll();
    }
    simulation.outcome
}

struct Simulation<'a> {
    settings: Settings,
    webhooks: &'a [Webhook],
    until: Time,
    queue: Queue,
    now: Time,
    /// Future events by time. Simultaneous events keep the order in which they were scheduled.
    due: BTreeMap<(Time, u64), Event>,
    scheduled: u64,
    arrivals: Vec<Random>,
    response_times: Random,
    pollers: u32,
    busy: u32,
    growing: bool,
    outcome: Outcome,
}

enum Event {
    /// A webhook's next event is queued; for [`Events::AtOnce`], all of them.
    Next(usize),
    /// A message's visibility timeout ends.
    Visible(Message),
    /// An invocation ends and these messages are deleted.
    InvocationEnd(Vec<Message>),
    /// Lambda adds pollers if messages still wait.
    Grow,
}

impl Simulation<'_> {
    fn schedule(&mut self, at: Time, event: Event) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), event);
    }

    fn schedule_next(&mut self, webhook: usize) {
        let at = match self.webhooks[webhook].events {
            Events::AtOnce(at, _) => at,
            Events::Steady(mean) => self.now + self.arrivals[webhook].wait(mean),
            Events::Regular(every) => self.now + every,
        };
        self.schedule(at, Event::Next(webhook));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Next(webhook) => match self.webhooks[webhook].events {
                Events::AtOnce(_, count) => {
                    (0..count).for_each(|_| self.queue.send(webhook, self.now));
                }
                Events::Steady(_) | Events::Regular(_) if self.now < self.until => {
                    self.queue.send(webhook, self.now);
                    self.schedule_next(webhook);
                }
                Events::Steady(_) | Events::Regular(_) => {}
            },
            Event::Visible(message) => self.queue.show(message, self.now),
            Event::InvocationEnd(gone) => {
                for message in &gone {
                    self.queue.delete(message, self.now);
                }
                self.busy -= 1;
                if self.queue.is_drained() && self.pollers > FIRST_POLLERS {
                    self.pollers -= 1;
                }
            }
            Event::Grow => {
                self.growing = false;
                if !self.queue.is_drained() {
                    let Settings { max_concurrency, scaling, .. } = self.settings;
                    self.pollers = (self.pollers + scaling.by).min(max_concurrency);
                }
            }
        }
    }

    /// Gives every free poller a batch, and schedules more pollers if messages are left.
    fn poll(&mut self) {
        while self.busy < self.pollers && !self.queue.is_drained() {
            let batch = self.queue.receive(self.settings.batch_size, self.now);
            self.busy += 1;
            self.outcome.most_invocations = self.outcome.most_invocations.max(self.busy);
            self.invoke(batch);
        }
        let may_grow = self.pollers < self.settings.max_concurrency;
        if !self.queue.is_drained() && may_grow && !self.growing {
            self.growing = true;
            self.schedule(self.now + self.settings.scaling.every, Event::Grow);
        }
    }

    /// Runs the sender with one batch.
    fn invoke(&mut self, batch: Vec<Message>) {
        let posted_at = self.now + BEFORE_POSTS;
        let mut slowest = posted_at;
        let mut gone = Vec::new();
        for message in batch {
            let Message { webhook, queued_at, receives, .. } = message;
            let hangs = self.webhooks[webhook].endpoint == Endpoint::Hangs;
            let took =
                if hangs { ATTEMPT_TIMEOUT } else { self.response_times.between(RESPONSE_TIME) };
            let ended_at = posted_at + took;
            slowest = slowest.max(ended_at);
            if !hangs {
                let delivery = Delivery { webhook, queued_at, delivered_at: ended_at };
                self.outcome.deliveries.push(delivery);
                gone.push(message);
            } else if let Some(delay) = delay_after_failure(receives) {
                self.schedule(ended_at + delay, Event::Visible(message));
            } else {
                self.outcome.dead_letters.push((ended_at, webhook));
                gone.push(message);
            }
        }
        self.schedule(slowest + AFTER_POSTS, Event::InvocationEnd(gone));
    }
}

/// How long the sender hides a message whose attempt has failed; `None` after the last attempt.
fn delay_after_failure(receives: u32) -> Option<Duration> {
    let (retry, retried) = (RetryPolicy::default(), RetriedClientErrors::default());
    match after_failure(Failure::Timeout, Progress::without_loss(receives), retry, &retried) {
        Action::RetryAfter(delay) => Some(delay),
        Action::Redrive | Action::DeadLetter { .. } => None,
        other => panic!("the simulation does not cover {other:?} after a failed attempt"),
    }
}

mod tests {
    use std::collections::BTreeSet;

    use super::super::deployed_settings;
    use super::*;

    /// One invocation at a time, so that every batch waits for the one before.
    fn one_at_a_time() -> Settings {
        Settings { max_concurrency: 1, ..deployed_settings() }
    }

    /// A webhook of tenant 0 with all its events at one moment.
    fn once(endpoint: Endpoint, at_millis: u64, count: u32) -> Webhook {
        let events = Events::AtOnce(Time::from_millis(at_millis), count);
        Webhook { tenant: 0, endpoint, events }
    }

    /// When each webhook's first delivery succeeded, in seconds.
    fn delivered<const N: usize>(settings: Settings, webhooks: [Webhook; N]) -> [Option<f64>; N] {
        let outcome = run(settings, &webhooks, Time::ZERO, 1);
        std::array::from_fn(|webhook| {
            let mut deliveries =
                outcome.deliveries.iter().filter(|delivery| delivery.webhook == webhook);
            deliveries.next().map(|delivery| delivery.delivered_at.as_secs_f64())
        })
    }

    #[test]
    fn a_hanging_endpoint_blocks_its_invocation_but_not_the_rest_of_its_batch() {
        let [first, hanging, shares_its_batch, comes_later] = delivered(
            one_at_a_time(),
            [
                // The next two wait for it and become one batch.
                once(Endpoint::Answers, 0, 1),
                once(Endpoint::Hangs, 10, 1),
                once(Endpoint::Answers, 10, 1),
                once(Endpoint::Answers, 1_000, 1),
            ],
        );
        assert!(first.unwrap() < 0.11 && shares_its_batch.unwrap() < 0.3);
        assert!((10.0..10.5).contains(&comes_later.unwrap()));
        assert_eq!(hanging, None);
    }

    #[test]
    fn a_hanging_endpoint_gets_five_attempts_1_2_4_and_8_seconds_apart() {
        let outcome = run(one_at_a_time(), &[once(Endpoint::Hangs, 0, 1)], Time::ZERO, 1);
        let [(dead_at, _)] = outcome.dead_letters[..] else { panic!("{outcome:?}") };
        let waits = Duration::from_secs(1 + 2 + 4 + 8);
        assert_eq!(dead_at, 5 * (BEFORE_POSTS + ATTEMPT_TIMEOUT) + waits);
    }

    #[test]
    fn invocations_start_at_five_and_grow_by_five_a_second_up_to_the_maximum() {
        let deliver = |max_concurrency, count| {
            let settings = Settings { max_concurrency, ..deployed_settings() };
            run(settings, &[once(Endpoint::Answers, 0, count)], Time::ZERO, 1)
        };
        assert_eq!(deliver(2, 1_000).most_invocations, 2);
        assert_eq!(deliver(50, 50).most_invocations, 5);
        assert_eq!(deliver(20, 10_000).most_invocations, 20);
        let unlimited = deliver(1_000, 10_000);
        let took = unlimited.deliveries.iter().map(|it| it.delivered_at.as_secs()).max().unwrap();
        let grown_to = u64::from(unlimited.most_invocations);
        assert!(took > 3 && (5 + 5 * took..=5 + 5 * (took + 1)).contains(&grown_to), "{grown_to}");
    }

    /// The outcome of a minute with one event a second for each of these tenants' webhooks.
    fn a_minute(webhooks: &[(usize, Endpoint)], seed: u64) -> Outcome {
        let events = Events::Steady(Duration::from_secs(1));
        let webhooks: Vec<_> = webhooks
            .iter()
            .map(|&(tenant, endpoint)| Webhook { tenant, endpoint, events })
            .collect();
        run(one_at_a_time(), &webhooks, Time::from_mins(1), seed)
    }

    /// When a webhook's events were queued.
    fn events_of(outcome: &Outcome, webhook: usize) -> BTreeSet<Time> {
        let deliveries = outcome.deliveries.iter().filter(|delivery| delivery.webhook == webhook);
        deliveries.map(|delivery| delivery.queued_at).collect()
    }

    const QUIET: (usize, Endpoint) = (0, Endpoint::Answers);

    #[test]
    fn the_same_seed_gives_the_same_result_and_another_seed_a_different_one() {
        let [one, again, other] =
            [1, 1, 2].map(|seed| a_minute(&[QUIET, (1, Endpoint::Hangs)], seed));
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn a_webhooks_events_do_not_depend_on_its_neighbours() {
        let alone = events_of(&a_minute(&[QUIET], 1), 0);
        assert_eq!(alone, events_of(&a_minute(&[QUIET, (1, Endpoint::Hangs)], 1), 0));
        assert!(alone.len() > 40);
    }

    #[test]
    fn a_tenants_webhooks_have_events_at_the_same_times() {
        let outcome = a_minute(&[QUIET, QUIET, (1, Endpoint::Answers)], 1);
        let [first, second, other] = [0, 1, 2].map(|webhook| events_of(&outcome, webhook));
        assert_eq!(first, second);
        assert_ne!(first, other);
    }
}
