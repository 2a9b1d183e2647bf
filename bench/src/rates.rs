//! How many deliveries a second the real sender makes on one processor with everything on, and what each
//! costs, beside the bare loop under the same conditions.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::aws::Aws;
use crate::bare::Bare;
use crate::bench::Bench;
use crate::function::{Cost, Function};
use crate::given::{self, NOTHING_FAILED, Target};
use crate::receiver::{Manner, Receiver};
use crate::spread::Spread;
use crate::table::{Cell, Table};

/// One set of conditions.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Messages in a batch, which are in flight together.
    pub batch: usize,
    /// How long the endpoint takes to answer.
    pub wait: Duration,
    /// Whether it is called over TLS.
    pub tls: bool,
    /// Whether it keeps its connections.
    pub kept: bool,
    /// How many webhooks the messages of a batch are for, in turn.
    pub webhooks: usize,
}

/// The case that the others are variations of: batches as template.yaml asks for them, all of one
/// webhook, to an endpoint that answers at once.
pub const HEADLINE: Case =
    Case { batch: 10, wait: Duration::ZERO, tls: false, kept: true, webhooks: 1 };

/// What repetitions of one case gave.
#[derive(Debug, Default)]
struct Series {
    rate: Vec<f64>,
    rate_of_bare: Vec<f64>,
    cpu: Vec<f64>,
    cpu_of_bare: Vec<f64>,
}

/// Measures every case, or the headline ones.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let cases = cases(bench.quick);
    let rounds = bench.or_quick(5, 3);
    let mut series: Vec<Series> = cases.iter().map(|_| Series::default()).collect();
    for round in 0..rounds {
        for (case, series) in cases.iter().zip(&mut series) {
            // What waits most of the time varies little, and takes long.
            if round < 3 || case.wait.is_zero() {
                crate::progress::say(format_args!(
                    "rates, round {} of {rounds}: {}",
                    round + 1,
                    case.name()
                ));
                series.measure(bench, *case).await?;
            }
        }
    }
    let mut table = Table::new(
        "Sender: deliveries a second on one processor, and processor time of each",
        &["conditions", "deliveries/s", "of bare reqwest's", "CPU µs each", "times bare reqwest's"],
    );
    for (case, series) in cases.iter().zip(series) {
        let cell = |values, decimals| {
            Spread::of(values)
                .map(|it| Cell::measured(it, decimals))
                .context("nothing was measured")
        };
        table.row([
            Cell::text(case.name()),
            cell(series.rate, 0)?,
            cell(series.rate_of_bare, 2)?,
            cell(series.cpu, 1)?,
            cell(series.cpu_of_bare, 2)?,
        ]);
    }
    table.note(
        "Median (lowest–highest). Everything is on: event parsed, webhook read, address guarded, both \
         signatures, log written. Bare reqwest posts the same bytes, as many at once, and does nothing else.",
    );
    table.note(
        "A batch of 100 is shown for comparison: on AWS one above 10 needs a batching window, which would \
         hold deliveries back.",
    );
    Ok(vec![table])
}

fn cases(quick: bool) -> Vec<Case> {
    let mut cases = vec![HEADLINE, Case { webhooks: 10, ..HEADLINE }];
    if quick {
        cases.push(Case { wait: Duration::from_millis(50), ..HEADLINE });
        cases.push(Case { tls: true, ..HEADLINE });
        return cases;
    }
    cases.clear();
    for millis in [0, 50, 500] {
        for batch in [1, 10, 100] {
            for (tls, kept) in [(false, true), (true, true), (false, false), (true, false)] {
                let wait = Duration::from_millis(millis);
                cases.push(Case { batch, wait, tls, kept, webhooks: 1 });
                if batch == 10 && millis == 0 && kept && !tls {
                    cases.push(Case { webhooks: 10, ..HEADLINE });
                }
            }
        }
    }
    cases
}

impl Case {
    fn name(self) -> String {
        let wait = match self.wait.as_millis() {
            0 => String::new(),
            millis => format!(", endpoint {millis} ms"),
        };
        let webhooks = if self.webhooks > 1 {
            format!(" of {} webhooks", self.webhooks)
        } else {
            String::new()
        };
        let tls = if self.tls { ", TLS" } else { "" };
        let kept = if self.kept { "" } else { ", new connections" };
        format!("batch {}{webhooks}{wait}{tls}{kept}", self.batch)
    }

    /// How many batches take about half a second or, where the endpoint is slow, two answers.
    fn batches(self) -> usize {
        let per_second = match (self.wait.as_millis(), self.tls, self.kept) {
            (0, _, true) => 20_000,
            (0, false, false) => 5_000,
            (0, true, false) => 2_000,
            (millis, _, _) => self.batch * 1000 / usize::try_from(millis).unwrap_or(1000),
        };
        (per_second / 2 / self.batch).max(2)
    }

    /// Runs the real sender under these conditions.
    pub async fn sender(self, bench: &Bench, receiver: &Receiver, aws: &Aws) -> Result<Cost> {
        let tenant = Target::random();
        let targets: Vec<_> = (0..self.webhooks).map(|_| Target::of(tenant.tenant)).collect();
        for target in &targets {
            aws.put_webhook(target.row(&receiver.url()));
        }
        let authority = bench.tls.authority().display().to_string();
        let program = given::sender(bench.bootstrap("sender")?, &aws.endpoint(), &authority);
        let mut sender = Function::start(&program, bench.cores).await?;
        let warm_up = if self.wait.is_zero() { (1000 / self.batch).min(100) } else { 1 };
        let count = warm_up + self.batches();
        let mut events = given::batches(&targets, self.batch, count)?;
        let measured = events.split_off(warm_up);
        sender.run(events, NOTHING_FAILED).await?;
        receiver.take_posts((warm_up * self.batch) as u64)?;
        let cost = sender.run(measured, NOTHING_FAILED).await?;
        receiver.take_posts((self.batches() * self.batch) as u64)?;
        Ok(cost)
    }

    /// Runs the bare loop under the same conditions.
    pub async fn bare(self, bench: &Bench, receiver: &Receiver) -> Result<Cost> {
        let warm_up = if self.wait.is_zero() { 1000 } else { self.batch };
        let posts = self.batches() * self.batch;
        let bare = Bare {
            url: receiver.url(),
            authority: Some(bench.tls.authority().to_owned()),
            in_flight: self.batch,
            posts,
            warm_up,
            guarded: false,
        };
        let cost = bare.run(bench.cores).await?;
        receiver.take_posts((warm_up + posts) as u64)?;
        Ok(cost)
    }
}

impl Series {
    async fn measure(&mut self, bench: &Bench, case: Case) -> Result<()> {
        let manner = Manner { wait: case.wait, keeps_connections: case.kept };
        let tls = case.tls.then(|| bench.tls.acceptor.clone());
        let receiver = Receiver::start(manner, tls).await?;
        let aws = Aws::start(given::SECRET).await?;
        let sender = case.sender(bench, &receiver, &aws).await?;
        let bare = case.bare(bench, &receiver).await?;
        let posts = u32::try_from(case.batches() * case.batch)?;
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(posts);
        self.rate.push(1e6 / micros(sender.wall));
        self.rate_of_bare.push(micros(bare.wall) / micros(sender.wall));
        self.cpu.push(micros(sender.cpu));
        self.cpu_of_bare.push(micros(sender.cpu) / micros(bare.cpu));
        Ok(())
    }
}
