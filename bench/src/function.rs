//! A function under measurement: the real bootstrap as a process, and the Runtime API that it works for,
//! which hands out events back to back.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::future::try_join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::cores::Cores;
use crate::process::Process;
use crate::server::{Answer, Server};

/// What every function is told of its own time limit.
const TIME_LIMIT: Duration = Duration::from_secs(30);

const INVOCATIONS: &str = "/2018-06-01/runtime/invocation/";

/// A program that speaks the Runtime API, and what it is told.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<PathBuf>,
    /// Its environment, beside what Lambda itself sets; nothing is inherited.
    pub environment: Vec<(&'static str, String)>,
}

/// A running function.
#[derive(Debug)]
pub struct Function {
    /// The process.
    pub process: Process,
    /// From the start of the process to its first request for an event.
    pub init: Duration,
    events: mpsc::UnboundedSender<Bytes>,
    answers: mpsc::UnboundedReceiver<Invocation>,
    _api: Server,
}

/// An invocation that has ended.
#[derive(Debug)]
pub struct Invocation {
    /// From handing out the event to receiving the answer.
    pub took: Duration,
    /// What the function answered; `Err` is the error that it reported.
    pub answer: Result<Bytes, Bytes>,
}

/// What some invocations cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From the first event to the last answer.
    pub wall: Duration,
    /// The process's processor time meanwhile.
    pub cpu: Duration,
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

impl Function {
    /// Starts the program and waits for its first request for an event.
    pub async fn start(program: &Program, cores: Option<Cores>) -> Result<Self> {
        let (events, queue) = mpsc::unbounded_channel();
        let (answered, answers) = mpsc::unbounded_channel();
        let (ready, first) = oneshot::channel();
        let api = Arc::new(Api {
            queue: tokio::sync::Mutex::new(queue),
            answered,
            ready: Mutex::new(Some(ready)),
            handed_out: Mutex::new(Instant::now()),
            number: AtomicU64::new(0),
        });
        let server = Server::start(None, move |request| {
            let api = Arc::clone(&api);
            async move { api.answer(request).await }
        })
        .await?;
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", server.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "measured")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .envs(program.environment.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        let process = Process::start(command, cores)?;
        let first =
            timeout(TIME_LIMIT, first).await.ok().and_then(Result::ok).ok_or_else(|| {
                anyhow!("{} asks for no event: {}", program.path.display(), process.last_words())
            })?;
        let init = first - started;
        Ok(Self { process, init, events, answers, _api: server })
    }

    /// One invocation.
    pub async fn invoke(&mut self, event: Bytes) -> Result<Invocation> {
        self.events.send(event).context("the Runtime API has ended")?;
        match timeout(TIME_LIMIT, self.answers.recv()).await {
            Ok(Some(invocation)) => Ok(invocation),
            _ => bail!("no answer within {TIME_LIMIT:?}: {}", self.process.last_words()),
        }
    }

    /// One invocation, whose answer must be `expected`, but for spaces.
    pub async fn invoke_expecting(&mut self, event: Bytes, expected: &str) -> Result<Duration> {
        let invocation = self.invoke(event).await?;
        self.check(&invocation, expected)?;
        Ok(invocation.took)
    }

    /// Invocations back to back, each of whose answers must be `expected`, or the figures would be of
    /// something else.
    pub async fn run(
        &mut self,
        events: impl IntoIterator<Item = Bytes>,
        expected: &str,
    ) -> Result<Cost> {
        let (begun, cpu) = (Instant::now(), self.process.cpu_time()?);
        let mut open = 0;
        for event in events {
            self.events.send(event).context("the Runtime API has ended")?;
            open += 1;
        }
        for _ in 0..open {
            let Ok(Some(invocation)) = timeout(TIME_LIMIT, self.answers.recv()).await else {
                bail!("no answer within {TIME_LIMIT:?}: {}", self.process.last_words());
            };
            self.check(&invocation, expected)?;
        }
        Ok(Cost { wall: begun.elapsed(), cpu: self.process.cpu_time()?.saturating_sub(cpu) })
    }

    /// The same invocations by every function, all of them at a time, as [`Function::run`] makes them of one.
    pub async fn run_all(functions: &mut [Self], events: &[Bytes], expected: &str) -> Result<Cost> {
        let begun = Instant::now();
        let runs = functions.iter_mut().map(|it| it.run(events.iter().cloned(), expected));
        let costs = try_join_all(runs).await?;
        Ok(Cost { wall: begun.elapsed(), cpu: costs.iter().map(|cost| cost.cpu).sum() })
    }

    fn check(&self, invocation: &Invocation, expected: &str) -> Result<()> {
        match &invocation.answer {
            Ok(answer) if answer == expected.as_bytes() || is_same(answer, expected) => Ok(()),
            Ok(other) | Err(other) => bail!(
                "the function answered {} where {expected} was expected; its log: {}",
                String::from_utf8_lossy(other),
                self.process.last_words()
            ),
        }
    }
}

#[derive(Debug)]
struct Api {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Bytes>>,
    answered: mpsc::UnboundedSender<Invocation>,
    ready: Mutex<Option<oneshot::Sender<Instant>>>,
    handed_out: Mutex<Instant>,
    number: AtomicU64,
}

impl Api {
    async fn answer(&self, request: Request<Bytes>) -> Answer {
        let path = request.uri().path();
        let Some(rest) = path.strip_prefix(INVOCATIONS) else {
            return status(StatusCode::NOT_FOUND);
        };
        if rest == "next" {
            return self.next().await;
        }
        let is_error = rest.ends_with("/error");
        let body = request.into_body();
        let handed_out = *self.handed_out.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if is_error { Err(body) } else { Ok(body) };
        // Nobody reads it any more when the measurement was given up.
        self.answered.send(Invocation { took: handed_out.elapsed(), answer }).ok();
        status(StatusCode::ACCEPTED)
    }

    /// The next event, once there is one.
    async fn next(&self) -> Answer {
        if let Some(ready) = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take() {
            ready.send(Instant::now()).ok();
        }
        let Some(event) = self.queue.lock().await.recv().await else {
            return status(StatusCode::GONE);
        };
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let deadline = SystemTime::now() + TIME_LIMIT;
        let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let answer = Response::builder()
            .header("content-type", "application/json")
            .header(
                "lambda-runtime-aws-request-id",
                format!("8476a536-e9f4-11e8-9739-{number:012}"),
            )
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:measured",
            )
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
            .body(Full::new(event))
            .expect("every header is ASCII");
        *self.handed_out.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        answer
    }
}

/// Whether two texts are the same JSON.
fn is_same(one: &[u8], other: &str) -> bool {
    let (one, other) = (serde_json::from_slice(one), serde_json::from_str(other));
    matches!((one, other), (Ok::<Value, _>(one), Ok::<Value, _>(other)) if one == other)
}

fn status(code: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = code;
    answer
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
