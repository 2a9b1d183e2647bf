//! How long a quiet tenant's webhook waits while another tenant's webhook is flooded and others hang.
//!
//! **This is a model of the rules that AWS publishes**, not a measurement of AWS. [`queue`] models fair queues,
//! [`simulation`] models Lambda's event source mapping and the sender. Settings come from template.yaml and from
//! the sender. Comments mark as "assumed" every number that AWS does not publish.
//!
//! `cargo test -p tests --test e2e fair_queue -- --nocapture` prints the table of docs/decisions/message-groups.md.
//!
//! | rule | source |
//! |---|---|
//! | which groups are noisy, and which message comes next | <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html> |
//! | five concurrent batches at first and at low traffic, up to 300 more a minute, at most `MaximumConcurrency` | <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html> |
//! | a batch's messages are deleted when its invocation ends | <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html> |
//! | reported failures do not make Lambda poll less | <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html> |
//! | a changed visibility counts from the call; hidden messages are in flight | <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html> |
//! | after the last receive a message goes to the dead-letter queue | <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html> |

mod queue;
pub(crate) mod random;
mod simulation;

use std::fmt::Display;
use std::ops::Range;
use std::time::Duration;

use sender::{ATTEMPT_TIMEOUT, MAX_RECEIVES};
use serde_json::json;

use crate::permissions::template::Template;
use queue::{Grouping, Time};
use simulation::{Endpoint, Events, Scaling, Settings, Webhook, run};

/// The mean time between two events of the quiet webhook.
const QUIET: Duration = Duration::from_secs(2);
/// The number of events that flood a webhook at once.
const FLOOD: u32 = 10_000;
/// The start of the flood and of the measurement. By then the number of pending retries is stable.
const WARM_UP: Time = Duration::from_mins(2);
/// The length of the measurement, and the number of runs with different seeds.
const MEASURED: (Duration, u64) = (Duration::from_mins(5), 4);
/// The same with a flood, where the measurement ends early with the flood's last delivery.
const MEASURED_WITH_FLOOD: (Duration, u64) = (Duration::from_mins(1), 20);

/// The webhooks besides the quiet one.
#[derive(Debug, Clone, Copy, Default)]
struct Neighbours {
    /// Another tenant's webhook gets [`FLOOD`] events at once.
    flood: bool,
    /// The number of a third tenant's webhooks that hang, and their events.
    hanging: Option<(usize, Events)>,
}

struct Case {
    label: &'static str,
    queue: &'static str,
    neighbours: Neighbours,
    settings: Settings,
    /// The range of the quiet webhook's 99th percentile, in seconds.
    p99: Range<f64>,
}

/// The deployed settings, with pollers added one at a time.
fn deployed_settings() -> Settings {
    let template = Template::read();
    let mapping = &template.resource("SenderFunction")["Properties"]["Events"]["Delivery"];
    let concurrency = template.default_of("SenderMaximumConcurrency");
    Settings {
        batch_size: number(&mapping["Properties"]["BatchSize"]),
        max_concurrency: number(concurrency),
        grouping: Grouping::ByTenant,
        scaling: Scaling { every: Duration::from_millis(200), by: 1 },
    }
}

fn number<T: TryFrom<u64>>(value: &serde_json::Value) -> T {
    let number = value.as_u64().and_then(|number| number.try_into().ok());
    number.unwrap_or_else(|| panic!("{value} in the template is not a number"))
}

fn cases() -> Vec<Case> {
    let second = Duration::from_secs(1);
    let none = Neighbours::default();
    let flood = Neighbours { flood: true, hanging: None };
    let hanging = Neighbours { flood: false, hanging: Some((1, Events::Steady(second))) };
    let both = Neighbours { flood: true, ..hanging };
    let busier = Neighbours { hanging: Some((1, Events::Steady(second / 4))), ..both };
    let crowd = Neighbours { hanging: Some((50, Events::Regular(2 * second))), ..none };
    let unsteady = Neighbours { hanging: Some((50, Events::Steady(2 * second))), ..none };

    let deployed = deployed_settings();
    let by_the_minute = Scaling { every: Duration::from_mins(1), by: 300 };
    let by_the_minute = Settings { scaling: by_the_minute, ..deployed };
    let by_webhook = Settings { grouping: Grouping::ByWebhook, ..deployed };
    let no_groups = Settings { grouping: Grouping::None, ..deployed };
    let two = Settings { max_concurrency: 2, ..deployed };
    [
        ("nobody", "as deployed", none, deployed, 0.0..0.11),
        ("a flood", "as deployed", flood, deployed, 0.0..1.0),
        ("one that hangs", "as deployed", hanging, deployed, 0.0..1.0),
        ("a flood and one that hangs", "as deployed", both, deployed, 0.0..1.0),
        (
            "a flood and one that hangs",
            "pollers added once a minute",
            both,
            by_the_minute,
            1.0..10.0,
        ),
        ("a flood and one that hangs", "no groups", both, no_groups, 5.0..f64::INFINITY),
        ("a flood and one that hangs", "MaximumConcurrency 2", both, two, 5.0..f64::INFINITY),
        ("both, four hanging events a second", "as deployed", busier, deployed, 1.0..10.0),
        ("50 of one tenant that hang", "as deployed", crowd, deployed, 0.0..1.5),
        ("50, documents at any time", "as deployed", unsteady, deployed, 1.5..5.0),
        ("50 of one tenant that hang", "groups by webhook", crowd, by_webhook, 60.0..f64::INFINITY),
    ]
    .map(|(label, queue, neighbours, settings, p99)| Case {
        label,
        queue,
        neighbours,
        settings,
        p99,
    })
    .into()
}

