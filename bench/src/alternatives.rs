//! The sender as one would write it in Node or Python (`bench/reference`), beside ours under the same
//! conditions.
//!
//! The rule: a language that is not there costs its row and nothing else.

pub mod install;

use anyhow::Result;
use harness::fixtures::{NOTHING_FAILED, WebhookKey, batches};
use harness::{FakeAws, Function, Program, Receiver, status};

use crate::bench::Bench;
use crate::progress;
use crate::spread::Spread;
use crate::table::{Cell, Table};
use install::Installed;

/// Messages in a batch.
const BATCH: usize = 10;

/// What is looked at, each beside ours.
const COLUMNS: [&str; 9] = [
    "sender",
    "init ms",
    "times ours",
    "deliveries/s",
    "times ours",
    "CPU µs each",
    "times ours",
    "RSS MiB",
    "times ours",
];

/// The sender in another language.
#[derive(Debug)]
pub struct Alternative {
    language: &'static str,
    /// Or why it cannot be measured.
    installed: Result<Installed>,
    /// What is in [`COLUMNS`], of each round.
    figures: Vec<[f64; 4]>,
}

/// Makes ready what there is; before anything is measured, since packages may have to be fetched.
pub async fn install() -> Vec<Alternative> {
    let installed = [("Node", install::node().await), ("Python", install::python().await)];
    installed
        .into_iter()
        .map(|(language, installed)| Alternative { language, installed, figures: Vec::new() })
        .collect()
}

/// Measures ours and every other sender in turn, several times.
pub async fn tables(bench: &Bench, alternatives: &mut [Alternative]) -> Result<Vec<Table>> {
    let rounds = 3;
    let mut ours = Vec::new();
    for round in 1..=rounds {
        let say = |name: &str| {
            progress::say(format_args!("alternatives, round {round} of {rounds}: {name}"));
        };
        say("ours");
        ours.push(figures(bench, None).await?);
        for alternative in alternatives.iter_mut() {
            say(alternative.language);
            alternative.measure(bench).await;
        }
    }
    let mut table = Table::new("The same sender in other languages", &COLUMNS);
    table.row(cells("ours", &ours, &ours));
    for Alternative { language, installed, figures } in alternatives {
        match installed {
            Ok(installed) => table.row(cells(&installed.name, figures, &ours)),
            Err(why) => {
                // A program's whole complaint would be a page.
                let why = format!("{why:#}").split_whitespace().collect::<Vec<_>>().join(" ");
                let why: String = why.chars().take(300).collect();
                table.note(format!("{language} was not measured: {why}"));
                table.row(cells(language, &[], &ours));
            }
        }
    }
    table.note(format!(
        "Median (lowest–highest) of {rounds} processes each; batches of {BATCH} to one webhook, whose endpoint \
         answers at once. The other senders are bench/reference; what they leave out is said there."
    ));
    Ok(vec![table])
}

impl Alternative {
    /// One round, unless one has failed before.
    async fn measure(&mut self, bench: &Bench) {
        let Ok(installed) = &self.installed else { return };
        match figures(bench, Some(installed)).await {
            Ok(figures) => self.figures.push(figures),
            Err(error) => self.installed = Err(error),
        }
    }
}

/// Init in ms, deliveries a second, processor time of each in µs, and RSS in MiB, of one process.
async fn figures(bench: &Bench, other: Option<&Installed>) -> Result<[f64; 4]> {
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    let target = WebhookKey::random();
    aws.put_webhook(target.row(&receiver.url()));
    let mut program = bench.sender(&aws)?;
    if let Some(Installed { program: path, script, .. }) = other {
        program = Program { path: path.clone(), arguments: vec![script.clone()], ..program };
    }
    let mut sender = Function::start(&program, bench.cores).await?;
    // What is compiled while it runs needs some time for that.
    let (warm_up, measured) = (bench.or_quick(200, 100), bench.or_quick(400, 200));
    let mut events = batches(&[target], BATCH, warm_up + measured)?;
    let last = events.split_off(warm_up);
    sender.run(events, NOTHING_FAILED).await?;
    let cost = sender.run(last, NOTHING_FAILED).await?;
    receiver.take_posts(((warm_up + measured) * BATCH) as u64)?;
    let count = measured * BATCH;
    let init = sender.init.as_secs_f64() * 1000.0;
    Ok([init, cost.rate(count), cost.cpu_micros(count), sender.process.resident_mib()?])
}

/// A row: each figure, and how many times ours it is.
fn cells(name: &str, figures: &[[f64; 4]], ours: &[[f64; 4]]) -> Vec<Cell> {
    let mut cells = vec![Cell::text(name)];
    for (at, decimals) in [1, 0, 1, 1].into_iter().enumerate() {
        let of = |figures: &[[f64; 4]]| figures.iter().map(|it| it[at]).collect::<Vec<_>>();
        let ratio = Spread::of(of(figures)).zip(Spread::of(of(ours)));
        cells.push(Cell::extremes(of(figures), decimals));
        cells.push(ratio.map_or_else(
            || Cell::text("–"),
            |(it, ours)| Cell::number(it.median / ours.median, 2),
        ));
    }
    cells
}
