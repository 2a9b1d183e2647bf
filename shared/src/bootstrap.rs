//! Runs a function's program, and tells the log and Lambda the error that ends it.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use serde_json::json;
use tokio::task::{JoinError, spawn_local};
use tokio::time::timeout;
use tracing::{error, warn};

use crate::aws::chain;
use crate::aws::http::pooled;
use crate::env;

/// Time limit for the report to Lambda, on the same machine. A start has 10 s in all.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Lambda's categories of failed starts: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
const INVALID_CONFIGURATION: &str = "Runtime.ConfigInvalid";
const UNKNOWN: &str = "Runtime.UnknownReason";

/// Runs `function` to its end and returns the exit code for `main`. A failure is logged with all its causes, and
/// reported to Lambda, which shows it in place of an exit code. Lambda ignores a report after the start.
///
/// Runs `function` as a task of its own on tokio's local runtime. Inside `main` it would not be in the task
/// queue: each time that a connection's task wakes it, the runtime would first poll the kernel for events.
pub async fn exit_code(
    function: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + 'static,
) -> ExitCode {
    let Err(Failure { category, message }) = result(spawn_local(function).await) else {
        return ExitCode::SUCCESS;
    };
    error!(error = message, "the function cannot run");
    if let Err(error) = report(category, &message).await {
        warn!(error = %chain(&*error), "Lambda did not accept the report of the failed start");
    }
    ExitCode::FAILURE
}

#[derive(Debug, PartialEq, Eq)]
struct Failure {
    category: &'static str,
    /// The error with its causes, or the panic's message.
    message: String,
}

fn result(
    ended: Result<Result<(), Box<dyn Error + Send + Sync>>, JoinError>,
) -> Result<(), Failure> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure { category: INVALID_CONFIGURATION, message: chain(&*error) }),
        Err(panic) => Err(Failure { category: UNKNOWN, message: chain(&panic) }),
    }
}

/// Posts a failed start to Lambda. `lambda_runtime` reports only errors of its own.
async fn report(category: &str, message: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let api = env::required("AWS_LAMBDA_RUNTIME_API")?;
    let body = json!({"errorType": category, "errorMessage": message, "stackTrace": []});
    let request = Request::post(format!("http://{api}/2018-06-01/runtime/init/error"))
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Function-Error-Type", category)
        .body(Full::new(Bytes::from(body.to_string())))?;
    let client = pooled(REPORT_TIMEOUT, REPORT_TIMEOUT);
    match timeout(REPORT_TIMEOUT, client.request(request)).await??.status() {
        StatusCode::ACCEPTED => Ok(()),
        other => Err(format!("the Runtime API answered {other}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_at_the_start_is_a_failure_of_its_own_category() {
        let failure = result(tokio::spawn(async { panic!("no certificates") }).await).unwrap_err();
        assert_eq!(failure.category, UNKNOWN);
        assert!(failure.message.contains("no certificates"), "{failure:?}");
        let failure = result(Ok(Err("no table".into()))).unwrap_err();
        let expected = Failure { category: INVALID_CONFIGURATION, message: "no table".to_owned() };
        assert_eq!((failure, result(Ok(Ok(())))), (expected, Ok(())));
    }
}
