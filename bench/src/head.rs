//! The first line of a report: date, command, commit and machine.

use std::process::{Command, Stdio};
use std::thread;

use docintell::checkout::Checkout;
use harness::Cores;
use webhooks::timestamp::Timestamp;

/// A Markdown paragraph.
pub(crate) fn text(cores: Cores) -> String {
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("cargo run{release} -p bench -- {}", arguments.join(" "));
    let commit = commit().map_or(String::new(), |commit| format!(", commit {commit}"));
    let processor = processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let processors = thread::available_parallelism().map_or(1, Into::into);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let shares =
        if cores.are_apart() { "has one processor to itself" } else { "shares the only processor" };
    let warning =
        if cfg!(debug_assertions) { " Not optimized: only the counts are meaningful." } else { "" };
    format!(
        "{}, `{}`{commit}. {processors} × {processor}, Linux {}; the measured process {shares}.{warning}\n",
        Timestamp::now().whole_seconds(),
        command.trim_end_matches([' ', '-']),
        kernel.trim(),
    )
}

/// The processor's name.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == "model name").map(|(_, value)| value.trim().to_owned())
}

/// The commit of the checkout, with `-dirty` if files differ from it; `None` without git.
fn commit() -> Option<String> {
    let checkout = Checkout::find().ok()?;
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(checkout.root());
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
