//! The event source mapping, the sender and the endpoints, in simulated time: nothing waits and no clock is
//! read, so that a seed decides the whole course.
//!
//! The rule: what follows a failed attempt is decided by the sender's own [`after_failure`]; what the batch of an
//! attempt does around it is as in `functions/sender`: all its messages are posted at once, a failed one
//! gets its visibility as soon as it has failed, and the invocation ends with the slowest.

use std::collections::BTreeMap;
use std::time::Duration;

use sender::{ATTEMPT_TIMEOUT, Action, Failure, after_failure};
use webhooks::retry::RetryPolicy;

use super::queue::{Message, Queue, Time};
use super::random::Random;
use super::scenario::{Endpoint, Events, Settings, Webhook};

/// Invocations at a time that Lambda begins with and goes back to.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
const FIRST_POLLERS: u32 = 5;
/// From a receive to the posts: the invocation and the read of the webhooks. Our assumption.
const BEFORE_POSTS: Duration = Duration::from_millis(30);
/// From the last post's end to the deletes: the log and the answer. Our assumption.
const AFTER_POSTS: Duration = Duration::from_millis(20);
/// What an endpoint that works takes to answer, at least and at most. Our assumption.
const ANSWERS_AFTER: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(75));

/// A delivery that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The webhook's number.
    pub webhook: usize,
    /// When its event was queued.
    pub queued_at: Time,
    /// When the endpoint had answered.
    pub delivered_at: Time,
}

/// What came of a simulation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was delivered.
    pub deliveries: Vec<Delivery>,
    /// When a delivery was given up, and of which webhook.
    pub dead_letters: Vec<(Time, usize)>,
    /// The most invocations that ran at the same time.
    pub most_invocations: u32,
}

/// Lets events come one by one up to `until`, and after it until a flood is delivered; the end is when every event
/// has been delivered whose endpoint works.
#[must_use]
pub fn run(settings: Settings, webhooks: &[Webhook], until: Time, seed: u64) -> Outcome {
    let mut seeds = Random::new(seed);
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
        // Each tenant's own, so that a webhook's events do not depend on its neighbours.
        arrivals: tenants.iter().map(|tenant| Random::new(seed_of[tenant])).collect(),
        answers: Random::new(seeds.number()),
        pollers: FIRST_POLLERS.min(settings.deployed.max_concurrency),
        busy: 0,
        growing: false,
        flood_left: 0,
        undelivered: 0,
        outcome: Outcome::default(),
    };
    simulation.begin();
    while (simulation.goes_on() || simulation.undelivered > 0)
        && let Some(((now, _), event)) = simulation.due.pop_first()
    {
        simulation.now = now;
        simulation.handle(event);
        simulation.take();
    }
    simulation.outcome
}

struct Simulation<'a> {
    settings: Settings,
    webhooks: &'a [Webhook],
    until: Time,
    queue: Queue,
    now: Time,
    /// What will happen; of what happens at the same time, what was scheduled first.
    due: BTreeMap<(Time, u64), Event>,
    scheduled: u64,
    arrivals: Vec<Random>,
    answers: Random,
    pollers: u32,
    busy: u32,
    growing: bool,
    /// Events that came or will come at once and are not delivered.
    flood_left: u32,
    /// Queued events that are not delivered, of endpoints that work.
    undelivered: u32,
    outcome: Outcome,
}

enum Event {
    /// Events of a webhook come at once.
    Flood { webhook: usize, count: u32 },
    /// A webhook whose events come one by one has the next.
    Next { webhook: usize },
    /// The sender's copy of a message becomes visible.
    Copy(Message),
    /// The time is over for which a message was hidden.
    Visible(Message),
    /// An invocation has ended and acknowledged these.
    Ended(Vec<Message>),
    /// Lambda looks whether more pollers are needed.
    Grow,
}

