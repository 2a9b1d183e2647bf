//! Running a function whose events are read from their bytes.
//!
//! `lambda_runtime` reads an event itself, and notes the path to every field in case it has an error to report: a
//! third of the time that a batch takes to read. So it is given an empty event to read, and the function the
//! real one.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Error, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use serde::Serialize;

/// The event of the invocation that is under way; an environment has one at a time.
type PendingEvent = Arc<Mutex<Bytes>>;

/// Answers every event with what `handler` makes of its bytes, until the environment ends. `handler` is also
/// told when the invocation ends.
pub async fn run<A: Serialize>(
    handler: impl AsyncFn(&[u8], SystemTime) -> Result<A, Error>,
) -> Result<(), Error> {
    let (event, handler) = (PendingEvent::default(), &handler);
    let answer = |invocation: LambdaEvent<()>| {
        let bytes = mem::take(&mut *event.lock().unwrap_or_else(PoisonError::into_inner));
        async move { handler(&bytes, invocation.context.deadline()).await }
    };
    Runtime::new(service_fn(answer))
        .layer(layer_fn(|inner| SetAside { inner, event: Arc::clone(&event) }))
        .layer(TracingLayer::new())
        .run()
        .await
}

/// Puts an invocation's event aside before it is read.
struct SetAside<S> {
    inner: S,
    event: PendingEvent,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for SetAside<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        let bytes = mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        *self.event.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        self.inner.call(invocation)
    }
}
