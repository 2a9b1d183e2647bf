//! What deliveries cost on AWS: counts every request of the real fanout and the real sender, and multiplies by
//! list prices.
//!
//! [`case`] makes the deliveries and simulates the queue and its pollers, [`again`] makes those that do not succeed at
//! once, [`environment`] computes what Lambda bills, [`prices`] is the price list, [`bill`] multiplies, and [`month`]
//! computes a month's cost.

mod again;
mod bill;
mod case;
mod environment;
mod month;
mod prices;

use anyhow::Result;

use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, number};
use bill::{KEEPING, MAKING};
use case::Used;

/// Counts and prices every case.
pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let deliveries = bench.or_quick(1000, 200);
    let mut counted = Vec::new();
    for case in case::ALL {
        progress::step(format_args!("cost: {deliveries} deliveries, {}", case.name));
        counted.push(case.run(bench, deliveries).await?);
    }
    let [full, .., single] = counted.as_slice() else { unreachable!("there are several cases") };
    let again = again::measure(bench, deliveries).await?;
    Ok(format!("{}\n{again}\n{}", million(&counted, deliveries), month::table(full, single)))
}

fn million(counted: &[Used], deliveries: usize) -> Table {
    let cases = case::ALL.map(|case| case.name);
    let columns = [&["paid for", "list price"], cases.as_slice()].concat();
    let mut table = Table::new("What do a million deliveries cost, in dollars?", &columns);
    let cells = |price: String, figure: &dyn Fn(&Used) -> f64| {
        let figures = counted.iter().map(|used| number(figure(used), 3));
        std::iter::once(price).chain(figures).collect::<Vec<_>>()
    };
    for line in MAKING {
        table.row(line.name, cells(line.price.to_string(), &|used| line.per_million(used)));
    }
    table.row("total", cells(String::new(), &|used| bill::per_million(&MAKING, used)));
    for line in KEEPING {
        table.row(line.name, cells(line.price.to_string(), &|used| line.per_million(used)));
    }
    let requests = |used: &Used| bill::float(used.aws.total().calls) / bill::float(used.deliveries);
    table.row("requests to AWS for each delivery", cells(String::new(), &requests));
    table.note(format!(
        "Each column is {deliveries} deliveries by the real functions, cold starts included, at list prices of \
         us-east-1 in November 2026 without free tier. Unless the column says otherwise, the endpoint takes 50 ms and \
         batches are full: {} messages of the queue, {} records of the stream. Lambda time has two parts. Waiting is \
         billed as measured, with an assumed {} ms for each call to AWS. Processor time is measured and scaled to \
         the share of a processor that {} MB get. We assume that Lambda's pollers make one receive and one delete \
         per batch. Each environment reads each secret once; slow endpoints and batches of one have ten \
         environments.",
        case::HAPPY.batch,
        case::HAPPY.records,
        case::AWS_LATENCY.as_millis(),
        environment::memory_mb(),
    ));
    table
}
