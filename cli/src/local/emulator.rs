//! Runs the AWS emulator as a child process.
//!
//! The rule: the emulator stops when its standard input closes. If this process ends, even by a kill, the system
//! closes the pipe, and the emulator stops itself and the functions.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use tokio::sync::{oneshot, watch};

use super::Options;

/// A running emulator. Dropping it stops it and waits until it has ended.
#[derive(Debug)]
pub(super) struct Emulator {
    stdin: Option<ChildStdin>,
    ended: watch::Receiver<Option<String>>,
    watcher: Option<JoinHandle<()>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Addresses {
    /// URL of every AWS service.
    pub(super) endpoint: String,
    /// URL of the stack's HTTP API.
    pub(super) api_url: String,
    pub(super) region: String,
}

impl Emulator {
    /// Starts an emulator and waits until it accepts connections.
    pub(super) async fn start(python: &Path, options: &Options) -> Result<(Self, Addresses)> {
        let task = options.progress.begin("starting the AWS emulator");
        let mut child = Command::new(python)
            .arg(options.checkout.script("emulator.py"))
            .args(["--host", &options.emulator_host.to_string()])
            .args(["--port", &options.emulator_port.to_string()])
            .args(["--api-port", &options.api_port.to_string()])
            .arg("--folder")
            .arg(&options.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("the AWS emulator cannot be started")?;
        let stdin = child.stdin.take();
        let (send_ready, ready) = oneshot::channel();
        let (send_ended, ended) = watch::channel(None);
        // A thread, because a stack may outlive the tokio runtime that starts it.
        let watcher = thread::spawn(move || {
            let first_line = child.stdout.take().and_then(|stdout| {
                let mut line = String::new();
                BufReader::new(stdout).read_line(&mut line).ok().map(|_| line)
            });
            // A send fails if the caller has cancelled the start, which also closes the emulator's standard input.
            drop(send_ready.send(first_line.unwrap_or_default()));
            let mut errors = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                drop(stderr.read_to_string(&mut errors));
            }
            drop(child.wait());
            send_ended.send_replace(Some(errors.trim().to_owned()));
        });
        let mut emulator = Self { stdin, ended, watcher: Some(watcher) };
        let line = task.watch(ready).await.unwrap_or_default();
        if line.is_empty() {
            return Err(emulator.ended().await);
        }
        let addresses: Addresses = serde_json::from_str(&line)
            .with_context(|| format!("the AWS emulator's first line cannot be read: {line}"))?;
        task.done(format_args!("AWS emulator at {}", addresses.endpoint));
        Ok((emulator, addresses))
    }

    /// Waits until the emulator ends; the error says why.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        let errors =
            self.ended.wait_for(Option::is_some).await.ok().and_then(|errors| errors.clone());
        match errors {
            Some(errors) if !errors.is_empty() => anyhow!(errors),
            _ => anyhow!("the AWS emulator was killed"),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if let Some(watcher) = self.watcher.take() {
            // Takes a moment. Then the emulator's ports are free again.
            drop(watcher.join());
        }
    }
}
