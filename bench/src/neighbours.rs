//! Neighbours: how long a quiet tenant's webhook waits while another tenant's is flooded and others hang.
//!
//! **This is a model of ours of the rules that AWS publishes**, not a measurement of AWS: [`queue`] is the
//! queue's fairness, [`simulation`] Lambda's event source mapping and the sender around its real decision
//! code, [`template`] our settings, [`scenario`] who has events. The rule: what AWS does not say is named
//! under the tables as assumed, and varied where it matters.
//!
//! | what | where AWS says it |
//! |---|---|
//! | who is noisy, and who comes first | <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html> |
//! | without groups older messages come first | <https://aws.amazon.com/blogs/compute/building-resilient-multi-tenant-systems-with-amazon-sqs-fair-queues/> |
//! | five batches at a time at first and when traffic is low, up to 300 more a minute, up to `MaximumConcurrency` | <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html> |
//! | a batch's messages are deleted when its invocation has ended | <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html> |
//! | reported failures do not make Lambda poll less | <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html> |
//! | a changed visibility counts from the call; hidden messages are in flight | <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html> |
//! | after the last receive a message goes to the dead-letter queue | <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html> |

pub mod queue;
pub mod random;
pub mod scenario;
pub mod simulation;
pub mod template;

use std::time::Duration;

use sender::ATTEMPT_TIMEOUT;

use crate::table::{Cell, Table};
use queue::{Grouping, Time};
use scenario::{Endpoint, Events, Scaling, Settings, Webhook};
use simulation::{Outcome, run};
use template::Deployed;

/// Events that the flooded webhook has at once.
const FLOOD: u32 = 10_000;
/// The mean time between two events of the quiet webhook.
const QUIET: Duration = Duration::from_secs(2);
/// One webhook that hangs and has an event a second.
const HANGING: Hanging =
    Hanging { webhooks: 1, events: Events::Steady { mean: Duration::from_secs(1) } };
/// As many webhooks as a tenant may have, all of which hang, and a document every two seconds.
const CROWD: Hanging =
    Hanging { webhooks: 50, events: Events::Regular { every: Duration::from_secs(2) } };
/// The same with as many documents, at any time.
const UNSTEADY_CROWD: Hanging =
    Hanging { events: Events::Steady { mean: Duration::from_secs(2) }, ..CROWD };
/// The flood comes, and the quiet webhook's events are counted, when the hanging one's retries have long
/// reached their usual number.
const WARM_UP: Time = Duration::from_mins(2);
/// How long they are counted where no flood says it.
const COUNTED: Duration = Duration::from_mins(5);

const QUIET_TENANT: usize = 0;
const HANGING_TENANT: usize = 1;
const FLOODED_TENANT: usize = 2;

/// Who is there besides the quiet webhook; each is a tenant.
#[derive(Debug, Clone, Copy, Default)]
struct Neighbours {
    flooded: bool,
    hanging: Option<Hanging>,
}

/// A tenant whose webhooks hang.
#[derive(Debug, Clone, Copy)]
struct Hanging {
    webhooks: usize,
    /// Its documents, each of them an event of every webhook.
    events: Events,
}

/// What the quiet webhook and the flooded one met with, in seconds.
#[derive(Debug)]
struct Observed {
    /// From queueing to delivery, of the quiet webhook's counted events; in order.
    waits: Vec<f64>,
    /// From the flood's arrival to its last delivery, in each run; in order.
    floods: Vec<f64>,
    /// The most invocations that ran at the same time.
    most_invocations: u32,
}

/// The section's tables.
#[must_use]
pub fn tables() -> Vec<Table> {
    vec![by_neighbours(), by_concurrency()]
}

