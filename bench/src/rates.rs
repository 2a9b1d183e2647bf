//! How many deliveries a second the real sender makes on one processor with everything on, and what each
//! costs, beside the bare loop under the same conditions.

use std::time::Duration;

use anyhow::Result;
use harness::fixtures::{NOTHING_FAILED, WebhookKey, batches};
use harness::{Cost, FakeAws, Function, Receiver, after, answer_and_close, status};

use crate::bare::{Bare, By};
use crate::bench::Bench;
use crate::progress;
use crate::table::{Cell, Table};

/// One set of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// How many senders share the processor, each with a batch of its own.
    pub environments: usize,
}

/// So many senders leave no processor idle while each waits for AWS or for its endpoint.
const ENVIRONMENTS: usize = 2;

/// How often all cases are gone through.
const ROUNDS: usize = 3;

/// The case that the others are variations of: batches as template.yaml asks for them, all of one
/// webhook, to an endpoint that answers at once.
pub const HEADLINE: Case = Case {
    batch: 10,
    wait: Duration::ZERO,
    tls: false,
    kept: true,
    webhooks: 1,
    environments: ENVIRONMENTS,
};

/// What the headline is compared with; everything else only with the first.
const LOOPS: [(By, &str); 3] = [
    (By::Reqwest, "bare reqwest"),
    (By::Signed, "bare reqwest that makes both signatures"),
    (By::Pooled, "the client below reqwest, hyper-util's"),
];

/// What repetitions gave, of a sender or a loop, and how the sender compared with a loop at each.
#[derive(Debug, Default)]
struct Series {
    rate: Vec<f64>,
    rate_of_loop: Vec<f64>,
    cpu: Vec<f64>,
    cpu_of_loop: Vec<f64>,
}

/// What one post costs.
#[derive(Debug, Clone, Copy)]
struct PerPost {
    /// Posts a second.
    rate: f64,
    /// Processor time in microseconds.
    cpu: f64,
}

/// Measures every case, or the headline ones.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let cases = cases(bench.quick);
    let mut senders: Vec<Series> = cases.iter().map(|_| Series::default()).collect();
    let mut loops = LOOPS.map(|_| Series::default());
    for round in 1..=ROUNDS {
        for (case, series) in cases.iter().zip(&mut senders) {
            progress::say(format_args!("rates, round {round} of {ROUNDS}: {}", case.name()));
            for _ in 0..case.times_a_round() {
                let (sender, posts) = case.measure(bench).await?;
                series.add(sender, sender, posts[0]);
                if case.is_headline() {
                    for (post, series) in posts.into_iter().zip(&mut loops) {
                        series.add(post, sender, post);
                    }
                }
            }
        }
    }
    let mut table = Table::new(
        "Sender: deliveries a second on one processor, and processor time of each",
        &["conditions", "deliveries/s", "of bare reqwest's", "CPU µs each", "times bare reqwest's"],
    );
    for (case, series) in cases.iter().zip(senders) {
        table.row(series.cells(case.name()));
    }
    table.note(
        "Median (lowest–highest). Everything is on: event parsed, webhook read, address guarded, both \
         signatures, log written. Bare reqwest posts the same bytes, as many at once, and does nothing else.",
    );
    table.note(format!(
        "{ENVIRONMENTS} environments are as many senders on the one processor, as on AWS there are many: one \
         alone leaves it idle while it waits for the webhook's row, for the log and for the next event. None \
         interrupts another, since on AWS each has a machine of its own."
    ));
    table.note(
        "A batch of 100 is shown for comparison: on AWS one above 10 needs a batching window, which would \
         hold deliveries back.",
    );
    let mut beside = Table::new(
        "Loops that the first row can be compared with",
        &["loop", "posts/s", "the sender's share", "CPU µs each", "the sender's times"],
    );
    for ((_, name), series) in LOOPS.iter().zip(loops) {
        beside.row(series.cells(*name));
    }
    beside.note("Median (lowest–highest), each time right after the sender of the first row.");
    Ok(vec![table, beside])
}

