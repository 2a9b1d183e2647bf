//! What lists of deliveries read as a webhook's delivery log grows.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::fixtures::{LISTS, WebhookKey, api_key_row, delivery_rows, get};
use harness::{FakeAws, Function, Unit};
use serde_json::Value;

use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, number, quartiles};

/// Delivered rows of a short, a longer and a long log.
const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
/// Failed rows of each log.
const FAILED: u32 = 100;

/// The usage of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reads {
    /// Requests to AWS.
    requests: u64,
    /// Rows that they look at.
    rows: u64,
    /// Read units.
    units: u64,
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let mut measured = LISTS.map(|_| Vec::new());
    for size in SIZES {
        progress::step(format_args!("log: {size} deliveries"));
        let aws = FakeAws::start().await;
        aws.keep_deliveries();
        let target = WebhookKey::random();
        aws.put_webhook(target.row("https://hooks.example.com/docintell"));
        aws.put_api_key(api_key_row(target.tenant));
        delivery_rows(target, size, FAILED).for_each(|row| aws.put_delivery(&row));
        let mut api = Function::start(&bench.program("api", &aws)?, Some(bench.cores)).await?;
        for ((_, query), measured) in LISTS.iter().zip(&mut measured) {
            let path = format!("/v1/webhooks/{}/deliveries?{query}", target.webhook);
            measured.push(list(bench, &aws, &mut api, &path).await?);
        }
    }
    let title = "What does a list of deliveries read as the log grows?";
    let sizes = SIZES.map(|size| format!("ms at {}", number(f64::from(size), 0)));
    let columns = ["list", "requests to AWS", "rows looked at", "read units"].into_iter();
    let columns: Vec<&str> = columns.chain(sizes.iter().map(String::as_str)).collect();
    let mut table = Table::new(title, &columns);
    for ((name, _), measured) in LISTS.iter().zip(measured) {
        let (reads, times): (Vec<Reads>, Vec<String>) = measured.into_iter().unzip();
        let first = reads[0];
        ensure!(
            reads.iter().all(|it| *it == first),
            "{name} reads more from a longer log: {reads:?}"
        );
        let counts = [first.requests, first.rows, first.units].map(|count| count.to_string());
        table.row(*name, counts.into_iter().chain(times));
    }
    table.note(format!(
        "Each log has also {FAILED} failed deliveries, and nothing of the one document, so that its list looks at as many \
         rows as a request may. The counts, which are the same in each log, include the key and the webhook. Times are \
         those of the function and of the fake AWS, which answers from memory: median (quartiles) of {} requests.",
        repetitions(bench),
    ));
    Ok(table.to_string())
}

fn repetitions(bench: &Bench) -> usize {
    bench.or_quick(31, 11)
}

/// The usage of a list, and its time.
async fn list(
    bench: &Bench,
    aws: &FakeAws,
    api: &mut Function,
    path: &str,
) -> Result<(Reads, String)> {
    drop((aws.take_usage(), aws.take_examined()));
    ask(api, path).await?;
    let (usage, rows) = (aws.take_usage(), aws.take_examined());
    let reads = Reads { requests: usage.total().calls, rows, units: usage.units(Unit::Read) };
    let mut millis = Vec::new();
    for _ in 0..repetitions(bench) {
        millis.push(ask(api, path).await?.as_secs_f64() * 1000.0);
    }
    Ok((reads, quartiles(millis, 1)))
}

/// Makes a request and returns its time.
async fn ask(api: &mut Function, path: &str) -> Result<Duration> {
    let invocation = api.invoke(get(path)?).await?;
    let (Ok(answer) | Err(answer)) = invocation.answer;
    let answer: Value = serde_json::from_slice(&answer)?;
    ensure!(answer["statusCode"] == 200, "the api function answered {answer}");
    Ok(invocation.took)
}
