//! Runs a function on the raw bytes of its events. Each function parses them itself and decides how it answers
//! malformed ones.

use std::time::SystemTime;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

/// Calls `handler` with each event's bytes and the invocation's deadline, until the execution environment ends.
/// Its result is the response, written as JSON.
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
