//! What the other senders need: made on first use, in `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use docintell::checkout::Checkout;
use docintell::local::python;
use docintell::program;
use docintell::progress::Progress;

/// A program that is installed.
#[derive(Debug)]
pub struct Installed {
    /// The language and its version.
    pub name: String,
    /// What runs the script; its whole path, since what is measured is not told where programs are.
    pub program: PathBuf,
    /// The sender.
    pub script: PathBuf,
}

/// What Node's sender is made of.
const NODE_FILES: [&str; 3] = ["package.json", "package-lock.json", "sender.mjs"];

/// The sender in Node, as one file with its packages.
pub async fn node() -> Result<Installed> {
    let program = said(Command::new("node").args(["--print", "process.execPath"]))?;
    let version = said(Command::new(&program).arg("--version"))?;
    let checkout = Checkout::find()?;
    let folder = checkout.root().join("target/bench/node");
    let script = folder.join("bundle.cjs");
    let is_same = |name| same(&source(&checkout, name), &folder.join(name));
    if !script.exists() || !NODE_FILES.into_iter().all(is_same) {
        bundle(&checkout, &folder, &script).await?;
    }
    Ok(Installed { name: format!("Node {version}"), program: program.into(), script })
}

/// The sender in Python, and the Python that has boto3.
pub async fn python() -> Result<Installed> {
    let checkout = Checkout::find()?;
    let program = python::ensure(&checkout, Progress::Shown).await?;
    let name = said(Command::new(&program).arg("--version"))?;
    Ok(Installed { name, program, script: source(&checkout, "sender.py") })
}

/// Makes one file of the sender and its packages, as one does for Lambda.
async fn bundle(checkout: &Checkout, folder: &Path, bundled: &Path) -> Result<()> {
    let task = Progress::Shown.begin("installing what Node's sender needs");
    fs::create_dir_all(folder)?;
    // Whatever else is there counts for nothing as long as this is missing.
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
        // A warning would be the first that is said of a failure.
        npm.arg("--loglevel=error").args(arguments).current_dir(folder).stdin(Stdio::null());
        program::run(&task, &mut npm).await?;
    }
    task.done("Node's sender bundled");
    Ok(())
}

fn source(checkout: &Checkout, name: &str) -> PathBuf {
    checkout.root().join("bench/reference").join(name)
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
