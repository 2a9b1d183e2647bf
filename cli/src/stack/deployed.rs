//! Who a person is on AWS: region and credentials, from wherever the AWS tools keep them.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_types::SdkConfig;
use webhooks::aws;

/// How long one try of a call may take, over whatever network a person has.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Configuration for clients with the person's own rights.
pub(super) async fn log_in() -> Result<SdkConfig> {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TRY_TIMEOUT).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws::http_client(TRY_TIMEOUT))
        .timeout_config(timeouts)
        .load()
        .await;
    config
        .region()
        .context("no AWS region is set: set AWS_REGION, or a region in your AWS profile")?;
    let provider = config.credentials_provider().context("AWS credentials cannot be looked up")?;
    // Now, so that what is wrong is said of the login and not of the first call.
    provider.provide_credentials().await.context(
        "no AWS credentials are found: log in (`aws sso login`), or set AWS_PROFILE or \
         AWS_ACCESS_KEY_ID",
    )?;
    Ok(config)
}
