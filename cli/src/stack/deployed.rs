//! Loads the caller's AWS region and credentials, from the same places as the AWS CLI.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_types::SdkConfig;
use webhooks::aws;

/// Timeout of each try of a call; the caller's network may be slow.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Configuration for clients with the caller's rights.
pub(super) async fn load_config() -> Result<SdkConfig> {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TRY_TIMEOUT).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws::http_client(TRY_TIMEOUT))
        .timeout_config(timeouts)
        .load()
        .await;
    config
        .region()
        .context("no AWS region is set: set AWS_REGION, or a region in your AWS profile")?;
    let provider =
        config.credentials_provider().context("there is no provider of AWS credentials")?;
    // Loaded now, to report a failed login as such.
    provider.provide_credentials().await.context(
        "cannot find AWS credentials: log in (`aws sso login`), or set AWS_PROFILE or \
         AWS_ACCESS_KEY_ID",
    )?;
    Ok(config)
}
