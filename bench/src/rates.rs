//! Deliveries per second of the real sender on one processor, compared with bare loops of posts under the same
//! conditions.

use std::time::Duration;

use anyhow::Result;
use harness::fixtures::{NOTHING_FAILED, WebhookKey, batches};
use harness::{Cost, FakeAws, Function, Receiver, after, answer_and_close, status};

use crate::bare::{Bare, By};
use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, range};

/// One set of conditions.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    /// Messages in a batch, all in flight at the same time.
    batch: usize,
    /// Webhooks that the messages of a batch are for, in turn.
    webhooks: usize,
    /// Senders that share the processor, each with its own batches.
    environments: usize,
    /// How long the endpoint takes to answer.
    wait: Duration,
    /// The endpoint uses TLS.
    tls: bool,
    /// The endpoint keeps its connections open.
    kept: bool,
    /// A quick run measures this case too.
    quick: bool,
}

/// Full batches as in template.yaml, all for one webhook. With two senders, the processor is busy while one of
/// them waits for AWS.
const HEADLINE: Case = Case {
    name: "batches of 10",
    batch: 10,
    webhooks: 1,
    environments: 2,
    wait: Duration::ZERO,
    tls: false,
    kept: true,
    quick: true,
};

/// With one sender, the processor is idle while the sender waits.
const ALONE: Case = Case { name: "one environment", environments: 1, ..HEADLINE };
const NEW_CONNECTIONS: Case = Case { tls: true, kept: false, quick: false, ..ALONE };

/// Response time of a slow endpoint.
const SLOW: Duration = Duration::from_millis(50);

const CASES: [Case; 9] = [
    HEADLINE,
    Case { name: "… to 10 webhooks in turn", webhooks: 10, ..HEADLINE },
    Case { name: "… over TLS", tls: true, ..HEADLINE },
    ALONE,
    Case { name: "… over TLS, a new connection each", ..NEW_CONNECTIONS },
    Case { name: "… batches of 1", batch: 1, quick: false, ..ALONE },
    Case { name: "… batches of 1 over TLS, a new connection each", batch: 1, ..NEW_CONNECTIONS },
    Case { name: "… batches of 100", batch: 100, quick: false, ..ALONE },
    Case { name: "… endpoint takes 50 ms", wait: SLOW, ..ALONE },
];

/// Times that all cases are measured.
const ROUNDS: usize = 3;

/// Results of repeated measurements.
#[derive(Debug, Default)]
struct Series {
    /// Deliveries per second.
    rate: Vec<f64>,
    /// Processor time of each delivery, in microseconds.
    cpu: Vec<f64>,
    /// The rate divided by that of a loop that signs nothing, and by that of a loop that makes both signatures.
    shares: [Vec<f64>; 2],
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let cases: Vec<Case> = CASES.into_iter().filter(|case| case.quick || !bench.quick).collect();
    let mut measured: Vec<Series> = cases.iter().map(|_| Series::default()).collect();
    for round in 1..=ROUNDS {
        for (case, series) in cases.iter().zip(&mut measured) {
            progress::step(format_args!("rates, round {round} of {ROUNDS}: {}", case.name));
            for _ in 0..case.repetitions() {
                case.measure(bench, series).await?;
            }
        }
    }
    let title = "How many deliveries per second does a sender make on one processor?";
    let columns =
        ["conditions", "deliveries/s", "CPU µs each", "of bare reqwest", "of reqwest that signs"];
    let mut table = Table::new(title, &columns);
    for (case, Series { rate, cpu, shares: [bare, signed] }) in cases.iter().zip(measured) {
        let figures = [range(rate, 0), range(cpu, 1), range(bare, 2), range(signed, 2)];
        table.row(case.name, figures);
    }
    table.note(
        "Median (lowest–highest). The first three rows have two environments on the processor. The others have \
         one, so the processor is idle while it waits for AWS. The last two columns divide the rate by that of a \
         loop that posts the same bytes with the same number in flight, measured right after it.",
    );
    Ok(table.to_string())
}

impl Case {
    /// Measurements per round. The first rows matter most and need more: on a shared machine, three
    /// measurements say little.
    fn repetitions(self) -> usize {
        if self.environments > 1 { 5 } else { 1 }
    }

    /// Batches per environment that take about half a second, or about two responses of a slow endpoint.
    fn batches(self) -> usize {
        let batches_of_10 = match (self.wait.as_millis(), self.kept) {
            (0, true) => 1000,
            (0, false) => 100,
            (millis, _) => 500 / usize::try_from(millis).unwrap_or(500),
        };
        (batches_of_10 * 10 / self.batch.max(10) / self.environments).max(2)
    }

    /// Posts in flight at the same time.
    fn in_flight(self) -> usize {
        self.batch * self.environments
    }

    /// Runs the real sender and then both loops.
    async fn measure(self, bench: &Bench, series: &mut Series) -> Result<()> {
        let answer = if self.kept { status(200) } else { answer_and_close(200) };
        let tls = self.tls.then(|| bench.tls.clone());
        let receiver = Receiver::counting(after(self.wait, answer), tls).await;
        let (cost, posts) = self.sender(bench, &receiver).await?;
        let rate = cost.rate(posts);
        series.rate.push(rate);
        series.cpu.push(cost.cpu_micros(posts));
        for (by, share) in [By::Reqwest, By::Signed].into_iter().zip(&mut series.shares) {
            share.push(rate / self.bare_rate(by, bench, &receiver).await?);
        }
        Ok(())
    }

    /// Runs the real senders. Returns the cost and the number of posts.
    async fn sender(self, bench: &Bench, receiver: &Receiver) -> Result<(Cost, usize)> {
        let aws = FakeAws::start().await;
        let targets = WebhookKey::several(self.webhooks);
        for target in &targets {
            aws.put_webhook(target.row(&receiver.url()));
        }
        let program = bench.sender(&aws)?;
        let warm_up = if self.wait.is_zero() { (1000 / self.batch).min(100) } else { 1 };
        let mut events = batches(&targets, self.batch, warm_up + self.batches())?;
        let measured = events.split_off(warm_up);
        let mut senders = Vec::new();
        for _ in 0..self.environments {
            let sender = Function::start(&program, Some(bench.cores)).await?;
            sender.process.interrupt_nobody()?;
            senders.push(sender);
        }
        Function::run_all(&mut senders, &events, NOTHING_FAILED).await?;
        receiver.take_posts((events.len() * self.in_flight()) as u64)?;
        let posts = measured.len() * self.in_flight();
        let cost = Function::run_all(&mut senders, &measured, NOTHING_FAILED).await?;
        receiver.take_posts(posts as u64)?;
        Ok((cost, posts))
    }

    /// Posts per second of a bare loop.
    async fn bare_rate(self, by: By, bench: &Bench, receiver: &Receiver) -> Result<f64> {
        let least = match (self.wait.is_zero(), self.kept) {
            (true, true) => 5_000,
            (true, false) => 1_000,
            (false, _) => 0,
        };
        let bare = Bare {
            url: receiver.url(),
            authority: Some(bench.authority.file().to_owned()),
            in_flight: self.in_flight(),
            posts: (self.batches() * self.in_flight()).max(least),
            warm_up: if self.wait.is_zero() { 1000 } else { self.in_flight() },
            by,
        };
        let cost = bare.run(Some(bench.cores)).await?;
        receiver.take_posts((bare.warm_up + bare.posts) as u64)?;
        Ok(cost.rate(bare.posts))
    }
}
