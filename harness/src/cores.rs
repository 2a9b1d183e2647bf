//! Divides two processors: one runs the measured process, the other one everything else.

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// Runs this program.
    own: usize,
    measured: usize,
}

impl Cores {
    /// Chooses two processors that this program may use. If there is only one, it serves for both.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None)
            .map_err(|error| anyhow!("cannot read the allowed processors: {error}"))?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&at| allowed.is_set(at));
        let own = allowed.next().context("this program may use no processor")?;
        Ok(Self { own, measured: allowed.next().unwrap_or(own) })
    }

    /// Whether the measured process has its own processor.
    #[must_use]
    pub fn are_apart(self) -> bool {
        self.own != self.measured
    }

    /// Moves the calling thread, and threads that it starts later, to this program's processor.
    pub fn stay(self) -> Result<()> {
        pin(self.own)
    }

    /// Runs `start` on the measured processor. A process that it starts runs there from its first instruction.
    pub fn start_measured<T>(self, start: impl FnOnce() -> T) -> Result<T> {
        pin(self.measured)?;
        let started = start();
        pin(self.own)?;
        Ok(started)
    }
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| anyhow!("cannot choose the processor: {error}"))
}
