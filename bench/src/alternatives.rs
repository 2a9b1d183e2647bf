//! Measures typical senders in Node and Python (`bench/reference`) under the same conditions as ours.
//!
//! The rules: if a language is not installed, only its row is missing. A sender is measured only if it logs the same row
//! as ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use docintell::checkout::Checkout;
use docintell::local::python;
use docintell::program;
use docintell::progress::Progress;
use harness::fixtures::{NOTHING_FAILED, WebhookKey, batches};
use harness::{FakeAws, Function, Program, Receiver, status};
use serde_json::{Map, Value};

use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, range};

const BATCH: usize = 10;
/// Measured processes of each sender.
const PROCESSES: usize = 3;
/// The source files of the sender in Node.
const NODE_FILES: [&str; 3] = ["package.json", "package-lock.json", "sender.mjs"];

/// The sender in another language, or why it cannot be measured.
pub(crate) struct Alternative {
    language: &'static str,
    installed: Result<Installed>,
}

/// An interpreter and the script that it runs.
struct Installed {
    /// The language and its version.
    name: String,
    /// Absolute path, because the measured process has no `PATH`.
    program: PathBuf,
    script: PathBuf,
}

/// Prepares the other senders. Runs before any measurement, because it may download packages.
pub(crate) async fn install() -> Vec<Alternative> {
    vec![
        Alternative { language: "Node", installed: node().await },
        Alternative { language: "Python", installed: python().await },
    ]
}

/// Measures our sender and the others, one process at a time.
pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let title = "How fast is the same sender in Node and in Python?";
    let columns = ["sender", "init ms", "deliveries/s", "CPU µs each", "RSS MiB"];
    let mut table = Table::new(title, &columns);
    table.row("ours, in Rust", figures(bench, None).await?);
    for Alternative { language, installed } in &bench.alternatives {
        let measured = match installed {
            Ok(installed) => compare(bench, installed).await,
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        match measured {
            Ok((name, figures)) => table.row(name, figures),
            Err(error) => {
                // The full output of a failed program would fill a page.
                let error = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
                let error: String = error.chars().take(300).collect();
                table.note(format!("{language} was not measured: {error}"));
            }
        }
    }
    table.note(format!(
        "Median (lowest–highest) of {PROCESSES} processes; batches of {BATCH} to one webhook, whose endpoint answers \
         at once. The other senders are in bench/reference, which says what they leave out."
    ));
    Ok(table.to_string())
}

/// The name and the figures of another sender, after checking that it logs the same row as ours.
async fn compare<'a>(bench: &Bench, other: &'a Installed) -> Result<(&'a str, [String; 4])> {
    let target = WebhookKey::random();
    let (ours, theirs) = (row(bench, None, target).await?, row(bench, Some(other), target).await?);
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let different: Vec<_> =
        names.into_iter().filter(|it| ours.get(*it) != theirs.get(*it)).collect();
    ensure!(different.is_empty(), "its row in the delivery log differs from ours in {different:?}");
    Ok((&other.name, figures(bench, Some(other)).await?))
}

/// The row of one delivery in the delivery log, without times and durations.
async fn row(
    bench: &Bench,
    other: Option<&Installed>,
    target: WebhookKey,
) -> Result<Map<String, Value>> {
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    aws.record();
    aws.put_webhook(target.row(&receiver.url()));
    let mut sender = Function::start(&program(bench, &aws, other)?, Some(bench.cores)).await?;
    sender.run(batches(&[target], 1, 1)?, NOTHING_FAILED).await?;
    let Some(Value::Object(mut row)) = aws.logged().pop() else { bail!("the delivery has no row") };
    row.retain(|name, _| !["completed_at", "ttl"].contains(&name.as_str()));
    let attempt = row.get_mut("attempts").and_then(|attempts| attempts.get_mut(0)?.as_object_mut());
    let attempt = attempt.context("the row has no attempt")?;
    attempt.retain(|name, _| !["at", "duration_ms", "phases"].contains(&name.as_str()));
    Ok(row)
}

/// Our sender, or another one in its place.
fn program(bench: &Bench, aws: &FakeAws, other: Option<&Installed>) -> Result<Program> {
    let ours = bench.sender(aws)?;
    Ok(match other {
        Some(Installed { program, script, .. }) => {
            Program { path: program.clone(), arguments: vec![script.clone()], ..ours }
        }
        None => ours,
    })
}

/// Init, deliveries per second, processor time of each and RSS, from several processes.
async fn figures(bench: &Bench, other: Option<&Installed>) -> Result<[String; 4]> {
    let mut figures = [const { Vec::new() }; 4];
    for process in 1..=PROCESSES {
        let name = other.map_or("ours", |it| &it.name);
        progress::step(format_args!("alternatives: {name}, process {process} of {PROCESSES}"));
        for (figures, figure) in figures.iter_mut().zip(one_process(bench, other).await?) {
            figures.push(figure);
        }
    }
    let [init, rate, cpu, resident] = figures;
    Ok([range(init, 1), range(rate, 0), range(cpu, 1), range(resident, 1)])
}

async fn one_process(bench: &Bench, other: Option<&Installed>) -> Result<[f64; 4]> {
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    let target = WebhookKey::random();
    aws.put_webhook(target.row(&receiver.url()));
    let mut sender = Function::start(&program(bench, &aws, other)?, Some(bench.cores)).await?;
    // A language with a JIT compiler needs some time to warm up.
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

/// The sender in Node, bundled with its packages into one file as is usual on Lambda.
async fn node() -> Result<Installed> {
    let program = output_of(Command::new("node").args(["--print", "process.execPath"]))?;
    let version = output_of(Command::new(&program).arg("--version"))?;
    let checkout = Checkout::find()?;
    let folder = checkout.root().join("target/bench/node");
    let script = folder.join("bundle.cjs");
    let is_same = |name| same(&source(&checkout, name), &folder.join(name));
    if !script.exists() || !NODE_FILES.into_iter().all(is_same) {
        bundle(&checkout, &folder, &script).await?;
    }
    Ok(Installed { name: format!("Node {version}"), program: program.into(), script })
}

/// The sender in Python, with a Python that has boto3.
async fn python() -> Result<Installed> {
    let checkout = Checkout::find()?;
    let program = python::ensure(&checkout, Progress::Shown).await?;
    let name = output_of(Command::new(&program).arg("--version"))?;
    Ok(Installed { name, program, script: source(&checkout, "sender.py") })
}

async fn bundle(checkout: &Checkout, folder: &Path, bundled: &Path) -> Result<()> {
    let task = Progress::Shown.begin("installing the packages of the Node sender");
    fs::create_dir_all(folder)?;
    // An interrupted installation leaves no bundle, so the next run starts over.
    if bundled.exists() {
        fs::remove_file(bundled)?;
    }
    for name in NODE_FILES {
        fs::copy(source(checkout, name), folder.join(name))?;
    }
    for arguments in [
        ["ci", "--engine-strict", "--ignore-scripts", "--no-audit", "--no-fund"].as_slice(),
        ["run", "build"].as_slice(),
    ] {
        let mut npm = Command::new("npm");
        // Without this, warnings would hide the reason of a failure.
        npm.arg("--loglevel=error").args(arguments).current_dir(folder).stdin(Stdio::null());
        program::run(&task, &mut npm).await?;
    }
    task.done("Node sender bundled");
    Ok(())
}

fn source(checkout: &Checkout, name: &str) -> PathBuf {
    checkout.root().join("bench/reference").join(name)
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// Standard output of `command`.
fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    ensure!(output.status.success(), "{program} failed ({})", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
