//! What lists of deliveries and replays read as a webhook's delivery log grows.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::fixtures::{
    LISTS, NOTHING_FAILED, WebhookKey, api_key_row, delivery_rows, first_slice, get, replay_row,
};
use harness::{FakeAws, Function, Unit};
use serde_json::Value;

use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, number, quartiles};

/// Delivered rows of a short, a longer and a long log.
const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
/// Failed rows of each log.
const FAILED: u32 = 100;
/// Deliveries per second of the replay.
const RATE: u32 = 500;

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
    let mut lists = LISTS.map(|_| Vec::new());
    let mut slices = Vec::new();
    for size in SIZES {
        progress::step(format_args!("log: {size} deliveries"));
        let aws = FakeAws::start().await;
        aws.keep_deliveries();
        let target = WebhookKey::random();
        aws.put_webhook(target.row("https://hooks.example.com/docintell"));
        aws.put_api_key(api_key_row(target.tenant));
        delivery_rows(target, size, FAILED).for_each(|row| aws.put_delivery(&row));
        let mut api = Function::start(&bench.program("api", &aws)?, Some(bench.cores)).await?;
        for ((_, query), list) in LISTS.iter().zip(&mut lists) {
            let path = format!("/v1/webhooks/{}/deliveries?{query}", target.webhook);
            list.push(reads_of_list(bench, &aws, &mut api, &path).await?);
        }
        slices.push(reads_of_slice(bench, &aws, target).await?);
    }
    let title = "What do lists of deliveries and replays read as the log grows?";
    let sizes = SIZES.map(|size| format!("ms at {}", number(f64::from(size), 0)));
    let columns = ["work", "requests to AWS", "rows looked at", "read units"].into_iter();
    let columns: Vec<&str> = columns.chain(sizes.iter().map(String::as_str)).collect();
    let mut table = Table::new(title, &columns);
    let names = LISTS.iter().map(|(name, _)| *name).chain(["a replay of what failed"]);
    for (name, measured) in names.zip(lists.into_iter().chain([slices])) {
        let (reads, times): (Vec<Reads>, Vec<String>) = measured.into_iter().unzip();
        let first = reads[0];
        ensure!(
            reads.iter().all(|it| *it == first),
            "{name} reads more from a longer log: {reads:?}"
        );
        let counts = [first.requests, first.rows, first.units].map(|count| count.to_string());
        table.row(name, counts.into_iter().chain(times));
    }
    table.note(format!(
        "Each log has also {FAILED} failed deliveries, and nothing of the one document, so that its list looks at as many \
         rows as a request may. The counts are the same in each log, and include the key, the webhook, and the replay's \
         own row and messages. A replay of {RATE} a second starts a chain for each failed delivery. Times are those of the function and of the fake AWS, which answers from memory; for lists, the median (quartiles) of {} requests.",
        repetitions(bench),
    ));
    Ok(table.to_string())
}

fn repetitions(bench: &Bench) -> usize {
    bench.or_quick(31, 11)
}

/// The usage of a list, and its time.
async fn reads_of_list(
    bench: &Bench,
    aws: &FakeAws,
    api: &mut Function,
    path: &str,
) -> Result<(Reads, String)> {
    Reads::since_last(aws);
    ask(api, path).await?;
    let reads = Reads::since_last(aws);
    let mut millis = Vec::new();
    for _ in 0..repetitions(bench) {
        millis.push(ask(api, path).await?.as_secs_f64() * 1000.0);
    }
    Ok((reads, quartiles(millis, 1)))
}

/// The usage of a replay's only slice, and its time.
async fn reads_of_slice(
    bench: &Bench,
    aws: &FakeAws,
    target: WebhookKey,
) -> Result<(Reads, String)> {
    aws.put_replay(&replay_row(target, RATE));
    let mut replay = Function::start(&bench.program("replay", aws)?, Some(bench.cores)).await?;
    Reads::since_last(aws);
    let took = replay.invoke_expecting(first_slice(target), NOTHING_FAILED).await?;
    Ok((Reads::since_last(aws), number(took.as_secs_f64() * 1000.0, 1)))
}

impl Reads {
    fn since_last(aws: &FakeAws) -> Self {
        let usage = aws.take_usage();
        let (requests, units) = (usage.total().calls, usage.units(Unit::Read));
        Self { requests, rows: aws.take_examined(), units }
    }
}

/// Makes a request and returns its time.
async fn ask(api: &mut Function, path: &str) -> Result<Duration> {
    let invocation = api.invoke(get(path)?).await?;
    let (Ok(answer) | Err(answer)) = invocation.answer;
    let answer: Value = serde_json::from_slice(&answer)?;
    ensure!(answer["statusCode"] == 200, "the api function answered {answer}");
    Ok(invocation.took)
}
