//! Surrounds the real functions, for tests and the benchmark: a fake AWS, a Lambda Runtime API, and endpoints.
//!
//! ```no_run
//! use harness::fixtures::{BODY, first_receives, message, webhook};
//! use harness::{FakeAws, Hosted, Receiver, Reply, status};
//!
//! # async fn example() {
//! // An endpoint that answers 500, and an account with its webhook.
//! let receiver = Receiver::start(status(500)).await;
//! let hook = webhook(&receiver.url());
//! let aws = FakeAws::with_webhooks([&hook]).await;
//! aws.always("UpdateItem", Reply::Broken);
//!
//! // The real sender gets a batch of one message.
//! let sender = Hosted::start("sender", &aws.environment()).await;
//! let answer = sender.invoke(first_receives(&[message(&hook, 1)])).await.unwrap();
//! assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], "m0");
//! assert_eq!(receiver.arrivals()[0].body, BODY);
//! assert_eq!(aws.calls_of("ChangeMessageVisibility").len(), 1);
//! # }
//! ```
//!
//! | | for tests | for measurements |
//! |---|---|---|
//! | a function's process and its Runtime API | [`Hosted`]: JSON in and out, its log | [`Function`]: events back to back, times |
//! | AWS | [`FakeAws::with_webhooks`]: keeps each call, refuses what AWS refuses, fails on request | [`FakeAws::start`]: counts |
//! | an endpoint | [`Receiver::start`]: keeps each request | [`Receiver::counting`]: counts |
//!
//! Both columns share one implementation. In a measurement it skips extra work, because the measured function waits
//! for it. [`fixtures`] has rows, messages and events in AWS's own formats. [`Authority`] signs certificates for
//! endpoints with TLS.

#![allow(missing_docs, reason = "only tests and the benchmark use this crate")]
#![expect(
    clippy::missing_panics_doc,
    reason = "a failure of the harness ends the test or the measurement"
)]

mod attributes;
mod cores;
mod eventually;
mod fake_aws;
mod function;
mod hosted;
mod output;
mod process;
mod receiver;
mod runtime_api;
mod server;
mod tls;

pub mod fixtures;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use attributes::item;
pub use cores::Cores;
pub use eventually::{eventually, eventually_within};
pub use fake_aws::log::Stored;
pub use fake_aws::queue::{Queued, sent_but};
pub use fake_aws::size::queue_units_of;
pub use fake_aws::usage::{Operation, Requests, Unit, Usage};
pub use fake_aws::{Call, FakeAws, Lambda, Reply};
pub use function::{Cost, Environment, Function, Program};
pub use hosted::{Hosted, bootstrap, place};
pub use output::{
    assert_contains, assert_contains_times, assert_lacks, end, json_lines, log_lines, metric_lines,
};
pub use process::{Process, cpu_time, interrupt_nobody};
pub use receiver::{
    Act, Arrival, ClosedPort, Failing, Receiver, Script, after, answer, answer_and_close,
    by_number, status,
};
pub use runtime_api::{ACCOUNT, Invocation, Invoker, REQUEST_ID_PREFIX};
pub use tls::{Authority, NOW};
pub use tokio_rustls::TlsAcceptor;

/// Ignores poisoning: the thread that panicked reports its own failure.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
