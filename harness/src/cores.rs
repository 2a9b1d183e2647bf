//! Which processor runs what: one is for what is measured, another for everything around it.

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    ours: usize,
    measured: usize,
}

impl Cores {
    /// Two of the processors that this program may run on; where there is one, both are that one.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None)
            .map_err(|error| anyhow!("cannot ask for processors: {error}"))?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&at| allowed.is_set(at));
        let ours = allowed.next().context("no processor is allowed")?;
        Ok(Self { ours, measured: allowed.next().unwrap_or(ours) })
    }

    /// Whether what is measured has a processor to itself.
    #[must_use]
    pub fn are_apart(self) -> bool {
        self.ours != self.measured
    }

    /// Moves the calling thread, and threads that it starts, to our processor.
    pub fn stay(self) -> Result<()> {
        pin(self.ours)
    }

    /// Runs `start` on the other processor, so that a process that it starts is there from its first
    /// instruction on and stays there.
    pub fn start_measured<T>(self, start: impl FnOnce() -> T) -> Result<T> {
        pin(self.measured)?;
        let started = start();
        pin(self.ours)?;
        Ok(started)
    }
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| anyhow!("cannot choose the processor: {error}"))
}
