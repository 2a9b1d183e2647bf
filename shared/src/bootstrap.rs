//! How a function's program ends: with the reason in the log, as a sentence.

use std::error::Error;
use std::process::ExitCode;

use tracing::error;

use crate::aws::chain;

/// What `main` returns; a failure is logged with all its causes.
pub fn exit_code(result: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = %chain(&*error), "the function cannot run");
            ExitCode::FAILURE
        }
    }
}
