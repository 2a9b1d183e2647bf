//! The sender as one would write it in Node or Python (`bench/reference`), beside ours under the same
//! conditions.
//!
//! The rule: a language that is not there costs its row and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use docintell::local::python;
use docintell::steps::Steps;
use docintell::{checkout, child};

use crate::aws::Aws;
use crate::bench::Bench;
use crate::function::{Function, Program};
use crate::given::{self, NOTHING_FAILED, SECRET, Target};
use crate::progress;
use crate::receiver::{Manner, Receiver};
use crate::spread::Spread;
use crate::table::{Cell, Table};

/// Messages in a batch.
const BATCH: usize = 10;

/// What Node's sender is made of.
const NODE_FILES: [&str; 3] = ["package.json", "package-lock.json", "sender.mjs"];

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
    /// The language, with its version where it is there.
    name: String,
    /// What runs it and what that runs, or why it cannot run.
    command: Result<[PathBuf; 2]>,
    /// What is in [`COLUMNS`], of each round.
    figures: Vec<[f64; 4]>,
}

/// Makes ready what there is; before anything is measured, since packages may have to be fetched.
pub async fn install() -> Vec<Alternative> {
    let made = [("Node", node().await), ("Python", python().await)];
    let alternatives = made.into_iter().map(|(language, made)| match made {
        Ok((name, command)) => Alternative { name, command: Ok(command), figures: Vec::new() },
        Err(error) => {
            Alternative { name: language.to_owned(), command: Err(error), figures: Vec::new() }
        }
    });
    alternatives.collect()
}

async fn node() -> Result<(String, [PathBuf; 2])> {
    // By its whole path: what is measured is not told where programs are.
    let node = said(Command::new("node").args(["--print", "process.execPath"]))?;
    let version = said(Command::new(&node).arg("--version"))?;
    let folder = checkout::root().join("target/bench/node");
    let bundled = folder.join("bundle.cjs");
    let is_same = |name| same(&source(name), &folder.join(name));
    if !bundled.exists() || !NODE_FILES.into_iter().all(is_same) {
        bundle(&folder, &bundled).await?;
    }
    Ok((format!("Node {version}"), [node.into(), bundled]))
}

async fn python() -> Result<(String, [PathBuf; 2])> {
    let python = python::ensure(Steps::Shown).await?;
    Ok((said(Command::new(&python).arg("--version"))?, [python, source("sender.py")]))
}

/// Makes one file of the sender and its packages, as one does for Lambda.
async fn bundle(folder: &Path, bundled: &Path) -> Result<()> {
    let step = Steps::Shown.begin("installing what Node's sender needs");
    fs::create_dir_all(folder)?;
    // Whatever else is there counts for nothing as long as this is missing.
    if bundled.exists() {
        fs::remove_file(bundled)?;
    }
    for name in NODE_FILES {
        fs::copy(source(name), folder.join(name))?;
    }
    for arguments in [
        ["ci", "--engine-strict", "--ignore-scripts", "--no-audit", "--no-fund"].as_slice(),
        &["run", "build"],
    ] {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(folder).stdin(Stdio::null());
        child::run(&step, &mut npm).await?;
    }
    step.done("Node's sender bundled");
    Ok(())
}

fn source(name: &str) -> PathBuf {
    checkout::root().join("bench/reference").join(name)
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// The one line that a program writes.
fn said(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    ensure!(output.status.success(), "{program} failed ({})", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Measures ours and every other sender in turn, several times.
pub async fn tables(bench: &Bench, alternatives: &mut [Alternative]) -> Result<Vec<Table>> {
    let rounds = bench.or_quick(5, 3);
    let mut ours = Vec::new();
    for round in 1..=rounds {
        let say = |name: &str| {
            progress::say(format_args!("alternatives, round {round} of {rounds}: {name}"));
        };
        say("ours");
        ours.push(figures(bench, None).await?);
        for alternative in alternatives.iter_mut() {
            say(&alternative.name);
            alternative.measure(bench).await;
        }
    }
    let mut table = Table::new("The same sender in other languages", &COLUMNS);
    table.row(cells("ours", &ours, &ours));
    for Alternative { name, command, figures } in alternatives {
        if let Err(why) = command {
            // A program's whole complaint would be a page.
            let why: String = format!("{why:#}").split_whitespace().collect::<Vec<_>>().join(" ");
            table.note(format!(
                "{name} was not measured: {}.",
                why.chars().take(300).collect::<String>()
            ));
        }
        let figures = if command.is_ok() { figures.as_slice() } else { &[] };
        table.row(cells(name, figures, &ours));
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
        let Ok(command) = &self.command else { return };
        match figures(bench, Some(command)).await {
            Ok(figures) => self.figures.push(figures),
            Err(error) => self.command = Err(error),
        }
    }
}

/// Init in ms, deliveries a second, processor time of each in µs, and RSS in MiB, of one process.
async fn figures(bench: &Bench, command: Option<&[PathBuf; 2]>) -> Result<[f64; 4]> {
    let receiver = Receiver::start(Manner::PROMPT, None).await?;
    let aws = Aws::start(SECRET).await?;
    let target = Target::random();
    aws.put_webhook(target.row(&receiver.url()));
    let mut program = bench.sender(&aws)?;
    if let Some([path, script]) = command {
        program = Program { path: path.clone(), arguments: vec![script.clone()], ..program };
    }
    let mut sender = Function::start(&program, bench.cores).await?;
    // What is compiled while it runs needs some time for that.
    let (warm_up, measured) = (bench.or_quick(200, 100), bench.or_quick(400, 200));
    let mut events = given::batches(&[target], BATCH, warm_up + measured)?;
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
    for at in 0..4 {
        let of = |figures: &[[f64; 4]]| figures.iter().map(|it| it[at]).collect::<Vec<_>>();
        let ratio = Spread::of(of(figures)).zip(Spread::of(of(ours)));
        cells.push(Cell::extremes(of(figures), 0));
        cells.push(ratio.map_or_else(
            || Cell::text("–"),
            |(it, ours)| Cell::number(it.median / ours.median, 2),
        ));
    }
    cells
}
