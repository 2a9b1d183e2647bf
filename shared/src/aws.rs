//! How AWS is called: on ring, with short timeouts, a few retries, and a cause that a log can show.

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

/// How long one call may take with its retries.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one try of a call may take.
pub(crate) const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a call is tried in all.
const MAX_TRIES: u32 = 3;
/// The longest wait before the second try; before each further one it is twice as long.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// How long a connection may be idle and still be used. Short, because a frozen execution environment wakes up
/// with dead connections.
pub(crate) const IDLE_LIFE: Duration = Duration::from_secs(5);

/// What a function calls AWS with: region, credentials and, for an emulator, the endpoint, all from the
/// environment.
///
/// Lambda always puts them there. To look for them in all the places where a person may keep them would slow
/// every cold start down.
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

/// Checks at the start what the SDK would find out at the first call.
fn endpoint_url(url: String) -> Result<String, EnvError> {
    let invalid =
        |reason: &str| EnvError::Invalid { name: ENDPOINT_URL, reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|error: InvalidUri| invalid(&error.to_string()))?;
    let host = uri.scheme().and(uri.authority()).ok_or_else(|| invalid("not an absolute URL"))?;
    if host.as_str().contains('@') {
        return Err(invalid("names a user"));
    }
    Ok(url)
}

/// How AWS is called by whoever has these credentials: 1 s per try, 3 s in all, 2 retries.
///
/// A client's connections live on the runtime that made them.
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
        // It watches for bodies that trickle; ours are small, and each try has its limit.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(endpoint_url);
    config.build()
}

/// The HTTP client below the SDK: on ring, with connections that are made within `connect_timeout` and dropped when
/// idle for 5 s.
#[must_use]
pub fn http_client(connect_timeout: Duration) -> SharedHttpClient {
    http::client(connect_timeout, IDLE_LIFE)
}

/// An error's whole chain of causes in one line, for the log; an SDK error alone says only its kind. Causes can
/// quote what strangers wrote, so it is cut and made printable.
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

/// A call that AWS refused or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed{}", .request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
pub struct AwsError {
    /// The AWS operation, such as `GetItem`.
    pub(crate) operation: &'static str,
    /// The id by which AWS finds the request; absent where no answer came.
    pub(crate) request_id: Option<String>,
    pub(crate) source: Box<dyn Error + Send + Sync>,
}

impl AwsError {
    /// For `map_err`: names the operation that failed.
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

    /// For `map_err`: the call was given up after [`CALL_TIMEOUT`].
    pub(crate) fn timeout(operation: &'static str) -> impl FnOnce(Elapsed) -> Self {
        move |elapsed| Self { operation, request_id: None, source: elapsed.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_cannot_be_called_is_found_out_at_the_start() {
        for url in ["localhost:4566", "http://user:password@localhost:4566", "/path", "http://a b"]
        {
            let error = endpoint_url(url.to_owned()).unwrap_err().to_string();
            assert!(error.starts_with("environment variable AWS_ENDPOINT_URL is wrong"), "{error}");
            assert!(!error.contains("password"), "{error}");
        }
        assert!(endpoint_url("http://127.0.0.1:4566".to_owned()).is_ok());
    }
}
