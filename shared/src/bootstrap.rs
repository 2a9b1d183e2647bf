//! Runs a function's program and logs the error that ends it.

use std::error::Error;
use std::process::ExitCode;

use tokio::task::spawn_local;
use tracing::error;

use crate::aws::chain;

/// Runs `function` to its end and returns the exit code for `main`. A failure is logged with all its causes.
///
/// Runs `function` as a task of its own on tokio's local runtime. Inside `main` it would not be in the task
/// queue: each time that a connection's task wakes it, the runtime would first poll the kernel for events.
pub async fn exit_code(
    function: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + 'static,
) -> ExitCode {
    match spawn_local(function).await.map_err(Into::into).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = %chain(&*error), "the function cannot run");
            ExitCode::FAILURE
        }
    }
}
