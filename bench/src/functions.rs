//! Requests per second of the api function, and deliveries per second that fanout queues, on one processor.

use std::iter::repeat_n;

use anyhow::{Result, ensure};
use harness::fixtures::{NOTHING_FAILED, WebhookKey, api_key_row, get, job_changes};
use harness::{Cost, FakeAws, Function, Operation, Program};
use hyper::body::Bytes;
use serde_json::Value;

use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, range};

/// Records in a batch of job changes.
const RECORDS: usize = 100;
/// Messages per request to the queue.
const MESSAGES: usize = 10;
/// Measured processes of each function.
const PROCESSES: usize = 3;

/// An event that a function handles repeatedly.
struct Work {
    name: &'static str,
    aws: FakeAws,
    program: Program,
    event: Bytes,
    /// The response to a successful invocation.
    expected: String,
    /// Deliveries queued per event; 0 for the api function.
    deliveries: usize,
    /// Approximate invocations per second.
    per_second: usize,
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let title = "How fast are the api function and fanout on one processor?";
    let mut table = Table::new(title, &["work", "per second", "CPU µs each"]);
    for work in [
        api(bench, "requests for one webhook", 1).await?,
        api(bench, "requests for a list of 20 webhooks", 20).await?,
        fanout(bench, "deliveries queued by fanout, one webhook", 1).await?,
        fanout(bench, "deliveries queued by fanout, ten webhooks", 10).await?,
    ] {
        progress::step(format_args!("functions: {}", work.name));
        let (mut rates, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..PROCESSES {
            let (cost, count) = work.measure(bench).await?;
            rates.push(cost.rate(count));
            cpu.push(cost.cpu_micros(count));
        }
        table.row(work.name, [range(rates, 0), range(cpu, 1)]);
    }
    table.note(format!(
        "Median (lowest–highest) of {PROCESSES} processes, each with one event at a time; \
         an event of fanout has {RECORDS} job changes of one tenant."
    ));
    Ok(table.to_string())
}

/// The response of a new api function to `event`, which must be a success.
pub(crate) async fn success(api: &Program, event: &Bytes) -> Result<String> {
    let answer = Function::start(api, None).await?.invoke(event.clone()).await?.answer;
    let (Ok(text) | Err(text)) = &answer;
    let text = String::from_utf8_lossy(text).into_owned();
    let read: Value = serde_json::from_str(&text).unwrap_or_default();
    ensure!(answer.is_ok() && read["statusCode"] == 200, "the api function answered {text}");
    Ok(text)
}

/// Requests of a tenant with `webhooks` webhooks: for the only one, or for a list.
async fn api(bench: &Bench, name: &'static str, webhooks: usize) -> Result<Work> {
    let (aws, targets) = account(webhooks).await?;
    aws.put_api_key(api_key_row(targets[0].tenant));
    let path = match targets.as_slice() {
        [only] => format!("/v1/webhooks/{}", only.webhook),
        _ => "/v1/webhooks".to_owned(),
    };
    let program = bench.program("api", &aws)?;
    let event = get(&path)?;
    let expected = success(&program, &event).await?;
    Ok(Work { name, aws, program, event, expected, deliveries: 0, per_second: 3000 })
}

/// Job changes of a tenant with `webhooks` webhooks.
async fn fanout(bench: &Bench, name: &'static str, webhooks: usize) -> Result<Work> {
    let (aws, targets) = account(webhooks).await?;
    let deliveries = RECORDS * webhooks;
    Ok(Work {
        name,
        program: bench.program("fanout", &aws)?,
        aws,
        event: job_changes(&[targets[0].tenant], RECORDS)?,
        expected: NOTHING_FAILED.to_owned(),
        deliveries,
        per_second: 30_000 / deliveries,
    })
}

/// An account with `webhooks` webhooks of one tenant, to which nothing is posted.
async fn account(webhooks: usize) -> Result<(FakeAws, Vec<WebhookKey>)> {
    let aws = FakeAws::start().await;
    let targets = WebhookKey::several(webhooks);
    for target in &targets {
        aws.put_webhook(target.row("https://hooks.example.com/docintell"));
    }
    Ok((aws, targets))
}

impl Work {
    /// The cost of about a second of this work, and the number of deliveries or requests in it.
    async fn measure(&self, bench: &Bench) -> Result<(Cost, usize)> {
        let invocations = self.per_second.div_ceil(bench.or_quick(1, 4));
        let mut function = Function::start(&self.program, Some(bench.cores)).await?;
        self.run(&mut function, invocations.div_ceil(10)).await?;
        let cost = self.run(&mut function, invocations).await?;
        Ok((cost, invocations * self.deliveries.max(1)))
    }

    async fn run(&self, function: &mut Function, invocations: usize) -> Result<Cost> {
        drop(self.aws.take_usage());
        let cost = function.run(repeat_n(self.event.clone(), invocations), &self.expected).await?;
        let requests = self.aws.take_usage().of(Operation::SendMessageBatch).calls;
        let expected = invocations * self.deliveries / MESSAGES;
        ensure!(
            requests == expected as u64,
            "{requests} requests to the queue instead of {expected}: {}",
            function.process.last_words()
        );
        Ok(cost)
    }
}
