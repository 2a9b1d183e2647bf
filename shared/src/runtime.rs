//! Running a function whose events are read from their bytes: each function decides how it reads an event, and what
//! it answers when it cannot.

use std::time::SystemTime;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

/// Answers every event with what `handler` makes of its bytes, until the environment ends. `handler` is also
/// given the invocation's deadline.
pub async fn run<A: Serialize>(
    handler: impl AsyncFn(&[u8], SystemTime) -> Result<A, Error>,
) -> Result<(), Error> {
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let LambdaEvent { payload, context } = event;
        handler(payload.get().as_bytes(), context.deadline()).await
    }))
    .await
}
