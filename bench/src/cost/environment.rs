//! An execution environment as Lambda would bill it.
//!
//! The rule: time that a function waits is counted as it passes here; time that it computes is stretched to
//! the share of a processor that its memory gets on AWS.

use std::time::Duration;

use anyhow::{Result, bail};
use harness::{Cores, Function, Program};
use hyper::body::Bytes;

use crate::neighbours::template;

/// Memory that comes with one whole processor, in MB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const PROCESSOR_MB: f64 = 1769.0;

/// A function's process, and what it has cost so far.
#[derive(Debug)]
pub struct Environment {
    function: Function,
    memory_mb: f64,
    /// Its processor time when the last invocation had ended.
    cpu: Duration,
    compute: Compute,
}

/// What Lambda bills.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Compute {
    /// Invocations.
    pub invocations: u64,
    /// Billed time, starting included.
    pub billed: Duration,
    /// Memory times billed time.
    pub gb_seconds: f64,
    /// Bytes written to standard output and standard error.
    pub log_bytes: u64,
}

impl Environment {
    /// Starts a function, which is billed too.
    pub async fn start(program: &Program, cores: Option<Cores>) -> Result<Self> {
        let function = Function::start(program, cores).await?;
        let cpu = function.process.cpu_time()?;
        let memory_mb = memory_mb();
        let billed = billed(function.init, cpu, memory_mb);
        let compute = Compute { billed, ..Compute::default() };
        Ok(Self { function, memory_mb, cpu, compute })
    }

    /// One invocation, whose answer must be `expected`.
    pub async fn invoke_expecting(&mut self, event: Bytes, expected: &str) -> Result<()> {
        let took = self.function.invoke_expecting(event, expected).await?;
        self.bill(took)
    }

    /// One invocation; what the function answered.
    pub async fn invoke(&mut self, event: Bytes) -> Result<Bytes> {
        let invocation = self.function.invoke(event).await?;
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
        self.compute.invocations += 1;
        self.compute.billed += billed(took, cpu.saturating_sub(self.cpu), self.memory_mb);
        self.cpu = cpu;
        Ok(())
    }

    /// Ends it; what it has cost.
    pub async fn end(mut self) -> Result<Compute> {
        // What it wrote last is still on its way.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.compute.gb_seconds = self.compute.billed.as_secs_f64() * self.memory_mb / 1024.0;
        self.compute.log_bytes = self.function.process.bytes_written();
        Ok(self.compute)
    }
}

impl std::ops::AddAssign for Compute {
    fn add_assign(&mut self, other: Self) {
        self.invocations += other.invocations;
        self.billed += other.billed;
        self.gb_seconds += other.gb_seconds;
        self.log_bytes += other.log_bytes;
    }
}

/// The memory that the template gives each function.
#[must_use]
pub fn memory_mb() -> f64 {
    f64::from(template::number::<u32>("FunctionMemory", "Default"))
}

/// What is billed for something that took so long here and computed for `cpu` of it.
fn billed(took: Duration, cpu: Duration, memory_mb: f64) -> Duration {
    let stretched = cpu.mul_f64((PROCESSOR_MB / memory_mb).max(1.0));
    let exact = took.saturating_sub(cpu) + stretched;
    // Each invocation is rounded up to the next millisecond.
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
