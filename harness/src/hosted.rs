//! A function's bootstrap as a test hosts it: JSON in and out, its whole log kept.
//!
//! The rule: only a few run at once. Any failure of the host panics with the end of the function's log.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use docintell::checkout::Checkout;
use docintell::local::build::{self, Binary, Profile};
use docintell::progress::Progress;
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::function::{Function, Program};

/// How many bootstraps run at once, however many tests do: the functions give each AWS call one second,
/// which needs a share of a processor for each of them.
static PLACES: Semaphore = Semaphore::const_new(4);

/// A bootstrap that takes invocations.
#[derive(Debug)]
pub struct Hosted {
    name: &'static str,
    function: Function,
    _place: SemaphorePermit<'static>,
}

impl Hosted {
    /// Starts the bootstrap of `function` with `environment` and what Lambda itself sets.
    pub async fn start(function: &'static str, environment: &[(&'static str, String)]) -> Self {
        let place = place().await;
        let program = Program::new(bootstrap(function).await, environment.to_vec());
        let started = Function::spawn(&program, None).await;
        let (started, _ready) = started.expect("the bootstrap can be started");
        Self { name: function, function: started, _place: place }
    }

    /// What the function answers to `payload`, `Err` being its error, with the time of template.yaml.
    pub async fn invoke(&self, payload: Value) -> Result<Value, Value> {
        self.invoke_within(self.time_limit(), payload).await
    }

    /// The same with another time limit, which begins when the bootstrap takes the event; panics when it is
    /// over, as Lambda would end the function.
    pub async fn invoke_within(
        &self,
        time_limit: Duration,
        payload: Value,
    ) -> Result<Value, Value> {
        let pending = self.function.api.invoke(payload.to_string().into(), time_limit);
        let invocation = pending.ended().await.unwrap_or_else(|what| {
            panic!("{what}; the log ends with\n{}", self.function.process.last_words())
        });
        let json = |text: &[u8]| serde_json::from_slice(text).expect("an answer is JSON");
        invocation.answer.map(|answer| json(&answer)).map_err(|error| json(&error))
    }

    /// The names of what the function reports as failed, of a batch that as a whole succeeds.
    pub async fn report(&self, batch: Value) -> Vec<String> {
        self.report_within(self.time_limit(), batch).await
    }

    /// The same with another time limit; see [`Hosted::invoke_within`].
    pub async fn report_within(&self, time_limit: Duration, batch: Value) -> Vec<String> {
        let answer = self.invoke_within(time_limit, batch).await;
        let answer = answer.expect("the batch as a whole succeeds");
        let failures = answer["batchItemFailures"].as_array().expect("it names its failures");
        let name = |failure: &Value| failure["itemIdentifier"].as_str().map(str::to_owned);
        failures.iter().map(|failure| name(failure).expect("it is by identifier")).collect()
    }

    /// As in template.yaml.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(if self.name == "sender" { 20 } else { 30 })
    }

    /// Where its Runtime API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.function.api.address()
    }

    /// Asserts that nothing but the bootstrap's own runtime has ever connected to the Runtime API.
    pub fn assert_nobody_else_called(&self) {
        self.function.api.assert_nobody_else_called();
    }

    /// A figure of the process in `/proc/<pid>/status`, such as `VmRSS`, in KiB.
    #[must_use]
    pub fn memory_kib(&self, figure: &str) -> u64 {
        self.function.process.memory_kib(figure).expect("the bootstrap runs").into()
    }

    /// What the bootstrap has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.function.process.log()
    }

    /// Ends the bootstrap; everything it has written.
    pub async fn finish(mut self) -> String {
        self.function.process.kill().expect("it can be killed");
        self.ended().await
    }

    /// Waits for the bootstrap to end by itself; everything it has written.
    pub async fn ended(&mut self) -> String {
        self.function.process.ended().await.expect("it ends");
        self.log()
    }
}

/// Waits until another bootstrap may run; [`Hosted`] does so by itself.
pub async fn place() -> SemaphorePermit<'static> {
    PLACES.acquire().await.expect("it is never closed")
}

/// A function's binary, which is built first.
pub async fn bootstrap(function: &str) -> &'static Path {
    static BINARIES: OnceCell<Vec<Binary>> = OnceCell::const_new();
    let built = BINARIES
        .get_or_try_init(async || {
            let checkout = Checkout::find()?;
            build::functions(&checkout, Profile::of_this_program(), Progress::Shown).await
        })
        .await
        .unwrap_or_else(|error| panic!("the functions cannot be built: {error:?}"));
    &built.iter().find(|binary| binary.name == function).expect("it is a function's name").path
}
