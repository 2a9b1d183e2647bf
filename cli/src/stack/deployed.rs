//! Loads the caller's AWS region and credentials, from the same places as the AWS CLI.

use std::ffi::OsString;

use anyhow::{Context, Result, ensure};
use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_types::SdkConfig;
use reqwest::Url;
use webhooks::aws;

use super::clients::TRY_TIMEOUT;
use super::with_timeout;
use crate::http::is_web;

/// Configuration for clients with the caller's rights.
pub(super) async fn load_config() -> Result<SdkConfig> {
    expect_urls(std::env::vars_os())?;
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws::http_client(TRY_TIMEOUT))
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
    Ok(with_timeout(&config, TRY_TIMEOUT))
}

/// Checks the endpoints among `variables`: the SDK ignores some that are wrong, and panics or quotes the whole request
/// for others.
fn expect_urls(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<()> {
    for (name, value) in variables {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        ensure!(
            !name.starts_with("AWS_ENDPOINT_URL")
                || Url::parse(&value).is_ok_and(|url| is_web(&url)),
            "environment variable {name} is `{value}`, which is no URL: unset it, or set it to one such as \
             http://127.0.0.1:4566"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_no_url_is_refused() {
        let check =
            |name: &str, value: &str| expect_urls([(name.into(), value.into())].into_iter());
        assert!(check("AWS_ENDPOINT_URL", "http://127.0.0.1:4566").is_ok());
        assert!(check("HOME", "").is_ok());
        for wrong in ["", "localhost:4566", "127.0.0.1", "ftp://a"] {
            let error = check("AWS_ENDPOINT_URL_DYNAMODB", wrong).unwrap_err().to_string();
            assert!(error.contains("AWS_ENDPOINT_URL_DYNAMODB"), "{error}");
        }
    }
}
