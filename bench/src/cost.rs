//! What deliveries cost on AWS: every request is counted, with the real fanout and the real sender, and
//! priced from one table.
//!
//! [`case`] makes the deliveries and plays the queue and its pollers, [`environment`] is what Lambda bills.
//! [`prices`] is the price list, [`bill`] multiplies, [`month`] compares, and [`budget`] says how many requests
//! there may be.

pub mod bill;
pub mod budget;
pub mod case;
pub mod environment;
pub mod month;
pub mod prices;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use harness::fixtures::GUIDES_BODY;
use harness::{Operation, Unit};

use crate::bench::Bench;
use crate::table::{Cell, Table};
use bill::{KEEPING, MAKING};
use budget::Budget;
use case::{Case, Used};

/// Counts and prices every case.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let deliveries = bench.or_quick(1000, 200);
    let mut counted: Vec<(Case, Used)> = Vec::new();
    for case in case::ALL {
        crate::progress::say(format_args!("cost: {deliveries} deliveries, {}", case.name));
        let used = case.run(bench, deliveries).await?;
        if case.failing.is_none() {
            Budget::of(case, deliveries).check(&used.aws).with_context(|| case.name.to_owned())?;
        }
        counted.push((case, used));
    }
    let [.., (_, alone)] = counted.as_slice() else { unreachable!("there are cases") };
    let (_, happy) = &counted[0];
    Ok(vec![
        dollars(&counted, deliveries),
        requests(&counted),
        month::side_by_side(happy, alone),
        month::idle(),
        price_list(),
    ])
}

fn columns(first: &'static str, counted: &[(Case, Used)]) -> Vec<&'static str> {
    std::iter::once(first).chain(counted.iter().map(|(case, _)| case.name)).collect()
}

fn row(table: &mut Table, name: &str, counted: &[(Case, Used)], cell: impl Fn(&Used) -> Cell) {
    let cells = counted.iter().map(|(_, used)| cell(used));
    table.row(std::iter::once(Cell::text(name)).chain(cells));
}

fn dollars(counted: &[(Case, Used)], deliveries: usize) -> Table {
    let title = "A million deliveries, in dollars";
    let mut table = Table::new(title, &columns("paid for", counted));
    for line in &MAKING {
        row(&mut table, line.name, counted, |used| Cell::number(line.per_million(used), 3));
    }
    row(&mut table, "total", counted, |used| Cell::number(bill::per_million(&MAKING, used), 3));
    for line in &KEEPING {
        let name = format!("the log for 30 days: {}", line.name);
        row(&mut table, &name, counted, |used| Cell::number(line.per_million(used), 3));
    }
    table.note(format!(
        "From {deliveries} deliveries in each case by the real functions, starting from nothing; list prices of \
         us-east-1, no free tier. The endpoint takes 50 ms unless said otherwise; batches of {} of the queue \
         and {} of the stream, all full; bodies of {} bytes.",
        case::HAPPY.batch,
        case::HAPPY.records,
        GUIDES_BODY.len(),
    ));
    table.note(format!(
        "Lambda time: waiting is waited for, 5 ms for each call to AWS (assumed); processor time is measured here \
         and stretched to what {} MB get of a processor, {0} of 1,769.",
        environment::memory_mb(),
    ));
    table.note(format!(
        "What Lambda's pollers ask of the queue is by rule: one receive and one delete for each batch. Reading the \
         stream and moving what failed for good to the dead-letter queue cost nothing. Data out: the posts as HTTP \
         writes them and {} bytes each around that. Each environment reads each secret once; \
         slow endpoints and batches of one were given to ten environments.",
        bill::AROUND_A_POST,
    ));
    table
}

fn requests(counted: &[(Case, Used)]) -> Table {
    let title = "Requests to AWS for each delivery";
    let mut table = Table::new(title, &columns("request", counted));
    let operations: BTreeSet<Operation> = counted
        .iter()
        .flat_map(|(_, used)| used.aws.iter().map(|(operation, _)| operation))
        .collect();
    let each = |count: u64, used: &Used| per(count, used.deliveries);
    for operation in operations {
        row(&mut table, &format!("{operation:?}"), counted, |used| {
            Cell::number(each(used.aws.of(operation).calls, used), 3)
        });
    }
    row(&mut table, "all", counted, |used| Cell::number(each(used.aws.total().calls, used), 3));
    for (name, unit) in [("write units", Unit::Write), ("read units", Unit::Read)] {
        row(&mut table, name, counted, |used| Cell::number(each(used.aws.units(unit), used), 3));
    }
    row(&mut table, "posts", counted, |used| Cell::number(each(used.posts, used), 3));
    row(&mut table, "billed ms of an invocation of the sender", counted, |used| {
        let millis = used.sender.billed.as_secs_f64() * 1e3;
        Cell::number(millis / per(used.sender.invocations, 1), 1)
    });
    row(&mut table, "bytes written to logs", counted, |used| {
        Cell::number(each(used.fanout.log_bytes + used.sender.log_bytes, used), 1)
    });
    row(&mut table, "bytes of a row in the log", counted, |used| {
        Cell::number(each(used.stored.bytes, used), 0)
    });
    table
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn per(count: u64, deliveries: usize) -> f64 {
    count as f64 / deliveries as f64
}

fn price_list() -> Table {
    let mut table =
        Table::new("The prices, us-east-1", &["what", "dollars", "for each", "where AWS says it"]);
    for price in prices::ALL {
        table.row([
            Cell::text(price.what),
            Cell::text(price.dollars.to_string()),
            Cell::text(price.unit),
            Cell::text(price.page),
        ]);
    }
    table
}
