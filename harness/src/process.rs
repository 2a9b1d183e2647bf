//! A process that is tested or measured: what it writes, and its processor time and memory as Linux counts
//! them.
//!
//! The rule: it is killed when it is dropped.

use std::fs;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cores::Cores;
use crate::{lock, output};

/// How long a process may take to end on a machine with much else to do.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    /// Standard output and standard error, as they came.
    written: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it, on the measured processor if there are `cores`.
    pub fn start(mut command: Command, cores: Option<Cores>) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let child = match cores {
            Some(cores) => cores.start_measured(|| command.spawn())?,
            None => command.spawn(),
        };
        let mut child = child.with_context(|| format!("{program} cannot be started"))?;
        let pid = child.id().context("it has ended already")?;
        let written = Arc::new(Mutex::default());
        let stdout = child.stdout.take().map(|pipe| read(pipe, Arc::clone(&written)));
        let stderr = child.stderr.take().map(|pipe| read(pipe, Arc::clone(&written)));
        let readers = stdout.into_iter().chain(stderr).collect();
        Ok(Self { child, pid, written, readers })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// See [`interrupt_nobody`].
    pub fn interrupt_nobody(&self) -> Result<()> {
        interrupt_nobody(self.pid)
    }

    /// Processor time of all its threads so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        cpu_time(self.pid)
    }

    /// Memory that it has in RAM, in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        Ok(f64::from(self.memory_kib("VmRSS")?) / 1024.0)
    }

    /// The most memory that it has had in RAM, in MiB.
    pub fn peak_mib(&self) -> Result<f64> {
        Ok(f64::from(self.memory_kib("VmHWM")?) / 1024.0)
    }

    /// A figure of `/proc/<pid>/status`, in KiB.
    pub(crate) fn memory_kib(&self, figure: &str) -> Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .context("the process has ended, or this is not Linux")?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let kib: String = line.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        kib.parse().context("/proc does not say how much memory it has")
    }

    /// Bytes that it has written to standard output and standard error: what would be its log.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        lock(&self.written).len() as u64
    }

    /// All that it has written.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&lock(&self.written)).into_owned()
    }

    /// The end of what it has written.
    #[must_use]
    pub fn last_words(&self) -> String {
        output::end(&self.log())
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.start_kill().context("the process cannot be killed")
    }

    /// Waits until it has ended and all that it has written is read.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .with_context(|| format!("it does not end: {}", self.last_words()))?
            .context("the process was lost")?;
        for reader in self.readers.drain(..) {
            reader.await.context("its output cannot be read")?;
        }
        Ok(status)
    }
}

/// Keeps the process `pid` from interrupting others on its processor when it wakes up (`SCHED_BATCH`).
///
/// Two functions that share a processor here would each stop the other for every answer that comes in. On AWS each
/// has a machine of its own.
pub fn interrupt_nobody(pid: u32) -> Result<()> {
    let chrt = std::process::Command::new("chrt")
        .args(["--all-tasks", "--batch", "--pid", "0", &pid.to_string()])
        .output()
        .context("cannot start `chrt`, which comes with util-linux")?;
    let words = String::from_utf8_lossy(&chrt.stderr);
    anyhow::ensure!(
        chrt.status.success(),
        "cannot choose how a process is scheduled: {}",
        words.trim()
    );
    Ok(())
}

/// Processor time of all threads of the process `pid` so far, in the kernel's own count of nanoseconds.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .context("the process has ended, or this is not Linux")?;
    // A thread may end while it is looked at; its time was next to nothing.
    let times = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Ok(Duration::from_nanos(times.sum()))
}

/// Reads a pipe to its end, so that the process never waits for its reader.
fn read(
    mut pipe: impl AsyncRead + Unpin + Send + 'static,
    written: Arc<Mutex<Vec<u8>>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            lock(&written).extend_from_slice(&buffer[..read]);
        }
    })
}
