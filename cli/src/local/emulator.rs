//! The AWS emulator, as a child that ends with us.
//!
//! The rule: its standard input is its life line. However this process ends, the system closes the pipe,
//! and the emulator takes itself and the functions down.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use tokio::sync::{oneshot, watch};

use super::Options;

/// A running emulator; dropping it ends it and waits for its end.
#[derive(Debug)]
pub(super) struct Emulator {
    life_line: Option<ChildStdin>,
    ended: watch::Receiver<Option<String>>,
    keeper: Option<JoinHandle<()>>,
}

/// Where an emulator answers.
#[derive(Debug, Deserialize)]
pub(super) struct Addresses {
    /// Every AWS service.
    pub(super) endpoint: String,
    /// The stack's HTTP API, at the root.
    pub(super) api_url: String,
    /// The emulated region.
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
        let life_line = child.stdin.take();
        let (tell_ready, ready) = oneshot::channel();
        let (tell_ended, ended) = watch::channel(None);
        // A thread and not a task: a stack may outlive the runtime that started it.
        let keeper = thread::spawn(move || {
            let first_line = child.stdout.take().and_then(|stdout| {
                let mut line = String::new();
                BufReader::new(stdout).read_line(&mut line).ok().map(|_| line)
            });
            // Nobody waits any more when the start was given up; the life line is cut then.
            drop(tell_ready.send(first_line.unwrap_or_default()));
            let mut said = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                drop(stderr.read_to_string(&mut said));
            }
            drop(child.wait());
            tell_ended.send_replace(Some(said.trim().to_owned()));
        });
        let mut emulator = Self { life_line, ended, keeper: Some(keeper) };
        let line = task.watch(ready).await.unwrap_or_default();
        if line.is_empty() {
            return Err(emulator.ended().await);
        }
        let addresses: Addresses = serde_json::from_str(&line)
            .with_context(|| format!("the AWS emulator's first line cannot be read: {line}"))?;
        task.done(format_args!("AWS emulator at {}", addresses.endpoint));
        Ok((emulator, addresses))
    }

    /// Waits for the emulator's end, which nobody asked for, and says why it ended.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        let said = self.ended.wait_for(Option::is_some).await.ok().and_then(|said| said.clone());
        match said {
            Some(said) if !said.is_empty() => anyhow!(said),
            _ => anyhow!("the AWS emulator was killed"),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.life_line.take());
        if let Some(keeper) = self.keeper.take() {
            // It ends in a moment; then its ports are free for the next.
            drop(keeper.join());
        }
    }
}