impl Simulation<'_> {
    fn begin(&mut self) {
        for (webhook, &Webhook { events, .. }) in self.webhooks.iter().enumerate() {
            match events {
                Events::AtOnce { at, count } => {
                    self.flood_left += count;
                    self.schedule(at, Event::Flood { webhook, count });
                }
                Events::Steady { .. } | Events::Regular { .. } => self.schedule_next(webhook),
            }
        }
    }

    /// Whether events still come one by one.
    fn goes_on(&self) -> bool {
        self.now < self.until || self.flood_left > 0
    }

    fn schedule(&mut self, at: Time, event: Event) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), event);
    }

    fn schedule_next(&mut self, webhook: usize) {
        let wait = match self.webhooks[webhook].events {
            Events::AtOnce { .. } => return,
            Events::Steady { mean } => self.arrivals[webhook].wait(mean),
            Events::Regular { every } => every,
        };
        self.schedule(self.now + wait, Event::Next { webhook });
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Flood { webhook, count } => {
                for _ in 0..count {
                    self.queue(webhook);
                }
            }
            Event::Next { webhook } => {
                if self.goes_on() {
                    self.queue(webhook);
                    self.schedule_next(webhook);
                }
            }
            Event::Copy(message) => self.queue.send(message, self.now),
            Event::Visible(message) if message.receives >= self.settings.deployed.max_receives => {
                self.queue.delete(&message, self.now);
                self.outcome.dead_letters.push((self.now, message.webhook));
            }
            Event::Visible(message) => self.queue.show(message, self.now),
            Event::Ended(acknowledged) => {
                for message in &acknowledged {
                    self.queue.delete(message, self.now);
                }
                self.busy -= 1;
                let is_idle = self.queue.is_drained() && self.pollers > FIRST_POLLERS;
                if is_idle && self.settings.scaling.drops_idle {
                    self.pollers -= 1;
                }
            }
            Event::Grow => {
                self.growing = false;
                if !self.queue.is_drained() {
                    let Settings { deployed, scaling, .. } = self.settings;
                    self.pollers = (self.pollers + scaling.by).min(deployed.max_concurrency);
                }
            }
        }
    }

    fn queue(&mut self, webhook: usize) {
        self.queue.send(Message::first(webhook, self.now), self.now);
        if self.webhooks[webhook].endpoint == Endpoint::Answers {
            self.undelivered += 1;
        }
    }

    /// Lets every free poller take a batch, and asks for more pollers when that does not do.
    fn take(&mut self) {
        while self.busy < self.pollers && !self.queue.is_drained() {
            let batch = self.queue.receive(self.settings.deployed.batch_size, self.now);
            self.busy += 1;
            self.outcome.most_invocations = self.outcome.most_invocations.max(self.busy);
            self.invoke(batch);
        }
        let may_grow = self.pollers < self.settings.deployed.max_concurrency;
        if !self.queue.is_drained() && may_grow && !self.growing {
            self.growing = true;
            self.schedule(self.now + self.settings.scaling.every, Event::Grow);
        }
    }

    /// The sender with one batch.
    fn invoke(&mut self, batch: Vec<Message>) {
        let posted_at = self.now + BEFORE_POSTS;
        let mut slowest = posted_at;
        let mut acknowledged = Vec::new();
        for message in batch {
            let (took, failure) = self.post(message.webhook);
            let ended_at = posted_at + took;
            slowest = slowest.max(ended_at);
            let Some(failure) = failure else {
                self.delivered(&message, ended_at);
                acknowledged.push(message);
                continue;
            };
            let number = message.attempts_before + message.receives;
            match after_failure(failure, number, message.receives, RetryPolicy::default()) {
                Action::RetryAfter(delay) => {
                    self.schedule(ended_at + delay, Event::Visible(message));
                }
                Action::Redrive => self.schedule(ended_at, Event::Visible(message)),
                Action::Requeue { attempts, delay } => {
                    let first = Message::first(message.webhook, message.queued_at);
                    let copy = Message { attempts_before: attempts, ..first };
                    self.schedule(ended_at + delay, Event::Copy(copy));
                    acknowledged.push(message);
                }
                Action::DeadLetter { .. } => {
                    self.outcome.dead_letters.push((ended_at, message.webhook));
                    acknowledged.push(message);
                }
                Action::Acknowledge | Action::Postpone { .. } | Action::Park(_) => {
                    unreachable!("none of these follows a failed attempt")
                }
            }
        }
        self.schedule(slowest + AFTER_POSTS, Event::Ended(acknowledged));
    }

    /// How long the attempt takes, and why it fails if it does.
    fn post(&mut self, webhook: usize) -> (Duration, Option<Failure>) {
        match self.webhooks[webhook].endpoint {
            Endpoint::Answers => {
                let (shortest, longest) = ANSWERS_AFTER;
                (self.answers.between(shortest, longest), None)
            }
            Endpoint::Hangs => (ATTEMPT_TIMEOUT, Some(Failure::Timeout)),
        }
    }

    fn delivered(&mut self, message: &Message, delivered_at: Time) {
        let &Message { webhook, queued_at, .. } = message;
        self.outcome.deliveries.push(Delivery { webhook, queued_at, delivered_at });
        self.undelivered -= 1;
        if let Events::AtOnce { .. } = self.webhooks[webhook].events {
            self.flood_left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::queue::Grouping;
    use super::super::scenario::Scaling;
    use super::super::template::Deployed;
    use super::*;

    /// One invocation at a time, so that who waits for whom is seen.
    fn one_at_a_time() -> Settings {
        let deployed = Deployed { max_concurrency: 1, ..Deployed::read() };
        Settings { deployed, grouping: Grouping::ByTenant, scaling: Scaling::CLOSE }
    }

    /// A webhook of tenant 0 whose events come at once.
    fn once(endpoint: Endpoint, at_millis: u64, count: u32) -> Webhook {
        let at = Time::from_millis(at_millis);
        Webhook { tenant: 0, endpoint, events: Events::AtOnce { at, count } }
    }

    /// When each webhook's only delivery was made, in seconds.
    fn delivered<const N: usize>(settings: Settings, webhooks: [Webhook; N]) -> [Option<f64>; N] {
        let outcome = run(settings, &webhooks, Time::ZERO, 1);
        std::array::from_fn(|webhook| {
            let mut of = outcome.deliveries.iter().filter(|delivery| delivery.webhook == webhook);
            of.next().map(|delivery| delivery.delivered_at.as_secs_f64())
        })
    }

    #[test]
    fn a_hanging_endpoint_holds_its_batchs_invocation_but_not_the_batchs_other_deliveries() {
        let [first, hanging, shares_its_batch, comes_later] = delivered(
            one_at_a_time(),
            [
                // While it is delivered the next two wait, and so become one batch.
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
    fn an_endpoint_that_hangs_for_good_gets_five_attempts_1_2_4_and_8_seconds_apart() {
        let outcome = run(one_at_a_time(), &[once(Endpoint::Hangs, 0, 1)], Time::ZERO, 1);
        let [(dead_at, _)] = outcome.dead_letters[..] else { panic!("{outcome:?}") };
        let waits = Duration::from_secs(1 + 2 + 4 + 8);
        assert_eq!(dead_at, 5 * (BEFORE_POSTS + ATTEMPT_TIMEOUT) + waits);
    }

    #[test]
    fn invocations_begin_at_five_and_become_five_more_a_second_up_to_the_maximum() {
        let deliver = |max_concurrency, count| {
            let deployed = Deployed { max_concurrency, ..Deployed::read() };
            let settings = Settings { deployed, ..one_at_a_time() };
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

    /// What happens in a minute beside one webhook with an event a second, whose endpoint works.
    fn a_minute_beside(neighbours: &[Endpoint], seed: u64) -> Outcome {
        let events = Events::Steady { mean: Duration::from_secs(1) };
        let endpoints = [&[Endpoint::Answers], neighbours].concat();
        let webhooks: Vec<_> = (0..)
            .zip(endpoints)
            .map(|(tenant, endpoint)| Webhook { tenant, endpoint, events })
            .collect();
        run(one_at_a_time(), &webhooks, Time::from_mins(1), seed)
    }

    #[test]
    fn the_same_seed_gives_the_same_result_and_another_one_another() {
        let [one, again, other] = [1, 1, 2].map(|seed| a_minute_beside(&[Endpoint::Hangs], seed));
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn a_webhooks_events_do_not_depend_on_its_neighbours() {
        let [alone, accompanied] = [&[][..], &[Endpoint::Hangs]].map(|neighbours| {
            let deliveries = a_minute_beside(neighbours, 1).deliveries;
            deliveries.iter().map(|it| it.queued_at).collect::<BTreeSet<_>>()
        });
        assert_eq!(alone, accompanied);
        assert!(alone.len() > 40);
    }

    #[test]
    fn a_tenants_documents_are_events_of_all_its_webhooks() {
        let events = Events::Steady { mean: Duration::from_secs(1) };
        let webhook = |tenant| Webhook { tenant, endpoint: Endpoint::Answers, events };
        let webhooks = [webhook(0), webhook(0), webhook(1)];
        let outcome = run(one_at_a_time(), &webhooks, Time::from_mins(1), 1);
        let [first, second, strangers] = [0, 1, 2].map(|webhook| {
            let of = outcome.deliveries.iter().filter(|it| it.webhook == webhook);
            of.map(|it| it.queued_at).collect::<BTreeSet<_>>()
        });
        assert_eq!(first, second);
        assert_ne!(first, strangers);
    }
}
