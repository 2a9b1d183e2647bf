//! The cost of a month, compared with `EventBridge` API destinations. Pure.

use webhooks::metrics::Metric;

use super::bill::{self, KEEPING, MAKING};
use super::case::Used;
use super::prices::{self, Price};
use crate::table::{Table, number};
use crate::template;

/// Total webhooks of all tenants.
const WEBHOOKS: f64 = 100.0;
/// Receives per month from the two idle queues by five pollers each, assuming that each waits for 20 s.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
const IDLE_RECEIVES: f64 = 2.0 * 5.0 * 3.0 * 60.0 * 730.0;
/// Deliveries per month.
const VOLUMES: [f64; 3] = [1e4, 1e6, 1e8];

/// Fixed costs without any delivery, in dollars.
fn idle() -> [(&'static str, f64); 5] {
    let each = |price: Price, count: usize| price.of(bill::float(count as u64));
    let metrics = Metric::ALL.len() + template::count("AWS::Logs::MetricFilter");
    [
        ("the secrets of 100 webhooks", prices::SECRETS.of(WEBHOOKS)),
        ("the alarm topics' key", each(prices::KEYS, template::count("AWS::KMS::Key"))),
        ("alarms", each(prices::ALARMS, template::alarm_metrics())),
        ("metrics, if each is written every hour", each(prices::METRICS, metrics)),
        ("receives from two empty queues", prices::SQS_REQUESTS.of(IDLE_RECEIVES)),
    ]
}

/// Dollars by volume: with full batches, and with one message per batch.
pub(super) fn table(full: &Used, single: &Used) -> Table {
    let columns =
        ["deliveries a month", "full batches", "batches of one", "EventBridge API destinations"];
    let mut table = Table::new("What does a month cost with 100 webhooks, in dollars?", &columns);
    let idle = idle();
    let idle_total: f64 = idle.iter().map(|(_, dollars)| dollars).sum();
    for deliveries in VOLUMES {
        let ours = |used: &Used| {
            let million = bill::per_million(&MAKING, used) + bill::per_million(&KEEPING, used);
            idle_total + million * deliveries / 1e6
        };
        let posted = bill::bytes_out(full) * deliveries / bill::float(full.deliveries);
        let events = prices::EVENTS.of(deliveries) + prices::API_DESTINATIONS.of(deliveries);
        let figures = [ours(full), ours(single), events + prices::DATA_OUT.of(posted)];
        table.row(number(deliveries, 0), figures.map(|dollars| number(dollars, 2)));
    }
    let parts: Vec<String> =
        idle.iter().map(|(name, dollars)| format!("{name} {dollars:.2}")).collect();
    table.note(format!(
        "Log storage for 30 days is included. Without any delivery a month costs {idle_total:.2}: {}. The queue hands \
         over full batches when there is a backlog and single messages when there is none. EventBridge: an event and \
         a post for each delivery, without a log, a signature and the code that puts job changes onto \
         the bus.",
        parts.join(", ")
    ));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_a_key() {
        assert_eq!(template::count("AWS::KMS::Key"), 1);
    }

    #[test]
    fn secrets_are_most_of_the_cost_of_an_idle_system() {
        let total: f64 = idle().iter().map(|(_, dollars)| dollars).sum();
        assert!((54.0..56.0).contains(&total), "{total}");
    }
}
