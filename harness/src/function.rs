//! A function under measurement: a program that speaks the Runtime API, given events back to back.
//!
//! [`Hosted`](crate::Hosted) is the same for a test.

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
use crate::runtime_api::{Invocation, Pending, RuntimeApi};

/// The time limit of every invocation.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The variables of a program's environment; of two with one name the last counts.
pub type Environment = Vec<(&'static str, String)>;

/// A program that speaks the Runtime API.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<PathBuf>,
    /// Its environment, beside what Lambda itself sets; nothing is inherited.
    pub environment: Environment,
}

/// A running function.
#[derive(Debug)]
pub struct Function {
    /// The process.
    pub process: Process,
    /// From the start of the process to its first request for an event.
    pub init: Duration,
    pub(crate) api: RuntimeApi,
}

/// What some invocations cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From the first event to the last answer.
    pub wall: Duration,
    /// The process's processor time meanwhile.
    pub cpu: Duration,
}

impl Program {
    /// A program without arguments.
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
        let asks_for_none = || {
            let words = function.process.last_words();
            anyhow!("{} asks for no event: {words}", program.path.display())
        };
        function.init = ready.ok_or_else(asks_for_none)? - started;
        Ok(function)
    }

    /// Starts the program; also, when it first asks for an event.
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
            .env("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .envs(program.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(command, cores)?;
        Ok((Self { process, init: Duration::ZERO, api }, ready))
    }

    /// One invocation.
    pub async fn invoke(&mut self, event: Bytes) -> Result<Invocation> {
        let pending = self.api.invoke(event, TIME_LIMIT);
        self.ended(pending).await
    }

    /// One invocation, whose answer must be the same JSON as `expected`; how long it took.
    pub async fn invoke_expecting(&mut self, event: Bytes, expected: &str) -> Result<Duration> {
        let invocation = self.invoke(event).await?;
        self.check(&invocation, expected)?;
        Ok(invocation.took)
    }

    /// Invocations back to back. Each answer must be `expected`, or the figures would be of something
    /// else.
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

    /// [`Function::run`] on every function at the same time, with the same events.
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
                "the function answered {} where {expected} was expected; its log ends with\n{}",
                String::from_utf8_lossy(other),
                self.process.last_words()
            ),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
impl Cost {
    /// How many a second, of `count` in all.
    #[must_use]
    pub fn rate(self, count: usize) -> f64 {
        count as f64 / self.wall.as_secs_f64()
    }

    /// Processor time of each of `count`, in microseconds.
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
    fn an_answer_may_have_other_spaces_but_no_other_value() {
        let expected = r#"{"batchItemFailures":[]}"#;
        assert!(is_same(br#"{"batchItemFailures": []}"#, expected));
        for other in [r#"{"batchItemFailures":[1]}"#, "{", ""] {
            assert!(!is_same(other.as_bytes(), expected), "{other}");
        }
    }
}
