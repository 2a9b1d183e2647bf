//! How many requests a second the api function answers on one processor, and how many deliveries fanout
//! queues.

use std::iter::repeat_n;

use anyhow::{Result, ensure};
use harness::fixtures::{NOTHING_FAILED, WebhookKey, api_key_row, get, job_changes};
use harness::{Cost, FakeAws, Function, Operation, Program};
use hyper::body::Bytes;
use serde_json::Value;

use crate::bench::Bench;
use crate::progress;
use crate::table::{Cell, Table};

/// Records in a batch of job changes.
const RECORDS: usize = 100;
/// Messages in one request to the queue.
const MESSAGES: usize = 10;

/// What a function is given again and again.
struct Work {
    name: String,
    aws: FakeAws,
    program: Program,
    event: Bytes,
    /// What it answers when nothing is wrong.
    expected: String,
    /// How many deliveries it queues for each event.
    deliveries: usize,
    /// How often in a second, roughly.
    per_second: usize,
}

/// Measures both functions.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let columns = ["function", "counted", "per second", "CPU µs each"];
    let mut table = Table::new("The api function and fanout on one processor", &columns);
    let rounds = 3;
    for work in [
        api(bench, 1).await?,
        api(bench, 20).await?,
        fanout(bench, 1).await?,
        fanout(bench, 10).await?,
    ] {
        let (mut rates, mut cpu) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            progress::say(format_args!("functions, round {round} of {rounds}: {}", work.name));
            let (rate, cpu_micros) = work.measure(bench).await?;
            rates.push(rate);
            cpu.push(cpu_micros);
        }
        let counted = if work.deliveries == 0 { "requests" } else { "deliveries queued" };
        table.row([
            Cell::text(work.name),
            Cell::text(counted),
            Cell::extremes(rates, 0),
            Cell::extremes(cpu, 1),
        ]);
    }
    table.note(format!(
        "Median (lowest–highest) of {rounds} processes, each given the next event when the last is answered. \
         Fanout's job changes are of a tenant with one webhook, and of one with ten."
    ));
    Ok(vec![table])
}

/// What a new api function answers to `event`; an error if that is not a success.
pub async fn success(api: &Program, event: &Bytes) -> Result<String> {
    let answer = Function::start(api, None).await?.invoke(event.clone()).await?.answer;
    let (Ok(text) | Err(text)) = &answer;
    let text = String::from_utf8_lossy(text).into_owned();
    let read: Value = serde_json::from_str(&text).unwrap_or_default();
    ensure!(answer.is_ok() && read["statusCode"] == 200, "the api function answered {text}");
    Ok(text)
}

/// Requests of a tenant with so many webhooks: for the only one, or for a list of them.
async fn api(bench: &Bench, webhooks: usize) -> Result<Work> {
    let (aws, targets) = account(webhooks).await?;
    aws.put_api_key(api_key_row(targets[0].tenant));
    let (name, path) = match targets.as_slice() {
        [only] => ("api: one webhook".to_owned(), format!("/v1/webhooks/{}", only.webhook)),
        many => (format!("api: list of {} webhooks", many.len()), "/v1/webhooks".to_owned()),
    };
    let program = bench.program("api", &aws)?;
    let event = get(&path)?;
    let expected = success(&program, &event).await?;
    Ok(Work { name, aws, program, event, expected, deliveries: 0, per_second: 3000 })
}

/// Job changes of a tenant with so many webhooks.
async fn fanout(bench: &Bench, webhooks: usize) -> Result<Work> {
    let (aws, targets) = account(webhooks).await?;
    let deliveries = RECORDS * webhooks;
    Ok(Work {
        name: format!("fanout: {RECORDS} job changes × {webhooks}"),
        program: bench.program("fanout", &aws)?,
        aws,
        event: job_changes(&[targets[0].tenant], RECORDS)?,
        expected: NOTHING_FAILED.to_owned(),
        deliveries,
        per_second: 30_000 / deliveries,
    })
}

/// An account with so many webhooks of one tenant.
async fn account(webhooks: usize) -> Result<(FakeAws, Vec<WebhookKey>)> {
    let aws = FakeAws::start().await;
    let targets = WebhookKey::several(webhooks);
    for target in &targets {
        // Nothing is posted there.
        aws.put_webhook(target.row("https://hooks.example.com/docintell"));
    }
    Ok((aws, targets))
}

impl Work {
    /// How many a second of what is counted, and processor time of each in microseconds.
    async fn measure(&self, bench: &Bench) -> Result<(f64, f64)> {
        let invocations = self.per_second.div_ceil(bench.or_quick(1, 4));
        let mut function = Function::start(&self.program, bench.cores).await?;
        self.run(&mut function, invocations.div_ceil(10)).await?;
        let cost = self.run(&mut function, invocations).await?;
        let count = invocations * self.deliveries.max(1);
        Ok((cost.rate(count), cost.cpu_micros(count)))
    }

    async fn run(&self, function: &mut Function, invocations: usize) -> Result<Cost> {
        drop(self.aws.take_usage());
        let cost = function.run(repeat_n(self.event.clone(), invocations), &self.expected).await?;
        let requests = self.aws.take_usage().of(Operation::SendMessageBatch).calls;
        let expected = invocations * self.deliveries / MESSAGES;
        ensure!(
            requests == expected as u64,
            "{requests} requests to the queue where {expected} were expected: {}",
            function.process.last_words()
        );
        Ok(cost)
    }
}
