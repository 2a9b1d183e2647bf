//! Runs a function's bootstrap for a test: JSON in and out, and its whole log.
//!
//! The rule: only a few bootstraps run at once. A failure of the host panics with the end of the function's log.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use docintell::checkout::Checkout;
use docintell::local::build::{self, Binary, Profile};
use docintell::progress::Progress;
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::function::{Function, Program};
use crate::runtime_api::{Invoker, StartError};

/// Limits how many bootstraps run at once. Each AWS call must answer within a second, so each function needs its
/// share of a processor.
static PLACES: Semaphore = Semaphore::const_new(4);

#[derive(Debug)]
pub struct Hosted {
    name: &'static str,
    function: Function,
    _place: Option<SemaphorePermit<'static>>,
}

impl Hosted {
    /// Starts the bootstrap of `function` with `environment` and Lambda's own variables.
    pub async fn start(function: &'static str, environment: &[(&'static str, String)]) -> Self {
        let place = place().await;
        Self::start_in(Some(place), function, environment).await
    }

    /// Starts a second bootstrap in the place of this one. A test that waited for a second place could wait for
    /// others that do the same.
    pub async fn start_beside(
        &self,
        function: &'static str,
        environment: &[(&'static str, String)],
    ) -> Self {
        Self::start_in(None, function, environment).await
    }

    async fn start_in(
        place: Option<SemaphorePermit<'static>>,
        function: &'static str,
        environment: &[(&'static str, String)],
    ) -> Self {
        let program = Program::new(bootstrap(function).await, environment.to_vec());
        let started = Function::spawn(&program, None).await;
        let (started, _ready) = started.expect("the bootstrap can be started");
        Self { name: function, function: started, _place: place }
    }

    /// Invokes the function with the time limit of template.yaml; `Err` is the function's error.
    pub async fn invoke(&self, payload: Value) -> Result<Value, Value> {
        self.invoke_within(self.time_limit(), payload).await
    }

    /// [`Hosted::invoke`] with another time limit, which starts when the bootstrap takes the event. Panics at the time
    /// limit, when Lambda would end the function.
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

    /// Invokes the function as another function does, for [`Lambda::Runs`](crate::Lambda::Runs).
    #[must_use]
    pub fn invoker(&self) -> Invoker {
        self.function.api.invoker(self.time_limit())
    }

    /// Invokes the function with a batch; returns the identifiers of the failed items.
    pub async fn report(&self, batch: Value) -> Vec<String> {
        self.report_within(self.time_limit(), batch).await
    }

    /// [`Hosted::report`] with another time limit; see [`Hosted::invoke_within`].
    pub async fn report_within(&self, time_limit: Duration, batch: Value) -> Vec<String> {
        let answer = self.invoke_within(time_limit, batch).await;
        let answer = answer.expect("the function returns no error");
        let failures = answer["batchItemFailures"].as_array().expect("the answer lists failures");
        let name = |failure: &Value| failure["itemIdentifier"].as_str().map(str::to_owned);
        failures.iter().map(|failure| name(failure).expect("a failure has an identifier")).collect()
    }

    /// The time limit of template.yaml.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(if self.name == "sender" { 20 } else { 30 })
    }

    /// The address of its Runtime API.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.function.api.address()
    }

    /// Asserts that only the bootstrap's own runtime has connected to the Runtime API.
    pub fn assert_nobody_else_called(&self) {
        self.function.api.assert_nobody_else_called();
    }

    /// What the bootstrap has reported to Lambda because it cannot start.
    #[must_use]
    pub fn start_error(&self) -> Option<StartError> {
        self.function.api.start_error()
    }

    /// A figure from `/proc/<pid>/status`, such as `VmRSS`, in KiB.
    #[must_use]
    pub fn memory_kib(&self, figure: &str) -> u64 {
        self.function.process.memory_kib(figure).expect("the bootstrap runs").into()
    }

    /// All output so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.function.process.log()
    }

    /// Kills the bootstrap; returns all of its output.
    pub async fn finish(mut self) -> String {
        self.function.process.kill().expect("the bootstrap can be killed");
        self.ended().await
    }

    /// Waits until the bootstrap exits; returns all of its output.
    pub async fn ended(&mut self) -> String {
        self.function.process.ended().await.expect("the bootstrap exits");
        self.log()
    }
}

/// Waits until another bootstrap may run. [`Hosted::start`] calls it.
pub async fn place() -> SemaphorePermit<'static> {
    PLACES.acquire().await.expect("the semaphore is never closed")
}

/// Builds the functions once; returns the binary of `function`.
pub async fn bootstrap(function: &str) -> &'static Path {
    static BINARIES: OnceCell<Vec<Binary>> = OnceCell::const_new();
    let built = BINARIES
        .get_or_try_init(async || {
            let checkout = Checkout::find()?;
            build::functions(&checkout, Profile::of_this_program(), Progress::Shown).await
        })
        .await
        .unwrap_or_else(|error| panic!("the functions cannot be built: {error:?}"));
    &built.iter().find(|binary| binary.name == function).expect("a function has this name").path
}