fn by_neighbours() -> Table {
    let both = Neighbours { flooded: true, hanging: Some(HANGING) };
    let flood = Neighbours { hanging: None, ..both };
    let hang = Neighbours { flooded: false, ..both };
    let crowd = Neighbours { hanging: Some(CROWD), ..hang };
    let unsteady = Neighbours { hanging: Some(UNSTEADY_CROWD), ..hang };
    let fair = settings();
    let by_webhook = Settings { grouping: Grouping::ByWebhook, ..fair };
    let keeping = Settings { scaling: Scaling::KEEPING, ..fair };
    let stepwise = Settings { scaling: Scaling::BY_THE_MINUTE, ..fair };
    let plain = Settings { grouping: Grouping::None, ..fair };
    let columns = ["neighbours", "queue", "p50 s", "p99 s", "longest s", "events", "flood gone s"];
    let title = "A quiet webhook and its neighbours: a model of ours, AWS was not measured";
    let mut table = Table::new(title, &columns);
    for (name, neighbours, queue, settings) in [
        ("none", Neighbours::default(), "fair", fair),
        ("a flood", flood, "fair", fair),
        ("one that hangs", hang, "fair", fair),
        ("both", both, "fair", fair),
        ("one that hangs", hang, "fair, pollers never dropped", keeping),
        ("both", both, "fair, pollers never dropped", keeping),
        ("one that hangs", hang, "fair, pollers added once a minute", stepwise),
        ("both", both, "fair, pollers added once a minute", stepwise),
        ("a flood", flood, "no groups", plain),
        ("one that hangs", hang, "no groups", plain),
        ("both", both, "no groups", plain),
        ("50 of one tenant that hang", crowd, "fair", fair),
        ("50 of one tenant that hang", crowd, "fair between webhooks", by_webhook),
        ("the same, documents at any time", unsteady, "fair", fair),
        ("the same, documents at any time", unsteady, "fair between webhooks", by_webhook),
    ] {
        let observed = observe(settings, neighbours, 20);
        let [p50, p99, longest] = observed.quantiles();
        let events = Cell::count(observed.waits.len().try_into().unwrap_or(u64::MAX));
        let name = [Cell::text(name), Cell::text(queue)];
        table.row(name.into_iter().chain([p50, p99, longest, events, observed.flood()]));
    }
    let Deployed { batch_size, max_concurrency, .. } = fair.deployed;
    table.note(format!(
        "A simulation of the rules that AWS publishes (bench/src/neighbours.rs names each one's page), with the \
         template's settings (batches of {batch_size}, MaximumConcurrency {max_concurrency}) and the sender's \
         own decision code."
    ));
    table.note(format!(
        "Seconds from the queueing of an event of the quiet webhook, one every {} s, to its delivery, counted \
         while {FLOOD} events of the flooded one are delivered that came at once; without a flood, for {} min. \
         The one that hangs has an event a second and lets each of five attempts wait for {} s.",
        QUIET.as_secs(),
        COUNTED.as_secs() / 60,
        ATTEMPT_TIMEOUT.as_secs(),
    ));
    table.note(format!(
        "Fair is between tenants: each message's group is its tenant. The {} that hang have a document every 2 s, \
         which is an event of each of them. Were the group the webhook, none of them alone would be noisy, and a \
         stranger would wait behind them all. Where several documents come at once, pollers are freed in bunches, \
         and the stranger waits for the next bunch.",
        CROWD.webhooks,
    ));
    table.note(
        "Assumed where AWS says nothing: Lambda adds its 300 pollers a minute one by one (in two rows all at the \
         minute's end) and drops those beyond five as soon as they find nothing (in two rows never); a receive \
         hands out ten messages if there are ten; \"recent\" processing time is about a minute's; 30 ms from \
         the receive to the posts and 20 ms from the last answer to the deletes; endpoints that work answer \
         after 25 to 75 ms; no cold starts.",
    );
    table
}

fn by_concurrency() -> Table {
    let columns = [
        "MaximumConcurrency",
        "hanging events/s",
        "p50 s",
        "p99 s",
        "longest s",
        "flood gone s",
        "most invocations",
    ];
    let title =
        "The same with both neighbours, by concurrency and by how often the hanging one has events";
    let mut table = Table::new(title, &columns);
    let fair = settings();
    for max_concurrency in [2, 10, fair.deployed.max_concurrency, 200] {
        for every in [10_000, 1_000, 250].map(Duration::from_millis) {
            let deployed = Deployed { max_concurrency, ..fair.deployed };
            let hanging = Some(Hanging { events: Events::Steady { mean: every }, ..HANGING });
            let neighbours = Neighbours { flooded: true, hanging };
            let observed = observe(Settings { deployed, ..fair }, neighbours, 10);
            let [p50, p99, longest] = observed.quantiles();
            table.row([
                Cell::count(max_concurrency.into()),
                Cell::number(every.as_secs_f64().recip(), 1),
                p50,
                p99,
                longest,
                observed.flood(),
                Cell::count(observed.most_invocations.into()),
            ]);
        }
    }
    let held = fair.deployed.max_receives * u32::try_from(ATTEMPT_TIMEOUT.as_secs()).unwrap_or(0);
    table.note(format!(
        "An invocation lasts as long as its slowest post, so an endpoint that hangs holds up to {held} of them \
         for each event it has a second. Where that exceeds MaximumConcurrency, the quiet webhook is delayed \
         by seconds: the queue puts it first, but no poller is free to take it."
    ));
    table.note(
        "A flood that lasts longer than five minutes delays everyone from then on: by AWS's page a group is not \
         noisy any more when nothing was sent to it for so long.",
    );
    table
}

fn settings() -> Settings {
    Settings { deployed: Deployed::read(), grouping: Grouping::ByTenant, scaling: Scaling::CLOSE }
}