#[test]
fn a_fair_queue_keeps_a_quiet_webhook_from_waiting_for_its_neighbours() {
    let cases = cases();
    let waits: Vec<Vec<f64>> = cases.iter().map(Case::quiet_waits).collect();
    println!("{}", row("neighbours", "queue", ["p50 s", "p99 s", "longest s"]));
    println!("{}", row("---", "---", ["---:"; 3]));
    for (case, waits) in cases.iter().zip(&waits) {
        let figures = [50, 99, 100].map(|percent| quantile(waits, percent).unwrap());
        println!("{}", row(case.label, case.queue, figures.map(|it| format!("{it:.2}"))));
    }
    for (case, waits) in cases.iter().zip(&waits) {
        let p99 = quantile(waits, 99).unwrap();
        assert!(case.p99.contains(&p99), "{}, {}: {p99} s", case.label, case.queue);
    }
}

fn row(label: &str, queue: &str, [p50, p99, longest]: [impl Display; 3]) -> String {
    format!("| {label:<34} | {queue:<27} | {p50:>6} | {p99:>6} | {longest:>9} |")
}

#[test]
fn the_senders_max_receives_equals_the_queues_max_receive_count() {
    let template = Template::read();
    let queue = &template.resource("DeliveryQueue")["Properties"];
    assert_eq!(number::<u32>(&queue["RedrivePolicy"]["maxReceiveCount"]), MAX_RECEIVES);
}

#[test]
fn the_senders_reserved_concurrency_is_that_of_its_event_source_and_off_by_default() {
    let template = Template::read();
    let sender = &template.resource("SenderFunction")["Properties"];
    let maximum =
        &sender["Events"]["Delivery"]["Properties"]["ScalingConfig"]["MaximumConcurrency"];
    assert_eq!(maximum, &json!({"Ref": "SenderMaximumConcurrency"}));
    assert_eq!(
        sender["ReservedConcurrentExecutions"],
        json!({"Fn::If": ["ReservesSender", maximum, {"Ref": "AWS::NoValue"}]})
    );
    assert_eq!(template.default_of("ReserveSenderConcurrency"), "false");
}

#[test]
fn the_visibility_timeout_is_longer_than_two_attempts() {
    let template = Template::read();
    let queue = &template.resource("DeliveryQueue")["Properties"];
    assert!(Duration::from_secs(number(&queue["VisibilityTimeout"])) > 2 * ATTEMPT_TIMEOUT);
}

#[test]
fn a_quantile_is_one_of_the_values() {
    let ordered: Vec<_> = (1..=200).collect();
    let found = [1, 50, 99, 100].map(|percent| quantile(&ordered, percent));
    assert_eq!(found, [2, 100, 198, 200].map(Some));
    assert_eq!((quantile(&[7], 50), quantile::<u8>(&[], 50)), (Some(7), None));
}

impl Case {
    /// Sorted seconds from queueing to delivery of the quiet webhook's measured events.
    fn quiet_waits(&self) -> Vec<f64> {
        let events = Events::Steady(QUIET);
        let mut webhooks = vec![Webhook { tenant: 0, endpoint: Endpoint::Answers, events }];
        if let Some((count, events)) = self.neighbours.hanging {
            webhooks.extend(vec![Webhook { tenant: 1, endpoint: Endpoint::Hangs, events }; count]);
        }
        if self.neighbours.flood {
            let events = Events::AtOnce(WARM_UP, FLOOD);
            webhooks.push(Webhook { tenant: 2, endpoint: Endpoint::Answers, events });
        }
        let flooded = self.neighbours.flood.then(|| webhooks.len() - 1);
        let (length, runs) = if self.neighbours.flood { MEASURED_WITH_FLOOD } else { MEASURED };
        let until = WARM_UP + length;
        let mut waits = Vec::new();
        for seed in 0..runs {
            let deliveries = run(self.settings, &webhooks, until, seed).deliveries;
            let of_flood = deliveries.iter().filter(|it| Some(it.webhook) == flooded);
            let end = of_flood.map(|it| it.delivered_at).max().unwrap_or(until);
            let quiet = deliveries.iter().filter(|it| it.webhook == 0);
            let measured = quiet.filter(|it| (WARM_UP..end).contains(&it.queued_at));
            waits.extend(
                measured.map(|it| it.delivered_at.saturating_sub(it.queued_at).as_secs_f64()),
            );
        }
        waits.sort_by(f64::total_cmp);
        waits
    }
}

/// The nearest-rank percentile of the sorted values.
fn quantile<T: Copy>(ordered: &[T], percent: usize) -> Option<T> {
    let rank = (ordered.len() * percent).div_ceil(100);
    ordered.get(rank.checked_sub(1)?).copied()
}