fn cases(quick: bool) -> Vec<Case> {
    let several = Case { webhooks: 10, ..HEADLINE };
    let tls = Case { tls: true, ..HEADLINE };
    let alone = Case { environments: 1, ..HEADLINE };
    if quick {
        let slow = Case { wait: Duration::from_millis(50), ..alone };
        return vec![HEADLINE, several, tls, alone, slow];
    }
    let mut cases = vec![HEADLINE, several, tls];
    for wait in [0, 50, 500].map(Duration::from_millis) {
        for batch in [1, 10, 100] {
            for (tls, kept) in [(false, true), (true, true), (false, false), (true, false)] {
                // Beside half a second's wait a handshake is nothing.
                if kept || wait.as_millis() < 500 {
                    cases.push(Case { batch, wait, tls, kept, ..alone });
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
        let environments = match self.environments {
            1 => String::new(),
            count => format!("{count} environments, "),
        };
        format!("{environments}batch {}{webhooks}{wait}{tls}{kept}", self.batch)
    }

    /// Whether every loop is measured beside it.
    fn is_headline(self) -> bool {
        self == HEADLINE
    }

    /// How often it is measured in a round: the first rows are what everybody looks at, and on a machine that is
    /// shared three measurements say little.
    fn times_a_round(self) -> usize {
        if self.environments > 1 { 5 } else { 1 }
    }

    /// How many batches of each environment take about half a second or, where the endpoint is slow, two
    /// answers.
    fn batches(self) -> usize {
        let posts = match (self.wait.as_millis(), self.tls, self.kept) {
            (0, _, true) => 1_000 * self.batch.min(10),
            (0, false, false) => 200 * self.batch.min(10),
            (0, true, false) => 100 * self.batch.min(10),
            (millis, _, _) => self.batch * 500 / usize::try_from(millis).unwrap_or(500),
        };
        (posts / self.batch / self.environments).max(2)
    }

    /// Runs the real sender under these conditions, then the loops; what a post costs each of them.
    async fn measure(self, bench: &Bench) -> Result<(PerPost, Vec<PerPost>)> {
        let answer = if self.kept { status(200) } else { answer_and_close(200) };
        let tls = self.tls.then(|| bench.tls.clone());
        let receiver = Receiver::counting(after(self.wait, answer), tls).await;
        let sender = self.sender(bench, &receiver).await?;
        let mut loops = Vec::new();
        let count = if self.is_headline() { LOOPS.len() } else { 1 };
        for &(by, _) in &LOOPS[..count] {
            loops.push(self.bare(by, bench, &receiver).await?);
        }
        Ok((sender, loops))
    }

    /// Runs the real sender under these conditions; what a post costs.
    async fn sender(self, bench: &Bench, receiver: &Receiver) -> Result<PerPost> {
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
            let sender = Function::start(&program, bench.cores).await?;
            sender.process.interrupt_nobody()?;
            senders.push(sender);
        }
        Function::run_all(&mut senders, &events, NOTHING_FAILED).await?;
        receiver.take_posts((events.len() * self.in_flight()) as u64)?;
        let posts = measured.len() * self.in_flight();
        let cost = Function::run_all(&mut senders, &measured, NOTHING_FAILED).await?;
        receiver.take_posts(posts as u64)?;
        Ok(PerPost::of(cost, posts))
    }

    /// Posts that are under way together.
    fn in_flight(self) -> usize {
        self.batch * self.environments
    }

    /// Runs a bare loop under the same conditions; what a post costs.
    async fn bare(self, by: By, bench: &Bench, receiver: &Receiver) -> Result<PerPost> {
        let is_prompt = self.wait.is_zero();
        let least = if is_prompt { 5_000 } else { 0 };
        let bare = Bare {
            url: receiver.url(),
            authority: Some(bench.authority.file().to_owned()),
            in_flight: self.in_flight(),
            posts: (self.batches() * self.in_flight()).max(if self.kept {
                least
            } else {
                least / 5
            }),
            warm_up: if is_prompt { 1000 } else { self.in_flight() },
            by,
        };
        let cost = bare.run(bench.cores).await?;
        receiver.take_posts((bare.warm_up + bare.posts) as u64)?;
        Ok(PerPost::of(cost, bare.posts))
    }
}

impl PerPost {
    fn of(cost: Cost, posts: usize) -> Self {
        Self { rate: cost.rate(posts), cpu: cost.cpu_micros(posts) }
    }
}

impl Series {
    /// One repetition, of which `shown` is the figure.
    fn add(&mut self, shown: PerPost, sender: PerPost, beside: PerPost) {
        self.rate.push(shown.rate);
        self.rate_of_loop.push(sender.rate / beside.rate);
        self.cpu.push(shown.cpu);
        self.cpu_of_loop.push(sender.cpu / beside.cpu);
    }

    fn cells(self, name: impl Into<String>) -> [Cell; 5] {
        [
            Cell::text(name),
            Cell::extremes(self.rate, 0),
            Cell::extremes(self.rate_of_loop, 2),
            Cell::extremes(self.cpu, 1),
            Cell::extremes(self.cpu_of_loop, 2),
        ]
    }
}
