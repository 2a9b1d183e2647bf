//! The configuration of AWS clients (ring for TLS, short timeouts, a few retries), and errors with their causes.

pub(crate) mod http;
pub(crate) mod retry;
#[cfg(test)]
pub(crate) mod test_server;

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use aws_types::request_id::RequestId;
use hyper::Uri;
use hyper::http::uri::InvalidUri;
use tokio::time::error::Elapsed;

use crate::env::{self, EnvError};
use crate::text::printable;

const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// Time limit of one call, retries included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit of one try of a call.
pub(crate) const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// Tries of a call, the first one included.
pub(crate) const MAX_TRIES: u32 = 3;
/// Longest wait before the second try. It doubles with each further try.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// How long an idle connection is kept. Short, because a frozen execution environment wakes up with dead
/// connections.
pub(crate) const IDLE_LIFE: Duration = Duration::from_secs(5);

/// The SDK configuration of a function: region, credentials and, for an emulator, the endpoint URL, all from
/// environment variables.
///
/// Lambda always sets these variables. The SDK's default chain of credential providers would slow down every
/// cold start.
pub fn config() -> Result<SdkConfig, EnvError> {
    let credentials = Credentials::new(
        env::required("AWS_ACCESS_KEY_ID")?,
        env::required("AWS_SECRET_ACCESS_KEY")?,
        env::optional("AWS_SESSION_TOKEN"),
        None,
        "Lambda",
    );
    let endpoint_url = env::optional(ENDPOINT_URL).map(endpoint_url).transpose()?;
    Ok(config_for(env::required("AWS_REGION")?, credentials, endpoint_url))
}

/// Rejects at startup an endpoint URL that the SDK would reject at the first call.
fn endpoint_url(url: String) -> Result<String, EnvError> {
    let invalid =
        |reason: &str| EnvError::Invalid { name: ENDPOINT_URL, reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|error: InvalidUri| invalid(&error.to_string()))?;
    let host = uri.scheme().and(uri.authority()).ok_or_else(|| invalid("not an absolute URL"))?;
    if host.as_str().contains('@') {
        return Err(invalid("contains a user name"));
    }
    Ok(url)
}

/// An SDK configuration with our limits: 1 s per try, 3 s per call, at most 3 tries.
///
/// Clients made from it work only on the tokio runtime that opens their connections.
#[must_use]
pub fn config_for(
    region: String,
    credentials: Credentials,
    endpoint_url: Option<String>,
) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(TRY_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let retries =
        RetryConfig::standard().with_max_attempts(MAX_TRIES).with_initial_backoff(FIRST_BACKOFF);
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client(TRY_TIMEOUT))
        .timeout_config(timeouts)
        .retry_config(retries)
        // Detects slow response bodies. Ours are small, and the time limit of each try covers them.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(endpoint_url);
    config.build()
}

/// The HTTP client under the SDK, on ring. It connects within `connect_timeout` and closes connections that are
/// idle for 5 s.
#[must_use]
pub fn http_client(connect_timeout: Duration) -> SharedHttpClient {
    http::client(connect_timeout, IDLE_LIFE)
}

/// An error and all its causes in one line, for the log. An SDK error alone says only its kind.
///
/// The line is made printable and cut, because causes can quote untrusted text.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    printable(&text)
}

/// AWS refused a call or did not answer it.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed{}", .request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
pub struct AwsError {
    /// The AWS operation, such as `GetItem`.
    pub(crate) operation: &'static str,
    /// AWS's id of the request; `None` if there was no response.
    pub(crate) request_id: Option<String>,
    pub(crate) source: Box<dyn Error + Send + Sync>,
}

impl AwsError {
    /// For `map_err`: wraps an error of `operation`.
    pub(crate) fn of<E>(operation: &'static str) -> impl FnOnce(E) -> Self
    where
        E: RequestId + Error + Send + Sync + 'static,
    {
        move |error| Self {
            operation,
            request_id: error.request_id().map(str::to_owned),
            source: error.into(),
        }
    }

    /// For `map_err`: `operation` did not finish within its time limit.
    pub(crate) fn timeout(operation: &'static str) -> impl FnOnce(Elapsed) -> Self {
        move |elapsed| Self { operation, request_id: None, source: elapsed.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_endpoint_url_is_rejected_at_startup() {
        for url in ["localhost:4566", "http://user:password@localhost:4566", "/path", "http://a b"]
        {
            let error = endpoint_url(url.to_owned()).unwrap_err().to_string();
            assert!(error.starts_with("environment variable AWS_ENDPOINT_URL is wrong"), "{error}");
            assert!(!error.contains("password"), "{error}");
        }
        assert!(endpoint_url("http://127.0.0.1:4566".to_owned()).is_ok());
    }
}
