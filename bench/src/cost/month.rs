//! What a month costs, beside others that post events: `EventBridge` API destinations, and servers that run
//! all day. Pure.

use super::bill::{self, KEEPING, MAKING};
use super::case::Used;
use super::prices::{self, Price};
use crate::neighbours::template::TEMPLATE;
use crate::table::{Cell, Table};

/// Webhooks that there are, all tenants together.
const WEBHOOKS: f64 = 100.0;
/// Receives a month that an idle queue costs: by five pollers, each of which is taken to wait for 20 s.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
const IDLE_RECEIVES: f64 = 5.0 * 3.0 * 60.0 * 730.0;
/// Deliveries in a month.
const VOLUMES: [f64; 4] = [1e4, 1e6, 1e7, 1e8];
/// Servers, so that one can fail.
const SERVERS: f64 = 2.0;
/// Bytes of a server's disk, and of the database's when nothing is in the log.
const SERVER_DISK: f64 = 8e9;
const DATABASE_DISK: f64 = 20e9;

/// What is paid whether or not anything is delivered.
struct Fixed {
    name: &'static str,
    price: Price,
    amount: f64,
}

/// Ours; the alarms and the keys are those of the template.
fn ours() -> Vec<Fixed> {
    let in_template = |kind: &str| {
        u32::try_from(TEMPLATE.matches(&format!("Type: {kind}\n")).count()).map_or(0.0, f64::from)
    };
    vec![
        Fixed { name: "signing secrets of 100 webhooks", price: prices::SECRETS, amount: WEBHOOKS },
        Fixed {
            name: "the alarm topics' key",
            price: prices::KEYS,
            amount: in_template("AWS::KMS::Key"),
        },
        Fixed {
            name: "alarms",
            price: prices::ALARMS,
            amount: in_template("AWS::CloudWatch::Alarm"),
        },
        Fixed {
            name: "receives from an empty queue",
            price: prices::SQS_REQUESTS,
            amount: IDLE_RECEIVES,
        },
    ]
}

/// The servers' and their database's.
fn servers() -> Vec<Fixed> {
    vec![
        Fixed { name: "servers", price: prices::SERVER, amount: SERVERS },
        Fixed { name: "their disks", price: prices::SERVER_DISK, amount: SERVERS * SERVER_DISK },
        Fixed { name: "their addresses", price: prices::ADDRESS, amount: SERVERS },
        Fixed { name: "database", price: prices::DATABASE, amount: 1.0 },
        Fixed { name: "its disk", price: prices::DATABASE_DISK, amount: DATABASE_DISK },
    ]
}

fn total(fixed: &[Fixed]) -> f64 {
    fixed.iter().map(|it| it.price.of(it.amount)).sum()
}

/// What a month costs by how much is delivered, where batches are full and where each message comes alone.
#[must_use]
pub fn side_by_side(full: &Used, alone: &Used) -> Table {
    let columns = [
        "deliveries a month",
        "this system, full batches",
        "this system, batches of one",
        "EventBridge API destinations",
        "servers that run all day",
    ];
    let mut table = Table::new("A month, in dollars", &columns);
    for deliveries in VOLUMES {
        let ours = |used: &Used| {
            let each = bill::per_million(&MAKING, used) + bill::per_million(&KEEPING, used);
            total(&ours()) + each * deliveries / 1e6
        };
        let posted = bill::bytes_out(full) * deliveries / per_delivery(full);
        let data_out = prices::DATA_OUT.of(posted);
        let events = prices::EVENTS.of(deliveries) + prices::API_DESTINATIONS.of(deliveries);
        let log =
            prices::DATABASE_DISK.of(bill::bytes_kept(full) * deliveries / per_delivery(full));
        let dollars =
            [ours(full), ours(alone), events + data_out, total(&servers()) + log + data_out];
        let dollars = dollars.map(|dollars| Cell::number(dollars, 2));
        table.row(std::iter::once(Cell::number(deliveries, 0)).chain(dollars));
    }
    table.note(
        "This system with 100 webhooks, everything below and the log's storage for 30 days included. Queues \
         hand over full batches when there is a backlog and single messages when there is none: a month lies \
         between the two.",
    );
    table.note(
        "EventBridge: an event for each delivery, and the post; no log, no signature by secret, and what brings \
         a job's change onto the bus is not counted. Its connections' secrets cost nothing extra.",
    );
    table.note(
        "The servers are a size of our choice and not measured: two t4g.small, one db.t4g.micro in one zone, \
         the log in it. Nobody's time to run them is counted.",
    );
    table
}

fn per_delivery(used: &Used) -> f64 {
    u32::try_from(used.deliveries).map_or(f64::NAN, f64::from)
}

/// What is paid when nothing is delivered.
#[must_use]
pub fn idle() -> Table {
    let columns = ["", "what", "dollars a month"];
    let mut table = Table::new("A month in which nothing is delivered, in dollars", &columns);
    for (whose, fixed) in [("this system", ours()), ("servers", servers())] {
        for it in &fixed {
            let dollars = Cell::number(it.price.of(it.amount), 2);
            table.row([Cell::text(whose), Cell::text(it.name), dollars]);
        }
        table.row([Cell::text(whose), Cell::text("total"), Cell::number(total(&fixed), 2)]);
    }
    table.note(
        "Of the receives, AWS gives away the first million requests of each month; here no free tier is \
         subtracted anywhere.",
    );
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_a_key_and_an_alarm_for_each_kind_of_failure() {
        let amounts: Vec<f64> = ours().iter().map(|it| it.amount).collect();
        assert_eq!(amounts[1..3], [1.0, 2.0]);
    }

    #[test]
    fn a_hundred_secrets_are_most_of_what_an_idle_system_costs() {
        let idle = total(&ours());
        assert!((41.0..42.0).contains(&idle), "{idle}");
    }

    #[test]
    fn servers_cost_the_same_whatever_they_do() {
        let idle = total(&servers());
        assert!((47.0..48.0).contains(&idle), "{idle}");
    }
}
