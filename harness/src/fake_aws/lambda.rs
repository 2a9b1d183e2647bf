//! The one operation of Lambda that a function calls: `Invoke`, which names its function in the path.
//!
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::Call;
use super::account::Account;
use crate::runtime_api::Invoker;
use crate::server::{Answer, answer};

/// What Lambda does with an invocation.
#[derive(Debug, Clone, Default)]
pub enum Lambda {
    /// There is no such function.
    #[default]
    Unknown,
    /// Runs this function; see [`Hosted::invoker`](crate::Hosted::invoker).
    Runs(Invoker),
    /// Throttles it and asks for this wait in seconds.
    Throttles(u32),
    /// HTTP 500.
    Breaks,
    /// Answers after every client's timeout.
    Hangs,
}

/// True if `request` is an invocation.
pub(super) fn is_invocation(request: &Request<Bytes>) -> bool {
    request.uri().path().starts_with("/2015-03-31/functions/")
}

/// Lambda's answer to an invocation.
pub(super) fn invoke(
    account: &mut Account,
    request: &Request<Bytes>,
) -> BoxFuture<'static, Answer> {
    let payload = request.body().clone();
    if account.records {
        let input = serde_json::from_slice(&payload).unwrap_or_default();
        account.calls.push(Call { operation: "Invoke".to_owned(), input });
    }
    respond(account.lambda.clone(), payload).boxed()
}

async fn respond(lambda: Lambda, payload: Bytes) -> Answer {
    match lambda {
        Lambda::Unknown => error(StatusCode::NOT_FOUND, "ResourceNotFoundException"),
        Lambda::Breaks => error(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
        Lambda::Throttles(seconds) => {
            let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException");
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            answer
        }
        Lambda::Hangs => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            answer(StatusCode::GATEWAY_TIMEOUT, "{}")
        }
        Lambda::Runs(function) => match function.invoke(payload).await {
            Ok(result) => answer(StatusCode::OK, result),
            Err(error) => {
                let mut answer = answer(StatusCode::OK, error);
                let unhandled = HeaderValue::from_static("Unhandled");
                answer.headers_mut().insert("x-amz-function-error", unhandled);
                answer
            }
        },
    }
}

fn error(status: StatusCode, kind: &'static str) -> Answer {
    let body: Value = json!({"Type": "User", "message": "ordered by the test"});
    let mut answer = answer(status, body.to_string());
    answer.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    answer
}
