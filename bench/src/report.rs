//! What the figures were measured with: the benchmark's head, for people as a paragraph and for programs as
//! JSON.

use std::fmt;
use std::process::{Command, Stdio};
use std::thread;

use docintell::checkout::Checkout;
use serde::Serialize;
use webhooks::timestamp::Timestamp;

use crate::cores::Cores;
use crate::table::Table;

/// Everything that a run says.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began, in RFC 3339.
    pub date: String,
    /// What a person types to have it again.
    pub command: String,
    /// The commit that was measured, `-dirty` if files differ from it; `None` without git.
    pub commit: Option<String>,
    /// Whether the benchmark itself, and so what it builds, is optimised.
    pub optimised: bool,
    /// Where it ran.
    pub machine: Machine,
    /// The figures.
    pub tables: Vec<Table>,
}

/// The computer.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Its processor's name, or its architecture.
    pub processor: String,
    /// How many of its processors this program may use.
    pub processors: usize,
    /// Its memory in GiB.
    pub memory_gib: f64,
    /// The version of its Linux.
    pub kernel: String,
    /// Whether what is measured has a processor that the servers around it do not use.
    pub measured_apart: bool,
}

impl Report {
    /// A report without figures. It has to be made before this program keeps to one of its processors.
    #[must_use]
    pub fn begin(cores: Cores) -> Self {
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let dashes = if arguments.is_empty() { "" } else { " -- " };
        Self {
            date: Timestamp::now().whole_seconds().to_string(),
            command: format!("cargo run{release} -p bench{dashes}{}", arguments.join(" ")),
            commit: commit(),
            optimised: !cfg!(debug_assertions),
            machine: Machine::read(cores),
            tables: Vec::new(),
        }
    }
}

/// The head alone.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { processor, processors, memory_gib, kernel, measured_apart } = &self.machine;
        write!(f, "{}, `{}`", self.date, self.command)?;
        if let Some(commit) = &self.commit {
            write!(f, ", commit {commit}")?;
        }
        write!(f, ". {processors} × {processor}, {memory_gib:.1} GiB, Linux {kernel}; ")?;
        if *measured_apart {
            write!(f, "what is measured has a processor to itself.")?;
        } else {
            write!(f, "what is measured shares its processor with the servers around it.")?;
        }
        if !self.optimised {
            write!(f, " Built without optimisation: only what is counted means anything.")?;
        }
        writeln!(f)
    }
}

impl Machine {
    fn read(cores: Cores) -> Self {
        let model = field("/proc/cpuinfo", "model name");
        let kib = field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok());
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            processor: model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            processors: thread::available_parallelism().map_or(1, Into::into),
            memory_gib: kib.unwrap_or_default() / 1024.0 / 1024.0,
            kernel: kernel.map(|text| text.trim().to_owned()).unwrap_or_default(),
            measured_apart: cores.are_apart(),
        }
    }
}

/// What stands behind the first `name:` of a file in `/proc`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn commit() -> Option<String> {
    let checkout = Checkout::find().ok()?;
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(checkout.root());
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success()).then(|| text.trim().to_owned())
}
