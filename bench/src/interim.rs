//! Endpoints that send interim responses (`103`, `103`, …) without end: what they cost a neighbour's delivery, on as
//! little processor as Lambda gives a function of 256 MB.
//!
//! The rule: the neighbour is compared with itself beside as many endpoints that are merely silent.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::fixtures::{Message, WebhookKey, batch_of};
use harness::{Act, FakeAws, Function, Receiver, after, status};

use crate::bench::Bench;
use crate::progress;
use crate::share::Share;
use crate::table::{Cell, Table};

/// The part of a processor that a Lambda function of 256 MB has.
const PROCESSOR: f64 = 0.15;
/// Endpoints that misbehave; with the neighbour one more than a batch of the queue can hold.
const ENDPOINTS: usize = 10;
/// How long the neighbour takes to answer.
const NEIGHBOUR: Duration = Duration::from_millis(50);

/// What one invocation came to.
struct Seen {
    invocation: Duration,
    /// How long the attempts at the endpoints that misbehave lasted.
    attempts: Vec<Duration>,
    neighbour: Duration,
}

/// Measures both ways.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let rounds = bench.or_quick(5, 2);
    let columns = ["ten endpoints", "their attempts s", "invocation s", "neighbour's attempt ms"];
    let mut table =
        Table::new("A delivery beside ten endpoints that never end an answer", &columns);
    let silence = Act::Wait(Duration::from_mins(1));
    // As fast as they are read.
    let responses = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let storm = Act::Repeat(responses.into(), Duration::ZERO);
    for (name, act) in [("say nothing", silence), ("send interim responses", storm)] {
        let (mut attempts, mut invocations, mut neighbour) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=rounds {
            progress::say(format_args!("interim, {name}, round {round} of {rounds}"));
            let seen = measure(bench, &act).await?;
            attempts.extend(seen.attempts.iter().map(Duration::as_secs_f64));
            invocations.push(seen.invocation.as_secs_f64());
            neighbour.push(seen.neighbour.as_secs_f64() * 1e3);
        }
        table.row([
            Cell::text(name),
            Cell::extremes(attempts, 1),
            Cell::extremes(invocations, 1),
            Cell::extremes(neighbour, 0),
        ]);
    }
    table.note(format!(
        "Median (lowest–highest) of {rounds} senders with {PROCESSOR} of a processor, in periods of 100 ms, over TLS. \
         The neighbour answers after {} ms. To be reached: attempts that end by 10.5 s, and a neighbour's \
         that lasts at most twice as long.",
        NEIGHBOUR.as_millis()
    ));
    Ok(vec![table])
}

async fn measure(bench: &Bench, act: &Act) -> Result<Seen> {
    let aws = FakeAws::start().await;
    aws.record();
    let tls = || Some(bench.tls.clone());
    let good = Receiver::counting(after(NEIGHBOUR, status(200)), tls()).await;
    let mut endpoints = Vec::new();
    let mut targets = Vec::new();
    for _ in 0..ENDPOINTS {
        let endpoint = Receiver::counting(vec![act.clone()], tls()).await;
        let target = WebhookKey::random();
        aws.put_webhook(target.row(&endpoint.url()));
        endpoints.push(endpoint);
        targets.push(target);
    }
    let neighbour = WebhookKey::random();
    aws.put_webhook(neighbour.row(&good.url()));
    targets.push(neighbour);

    let mut sender = Function::start(&bench.sender(&aws)?, bench.cores).await?;
    let share = Share::of(sender.process.pid(), PROCESSOR);
    // A first delivery makes the connections to AWS.
    sender.invoke(batch_of(&[Message::new(0, neighbour)])).await?;
    let before = aws.logged().len();
    let messages: Vec<_> =
        (1..).zip(&targets).map(|(n, target)| Message::new(n, *target)).collect();
    let invocation = sender.invoke(batch_of(&messages)).await?.took;
    drop(share);

    let mut attempts = Vec::new();
    let mut delivered = None;
    for row in aws.logged().iter().skip(before) {
        let millis = row["attempts"][0]["duration_ms"].as_u64().context("an attempt has none")?;
        let duration = Duration::from_millis(millis);
        if row["webhook_config_id"] == neighbour.webhook.to_string() {
            delivered = Some(duration);
        } else {
            attempts.push(duration);
        }
    }
    ensure!(attempts.len() == ENDPOINTS, "{} attempts were logged", attempts.len());
    let neighbour = delivered.context("the neighbour's delivery was not logged")?;
    Ok(Seen { invocation, attempts, neighbour })
}
