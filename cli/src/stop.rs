//! Ctrl-C, SIGTERM and a closed terminal as a request to stop: work ends at the next safe point, and hidden messages
//! become visible again.

use std::error::Error;
use std::fmt::{self, Display};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

/// The user stopped a command before it was done. The sentence says what is left.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) String);

impl Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped: {}", self.0)
    }
}

impl Error for Stopped {}

/// Whether the user asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// From now on, these signals stop the work instead of the program.
    pub(crate) fn on_signals() -> Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be caught")?;
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
        let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be caught")?;
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            sender.send(true).ok();
            // A dropped sender could not be told from a stop.
            std::future::pending::<()>().await;
        });
        Ok(Self(receiver))
    }

    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when the user asks to stop.
    pub(crate) async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Sleeps, but not beyond a request to stop.
    pub(crate) async fn sleep(&self, duration: Duration) {
        timeout(duration, self.requested()).await.ok();
    }
}
