//! A process that is measured: its processor time and memory as Linux counts them, and what it writes.
//!
//! The rule: it is killed when it is dropped.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use crate::cores::Cores;

/// Of what a process has written, the last so many bytes are kept, to be shown when it fails.
const KEPT_OUTPUT: usize = 4096;

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    output: Arc<Output>,
}

#[derive(Debug, Default)]
struct Output {
    bytes: AtomicU64,
    end: Mutex<Vec<u8>>,
}

impl Process {
    /// Starts it, on the processor that is for it where processors are told apart.
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
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            read(stdout, Arc::clone(&output));
        }
        if let Some(stderr) = child.stderr.take() {
            read(stderr, Arc::clone(&output));
        }
        Ok(Self { child, pid, output })
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
        self.memory_mib("VmRSS:")
    }

    /// The most memory that it has had in RAM, in MiB.
    pub fn peak_mib(&self) -> Result<f64> {
        self.memory_mib("VmHWM:")
    }

    fn memory_mib(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .context("the process has ended, or this is not Linux")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib: String = line.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        let kib: f64 = kib.parse().context("/proc does not say how much memory it has")?;
        Ok(kib / 1024.0)
    }

    /// Bytes that it has written to standard output and standard error: what would be its log.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.output.bytes.load(Ordering::Relaxed)
    }

    /// The end of what it has written.
    #[must_use]
    pub fn last_words(&self) -> String {
        String::from_utf8_lossy(&self.output.end()).trim().to_owned()
    }

    /// Waits until it ends by itself; all that it has written, as far as it was kept.
    pub async fn ended(&mut self) -> Result<String> {
        let status = self.child.wait().await.context("the process was lost")?;
        // Its output is read by tasks of this thread, which have not had their turn.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let words = self.last_words();
        ensure!(status.success(), "the process failed ({status}): {words}");
        Ok(words)
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
    ensure!(chrt.status.success(), "cannot choose how a process is scheduled: {}", words.trim());
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

impl Output {
    fn end(&self) -> MutexGuard<'_, Vec<u8>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a pipe to its end, so that the process never waits for its reader.
fn read(mut pipe: impl AsyncRead + Unpin + Send + 'static, output: Arc<Output>) {
    tokio::spawn(async move {
        let mut buffer = vec![0; KEPT_OUTPUT];
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            output.bytes.fetch_add(read as u64, Ordering::Relaxed);
            let mut end = output.end();
            end.extend_from_slice(&buffer[..read]);
            let surplus = end.len().saturating_sub(KEPT_OUTPUT);
            end.drain(..surplus);
        }
    });
}
