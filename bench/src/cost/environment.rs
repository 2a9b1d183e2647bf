//! An execution environment as Lambda would bill it.
//!
//! The rule: time that a function waits is billed as it passes here; time that it computes is stretched to
//! the share of a processor that its memory gets on AWS.

use std::time::Duration;

use anyhow::{Result, bail};
use harness::{Cores, Function, Program};
use hyper::body::Bytes;

use crate::template;

/// Memory that comes with one whole processor, in MB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const PROCESSOR_MB: f64 = 1769.0;

/// A function's process, and what it has cost so far.
#[derive(Debug)]
pub(super) struct Environment {
    function: Function,
    /// Its processor time when the last invocation had ended.
    cpu: Duration,
    compute: Compute,
}

/// What Lambda bills.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Compute {
    /// Invocations.
    pub invocations: u64,
    /// Billed time, with the start.
    pub billed: Duration,
    /// Memory of the function.
    pub memory_mb: f64,
    /// Bytes written to standard output and standard error.
    pub log_bytes: u64,
}

impl Compute {
    /// Memory times billed time.
    pub(super) fn gb_seconds(&self) -> f64 {
        self.billed.as_secs_f64() * self.memory_mb / 1024.0
    }

    /// Of several environments of one function.
    pub(super) fn add(&mut self, other: Self) {
        self.invocations += other.invocations;
        self.billed += other.billed;
        self.memory_mb = other.memory_mb;
        self.log_bytes += other.log_bytes;
    }
}

impl Environment {
    /// Starts a function, which is billed too.
    pub(super) async fn start(program: &Program, cores: Cores) -> Result<Self> {
        let function = Function::start(program, Some(cores)).await?;
        let init = function.init;
        let compute = Compute { memory_mb: memory_mb(), ..Compute::default() };
        let mut environment = Self { function, cpu: Duration::ZERO, compute };
        environment.bill(init)?;
        Ok(environment)
    }

    /// One invocation; what the function answered.
    pub(super) async fn invoke(&mut self, event: Bytes) -> Result<Bytes> {
        let invocation = self.function.invoke(event).await?;
        self.compute.invocations += 1;
        self.bill(invocation.took)?;
        match invocation.answer {
            Ok(answer) => Ok(answer),
            Err(error) => bail!(
                "the function failed: {}; its log: {}",
                String::from_utf8_lossy(&error),
                self.function.process.last_words()
            ),
        }
    }

    fn bill(&mut self, took: Duration) -> Result<()> {
        let cpu = self.function.process.cpu_time()?;
        self.compute.billed += billed(took, cpu.saturating_sub(self.cpu), self.compute.memory_mb);
        self.cpu = cpu;
        Ok(())
    }

    /// Ends it; what it has cost.
    pub(super) async fn end(mut self) -> Compute {
        // What it wrote last is still on its way.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.compute.log_bytes = self.function.process.bytes_written();
        self.compute
    }
}

/// The memory that the template gives each function.
pub(super) fn memory_mb() -> f64 {
    template::number("FunctionMemory", "Default").into()
}

/// What is billed for something that took so long here and computed for `cpu` of it.
fn billed(took: Duration, cpu: Duration, memory_mb: f64) -> Duration {
    let stretched = cpu.mul_f64((PROCESSOR_MB / memory_mb).max(1.0));
    let exact = took.saturating_sub(cpu) + stretched;
    // Rounded up to the next millisecond.
    Duration::from_millis(u64::try_from(exact.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(took: u64, cpu: u64, memory_mb: f64) -> u128 {
        billed(Duration::from_millis(took), Duration::from_millis(cpu), memory_mb).as_millis()
    }

    #[test]
    fn waiting_is_billed_as_it_is_and_computing_by_the_share_of_a_processor() {
        assert_eq!(millis(60, 0, 256.0), 60);
        assert_eq!(millis(60, 10, 884.5), 70);
        assert_eq!(millis(60, 10, 3538.0), 60);
    }

    #[test]
    fn a_millisecond_that_is_begun_is_billed_whole() {
        assert_eq!(billed(Duration::from_micros(1001), Duration::ZERO, 256.0).as_millis(), 2);
    }

    #[test]
    fn the_template_gives_functions_a_part_of_a_processor() {
        assert!((128.0..PROCESSOR_MB).contains(&memory_mb()));
    }
}
