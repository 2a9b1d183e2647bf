//! Asks the sender function to test a webhook.
//!
//! The rule: api reads no secret and posts to no endpoint. The sender does both, with its own role.

use std::error::Error;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use aws_types::SdkConfig;
use webhooks::text::printable;
use webhooks::webhook_test::{TestAnswer, TestInvocation, TestRequest, TestResult};

/// Time limit of an invocation: the sender reads for at most 3 s and posts for at most 10 s.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(15);

/// Invokes the sender function.
#[derive(Debug)]
pub(crate) struct SenderFunction {
    lambda: Client,
    name: String,
}

/// Why the sender did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SenderError {
    /// All environments of the function, or of the account, are busy.
    #[error("Lambda throttled the invocation of the sender")]
    Throttled {
        /// At least 1.
        retry_after_seconds: u64,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Lambda refused the call or did not answer it.
    #[error("the sender cannot be invoked")]
    Aws(#[source] Box<dyn Error + Send + Sync>),
    /// The sender failed to read the webhook or its secret, and has logged why.
    #[error("the sender cannot read the webhook or its secret")]
    Unavailable,
    /// The sender failed or timed out. The text is Lambda's, cut and printable.
    #[error("the sender failed: {0}")]
    Failed(String),
    /// The sender's answer cannot be read.
    #[error("the sender's answer cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

impl SenderFunction {
    /// The function called `name`.
    pub(crate) fn new(sdk: &SdkConfig, name: String) -> Self {
        // Both, because a limit that is not set here is taken from `sdk`.
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(INVOKE_TIMEOUT)
            .operation_attempt_timeout(INVOKE_TIMEOUT)
            .build();
        let config = aws_sdk_lambda::config::Builder::from(sdk)
            .timeout_config(timeouts)
            // A repeated call would post twice.
            .retry_config(RetryConfig::disabled())
            .build();
        Self { lambda: Client::from_conf(config), name }
    }

    /// Tests a webhook, now and once; `None` if it does not exist.
    pub(crate) async fn test(&self, test: TestRequest) -> Result<Option<TestResult>, SenderError> {
        let payload = serde_json::to_vec(&TestInvocation { test })?;
        let request = self.lambda.invoke().function_name(&self.name).payload(Blob::new(payload));
        let response = request.send().await.map_err(SenderError::from)?;
        let answer = response.payload.map(Blob::into_inner).unwrap_or_default();
        if response.function_error.is_some() {
            return Err(SenderError::Failed(printable(&String::from_utf8_lossy(&answer))));
        }
        match serde_json::from_slice(&answer)? {
            TestAnswer::Tested(result) => Ok(Some(result)),
            TestAnswer::WebhookNotFound => Ok(None),
            TestAnswer::Unavailable => Err(SenderError::Unavailable),
        }
    }
}

impl<R> From<SdkError<InvokeError, R>> for SenderError
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    fn from(error: SdkError<InvokeError, R>) -> Self {
        match error.as_service_error() {
            Some(InvokeError::TooManyRequestsException(throttled)) => {
                let seconds = throttled.retry_after_seconds().and_then(|text| text.parse().ok());
                let retry_after_seconds = seconds.unwrap_or(1).max(1);
                Self::Throttled { retry_after_seconds, source: error.into() }
            }
            _ => Self::Aws(error.into()),
        }
    }
}
