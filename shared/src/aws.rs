//! How AWS is called: on ring, with short timeouts, a few retries, and a cause that a log can show.

mod connection;
pub mod direct;
mod http;
mod sigv4;

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_types::SdkConfig;

use crate::env::{self, EnvError};
use crate::text::printable;

pub use http::client as http_client;

/// How long one call may take with its retries.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one try of a call may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a call is tried in all.
const MAX_TRIES: u32 = 3;
/// The longest wait before the second try; before each further one it is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

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
    Ok(config_for(env::required("AWS_REGION")?, credentials, env::optional("AWS_ENDPOINT_URL")))
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
        .http_client(http::client(TRY_TIMEOUT))
        .timeout_config(timeouts)
        .retry_config(retries)
        // It watches for bodies that trickle; ours are small, and each try has its limit.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(endpoint_url);
    config.build()
}

/// Those who failed together would fail together again if they all waited for the same time.
pub(crate) fn random_part(longest: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(u32::MAX);
    longest.mul_f64(f64::from(part) / f64::from(u32::MAX))
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

/// What every store says when AWS did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct AwsError {
    /// The AWS operation, such as `GetItem`.
    pub operation: &'static str,
    /// The SDK's own error.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl AwsError {
    /// For `map_err`: names the operation that failed.
    pub fn of<E>(operation: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        move |source| Self { operation, source: source.into() }
    }
}
