//! Runs a process for a test or a measurement: its output, and its processor time and memory from Linux.
//!
//! The rule: dropping a [`Process`] kills it.

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

/// The longest wait for a process to exit; the machine may be busy.
const TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    /// Standard output and standard error, interleaved.
    written: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`, on the measured processor of `cores`.
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
        let pid = child.id().context("the process has ended already")?;
        let written = Arc::new(Mutex::default());
        let stdout = child.stdout.take().map(|pipe| read(pipe, Arc::clone(&written)));
        let stderr = child.stderr.take().map(|pipe| read(pipe, Arc::clone(&written)));
        let readers = stdout.into_iter().chain(stderr).collect();
        Ok(Self { child, pid, written, readers })
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// See [`interrupt_nobody`].
    pub fn interrupt_nobody(&self) -> Result<()> {
        interrupt_nobody(self.pid)
    }

    /// Processor time of all threads so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        cpu_time(self.pid)
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        Ok(f64::from(self.memory_kib("VmRSS")?) / 1024.0)
    }

    /// Peak resident memory in MiB.
    pub fn peak_mib(&self) -> Result<f64> {
        Ok(f64::from(self.memory_kib("VmHWM")?) / 1024.0)
    }

    /// A figure of `/proc/<pid>/status`, in KiB.
    pub(crate) fn memory_kib(&self, figure: &str) -> Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .context("the process has ended, or this is not Linux")?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let kib: String = line.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        kib.parse().context("/proc has no such memory figure")
    }

    /// Bytes written to standard output and standard error, which Lambda would log.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        lock(&self.written).len() as u64
    }

    /// All output so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&lock(&self.written)).into_owned()
    }

    /// The last lines of the output.
    #[must_use]
    pub fn last_words(&self) -> String {
        output::end(&self.log())
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.start_kill().context("the process cannot be killed")
    }

    /// Waits until the process has exited and its output is read.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let status = timeout(TIMEOUT, self.child.wait())
            .await
            .with_context(|| format!("the process does not exit: {}", self.last_words()))?
            .context("cannot wait for the process")?;
        for reader in self.readers.drain(..) {
            reader.await.context("the process's output cannot be read")?;
        }
        Ok(status)
    }
}

/// Prevents the process `pid` from preempting others when it wakes up (`SCHED_BATCH`).
///
/// Otherwise two functions on one processor would interrupt each other at every answer. On AWS each function has its
/// own machine.
pub fn interrupt_nobody(pid: u32) -> Result<()> {
    let chrt = std::process::Command::new("chrt")
        .args(["--all-tasks", "--batch", "--pid", "0", &pid.to_string()])
        .output()
        .context("cannot start `chrt`, which comes with util-linux")?;
    let words = String::from_utf8_lossy(&chrt.stderr);
    anyhow::ensure!(
        chrt.status.success(),
        "cannot set the process's scheduling policy: {}",
        words.trim()
    );
    Ok(())
}

/// Processor time of all threads of the process `pid` so far, from the kernel's count of nanoseconds.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .context("the process has ended, or this is not Linux")?;
    // A thread may end during this read; its time is negligible.
    let times = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Ok(Duration::from_nanos(times.sum()))
}

/// Reads a pipe to its end. A full pipe would block the process.
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
