//! Computes what Lambda bills for an execution environment.
//!
//! The rule: waiting time is billed as measured here. Processor time is scaled to the share of a processor that
//! the function's memory gets on AWS.

use std::time::Duration;

use anyhow::{Result, bail};
use harness::{Cores, Function, Program};
use hyper::body::Bytes;

use crate::template;

/// Memory in MB that gets one whole processor.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const PROCESSOR_MB: f64 = 1769.0;

/// A function's process and its cost so far.
#[derive(Debug)]
pub(super) struct Environment {
    function: Function,
    /// The process's processor time after the last invocation.
    cpu: Duration,
    compute: Compute,
}

/// Quantities that Lambda bills.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Compute {
    pub invocations: u64,
    /// Billed time, including the init.
    pub billed: Duration,
    pub memory_mb: f64,
    /// Bytes written to standard output and standard error.
    pub log_bytes: u64,
}

impl Compute {
    pub(super) fn gb_seconds(&self) -> f64 {
        self.billed.as_secs_f64() * self.memory_mb / 1024.0
    }

    /// Adds another environment of the same function.
    pub(super) fn add(&mut self, other: Self) {
        self.invocations += other.invocations;
        self.billed += other.billed;
        self.memory_mb = other.memory_mb;
        self.log_bytes += other.log_bytes;
    }
}

impl Environment {
    /// Starts a function and bills its init.
    pub(super) async fn start(program: &Program, cores: Cores) -> Result<Self> {
        let function = Function::start(program, Some(cores)).await?;
        let init = function.init;
        let compute = Compute { memory_mb: memory_mb(), ..Compute::default() };
        let mut environment = Self { function, cpu: Duration::ZERO, compute };
        environment.bill(init)?;
        Ok(environment)
    }

    /// Makes one invocation and returns the response.
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

    /// Ends the environment and returns its cost.
    pub(super) async fn end(mut self) -> Compute {
        // Waits for the last log lines to arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.compute.log_bytes = self.function.process.bytes_written();
        self.compute
    }
}

/// The memory of each function in the template.
pub(super) fn memory_mb() -> f64 {
    template::number("FunctionMemory", "Default").into()
}

/// The billed duration of work that took `took` here, `cpu` of it on the processor.
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
    fn waiting_is_billed_as_measured_and_computing_by_the_share_of_a_processor() {
        assert_eq!(millis(60, 0, 256.0), 60);
        assert_eq!(millis(60, 10, 884.5), 70);
        assert_eq!(millis(60, 10, 3538.0), 60);
    }

    #[test]
    fn billed_time_is_rounded_up_to_a_millisecond() {
        assert_eq!(billed(Duration::from_micros(1001), Duration::ZERO, 256.0).as_millis(), 2);
    }

    #[test]
    fn functions_get_a_part_of_a_processor() {
        assert!((128.0..PROCESSOR_MB).contains(&memory_mb()));
    }
}