/// Simulates a case with so many seeds.
fn observe(settings: Settings, neighbours: Neighbours, runs: u64) -> Observed {
    let until = if neighbours.flooded { WARM_UP } else { WARM_UP + COUNTED };
    let quiet = Webhook {
        tenant: QUIET_TENANT,
        endpoint: Endpoint::Answers,
        events: Events::Steady { mean: QUIET },
    };
    let mut webhooks = vec![quiet];
    if let Some(Hanging { webhooks: count, events }) = neighbours.hanging {
        let hanging = Webhook { tenant: HANGING_TENANT, endpoint: Endpoint::Hangs, events };
        webhooks.extend(vec![hanging; count]);
    }
    if neighbours.flooded {
        let events = Events::AtOnce { at: WARM_UP, count: FLOOD };
        let endpoint = Endpoint::Answers;
        webhooks.push(Webhook { tenant: FLOODED_TENANT, endpoint, events });
    }
    let flooded = neighbours.flooded.then(|| webhooks.len() - 1);

    let mut observed = Observed { waits: Vec::new(), floods: Vec::new(), most_invocations: 0 };
    for seed in 0..runs {
        observed.add(&run(settings, &webhooks, until, seed), flooded);
    }
    observed.waits.sort_by(f64::total_cmp);
    observed.floods.sort_by(f64::total_cmp);
    observed
}

impl Observed {
    /// Counts one run, in which webhook `flooded` had the flood.
    fn add(&mut self, outcome: &Outcome, flooded: Option<usize>) {
        let of = |webhook| outcome.deliveries.iter().filter(move |it| it.webhook == webhook);
        let flood_gone = flooded.and_then(|webhook| of(webhook).map(|it| it.delivered_at).max());
        self.floods.extend(flood_gone.map(|at| at.saturating_sub(WARM_UP).as_secs_f64()));
        let counted = WARM_UP..flood_gone.unwrap_or(WARM_UP + COUNTED);
        let counted = of(0).filter(|it| counted.contains(&it.queued_at));
        self.waits
            .extend(counted.map(|it| it.delivered_at.saturating_sub(it.queued_at).as_secs_f64()));
        self.most_invocations = self.most_invocations.max(outcome.most_invocations);
    }

    fn quantiles(&self) -> [Cell; 3] {
        [50, 99, 100].map(|percent| seconds(quantile(&self.waits, percent)))
    }

    fn flood(&self) -> Cell {
        seconds(quantile(&self.floods, 50))
    }
}

/// The lowest of ordered values that so many percent are not above.
fn quantile<T: Copy>(ordered: &[T], percent: usize) -> Option<T> {
    let rank = (ordered.len() * percent).div_ceil(100);
    ordered.get(rank.checked_sub(1)?).copied()
}

fn seconds(value: Option<f64>) -> Cell {
    value.map_or_else(|| Cell::text("–"), |value| Cell::number(value, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Neighbours = Neighbours { flooded: true, hanging: Some(HANGING) };

    fn p99(settings: Settings, neighbours: Neighbours) -> f64 {
        quantile(&observe(settings, neighbours, 5).waits, 99).unwrap()
    }

    #[test]
    fn a_quiet_webhook_alone_waits_for_nothing_but_its_own_post() {
        assert!(p99(settings(), Neighbours::default()) < 0.11);
    }

    #[test]
    fn a_quiet_webhook_waits_less_than_a_second_for_a_flood_and_one_that_hangs() {
        assert!(p99(settings(), BOTH) < 1.0);
    }

    #[test]
    fn without_groups_a_quiet_webhook_waits_behind_the_flood() {
        assert!(p99(Settings { grouping: Grouping::None, ..settings() }, BOTH) > 5.0);
    }

    #[test]
    fn fifty_webhooks_of_one_tenant_that_hang_delay_a_stranger_only_without_groups_by_tenant() {
        let crowd = Neighbours { flooded: false, hanging: Some(CROWD) };
        let by_webhook = Settings { grouping: Grouping::ByWebhook, ..settings() };
        assert!(p99(settings(), crowd) < 1.5);
        assert!(p99(by_webhook, crowd) > 60.0);
    }

    #[test]
    fn with_two_invocations_at_a_time_a_quiet_webhook_waits_for_one_that_hangs() {
        let deployed = Deployed { max_concurrency: 2, ..Deployed::read() };
        assert!(p99(Settings { deployed, ..settings() }, BOTH) > 5.0);
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let ordered: Vec<_> = (1..=200).collect();
        let found = [1, 50, 99, 100].map(|percent| quantile(&ordered, percent));
        assert_eq!(found, [2, 100, 198, 200].map(Some));
        assert_eq!((quantile(&[7], 50), quantile::<u8>(&[], 50)), (Some(7), None));
    }
}
