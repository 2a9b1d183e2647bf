//! How a function's program runs, and how it ends: with the reason in the log, as a sentence.

use std::error::Error;
use std::process::ExitCode;

use tokio::task::spawn_local;
use tracing::error;

use crate::aws::chain;

/// What `main` returns once `function` has ended; a failure is logged with all its causes.
///
/// The function is a task of its own, on tokio's local runtime. As part of `main` it would not be in the queue of
/// tasks, and for each time that a connection's task wakes it the kernel would be asked for events in between.
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
