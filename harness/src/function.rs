//! Runs a function for a measurement: it gets events back to back from a Runtime API.
//!
//! [`Hosted`](crate::Hosted) does the same for tests.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cores::Cores;
use crate::process::Process;
use crate::runtime_api::{Invocation, Invoker, Pending, RuntimeApi};

/// The time limit of every invocation.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Environment variables; a later entry replaces an earlier one of the same name.
pub type Environment = Vec<(&'static str, String)>;

/// A program that uses the Runtime API.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<PathBuf>,
    /// Added to Lambda's own variables; nothing is inherited.
    pub environment: Environment,
}

#[derive(Debug)]
pub struct Function {
    pub process: Process,
    /// Time from the process's start to its first request for an event.
    pub init: Duration,
    pub(crate) api: RuntimeApi,
}

/// The cost of a number of invocations.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Time from the first event to the last answer.
    pub wall: Duration,
    /// Processor time of the process.
    pub cpu: Duration,
}

impl Program {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, environment: Environment) -> Self {
        Self { path: path.into(), arguments: Vec::new(), environment }
    }
}

impl Function {
    /// Starts the program and waits for its first request for an event.
    pub async fn start(program: &Program, cores: Option<Cores>) -> Result<Self> {
        let started = Instant::now();
        let (mut function, ready) = Self::spawn(program, cores).await?;
        let ready = timeout(TIME_LIMIT, ready).await.ok().and_then(Result::ok);
        let no_request = || {
            let words = function.process.last_words();
            anyhow!("{} did not ask for an event: {words}", program.path.display())
        };
        function.init = ready.ok_or_else(no_request)? - started;
        Ok(function)
    }

    /// Starts the program; the channel gets the time of its first request for an event.
    pub(crate) async fn spawn(
        program: &Program,
        cores: Option<Cores>,
    ) -> Result<(Self, oneshot::Receiver<Instant>)> {
        let name = program.path.file_stem().map(|name| name.to_string_lossy()).unwrap_or_default();
        let (api, ready) = RuntimeApi::start(&name).await;
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &*name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .envs(program.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(command, cores)?;
        Ok((Self { process, init: Duration::ZERO, api }, ready))
    }

    /// Invokes the function as another function does, for [`Lambda::Runs`](crate::Lambda::Runs).
    #[must_use]
    pub fn invoker(&self) -> Invoker {
        self.api.invoker(TIME_LIMIT)
    }

    pub async fn invoke(&mut self, event: Bytes) -> Result<Invocation> {
        let pending = self.api.invoke(event, TIME_LIMIT);
        self.ended(pending).await
    }

    /// Invokes the function and returns the time. The answer must be the same JSON as `expected`.
    pub async fn invoke_expecting(&mut self, event: Bytes, expected: &str) -> Result<Duration> {
        let invocation = self.invoke(event).await?;
        self.check(&invocation, expected)?;
        Ok(invocation.took)
    }

    /// Invokes the function with these events, back to back. Each answer must be the same JSON as `expected`.
    pub async fn run(
        &mut self,
        events: impl IntoIterator<Item = Bytes>,
        expected: &str,
    ) -> Result<Cost> {
        let (begun, cpu) = (Instant::now(), self.process.cpu_time()?);
        let events = events.into_iter();
        let pending: Vec<_> = events.map(|event| self.api.invoke(event, TIME_LIMIT)).collect();
        for pending in pending {
            let invocation = self.ended(pending).await?;
            self.check(&invocation, expected)?;
        }
        Ok(Cost { wall: begun.elapsed(), cpu: self.process.cpu_time()?.saturating_sub(cpu) })
    }

    /// Calls [`Function::run`] on all functions at the same time, with the same events.
    pub async fn run_all(functions: &mut [Self], events: &[Bytes], expected: &str) -> Result<Cost> {
        let begun = Instant::now();
        let runs = functions.iter_mut().map(|it| it.run(events.iter().cloned(), expected));
        let costs = try_join_all(runs).await?;
        Ok(Cost { wall: begun.elapsed(), cpu: costs.iter().map(|cost| cost.cpu).sum() })
    }

    async fn ended(&self, pending: Pending) -> Result<Invocation> {
        let log = || self.process.last_words();
        pending.ended().await.map_err(|what| anyhow!("{what}; its log ends with\n{}", log()))
    }

    fn check(&self, invocation: &Invocation, expected: &str) -> Result<()> {
        match &invocation.answer {
            Ok(answer) if answer == expected.as_bytes() || is_same(answer, expected) => Ok(()),
            Ok(other) | Err(other) => bail!(
                "the function answered {}, expected {expected}; its log ends with\n{}",
                String::from_utf8_lossy(other),
                self.process.last_words()
            ),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
impl Cost {
    /// `count` per second.
    #[must_use]
    pub fn rate(self, count: usize) -> f64 {
        count as f64 / self.wall.as_secs_f64()
    }

    /// Processor time per item of `count`, in microseconds.
    #[must_use]
    pub fn cpu_micros(self, count: usize) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / count as f64
    }
}

/// Whether two texts are the same JSON.
fn is_same(one: &[u8], other: &str) -> bool {
    let (one, other) = (serde_json::from_slice(one), serde_json::from_str(other));
    matches!((one, other), (Ok::<Value, _>(one), Ok::<Value, _>(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_as_json() {
        let expected = r#"{"batchItemFailures":[]}"#;
        assert!(is_same(br#"{"batchItemFailures": []}"#, expected));
        for other in [r#"{"batchItemFailures":[1]}"#, "{", ""] {
            assert!(!is_same(other.as_bytes(), expected), "{other}");
        }
    }
}
