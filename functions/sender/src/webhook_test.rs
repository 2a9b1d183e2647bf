//! Tests a webhook: one POST of an example event, for a tenant who wants to see what its endpoint answers.
//!
//! The rule: the POST is that of a delivery, and nothing else is: no message, no row in the delivery log, no
//! retry.

use std::collections::BTreeMap;
use std::time::SystemTime;

use lambda_runtime::Error;
use reqwest::Request;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, HOST, USER_AGENT};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info};
use webhooks::aws::{self, chain};
use webhooks::batch::done_by;
use webhooks::delivery::DeliveryMessage;
use webhooks::secrets::SecretError;
use webhooks::store::StoreError;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;
use webhooks::webhook_test::{SentRequest, TestAnswer, TestRequest, TestResult, example};

use crate::attempt::{self, ATTEMPT_TIMEOUT, Posted};
use crate::reason::BlockReason;
use crate::secret_cache::SigningSecrets;
use crate::{RESPONSE_MARGIN, Sender, guard};

/// Why a test cannot be made. The text includes the cause, because Lambda shows nothing else of an error.
#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error("the webhook cannot be read: {}", chain(.0))]
    Webhook(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] BlockReason<'static>),
    #[error("the webhook and its secret cannot be read in time")]
    TimedOut,
}

impl TestError {
    /// True if an AWS service failed, so that another test may succeed.
    fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Webhook(StoreError::Aws(_) | StoreError::Unprocessed { .. })
                | Self::Secret(
                    BlockReason::SecretUnreadable(SecretError::Aws(_))
                        | BlockReason::PreviousSecretUnreadable(SecretError::Aws(_))
                )
                | Self::TimedOut
        )
    }
}

impl Sender {
    /// Posts an example event to the webhook, even if it is switched off. An error is an internal one.
    pub(crate) async fn test(
        &self,
        test: &TestRequest,
        deadline: SystemTime,
    ) -> Result<TestAnswer, Error> {
        let begun = Instant::now();
        let post_by = done_by(deadline, RESPONSE_MARGIN + ATTEMPT_TIMEOUT);
        // Both reads together have the time of one call, because api does not wait for two and the POST.
        let read_by = post_by.min(begun + aws::CALL_TIMEOUT);
        let read = timeout_at(read_by, self.read(test)).await;
        match read.unwrap_or(Err(TestError::TimedOut)) {
            Ok(Some((webhook, secrets))) => {
                Ok(TestAnswer::Tested(self.post_example(test, &webhook, &secrets).await?))
            }
            Ok(None) => Ok(TestAnswer::WebhookNotFound),
            Err(error) if error.is_temporary() => {
                error!(
                    webhook.id = %test.webhook_config_id,
                    tenant.id = %test.tenant_id,
                    %error,
                    "a webhook cannot be tested"
                );
                Ok(TestAnswer::Unavailable)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The webhook and its secrets; `None` if the webhook does not exist.
    async fn read(
        &self,
        test: &TestRequest,
    ) -> Result<Option<(Webhook, SigningSecrets)>, TestError> {
        let key = (test.tenant_id, test.webhook_config_id);
        let mut found = self.webhook_store.get_many(&[key]).await?;
        let Some(webhook) = found.remove(&test.webhook_config_id) else { return Ok(None) };
        let webhook = webhook?;
        let secrets = self.secret_cache.in_force(&webhook, Timestamp::now()).await?;
        Ok(Some((webhook, secrets)))
    }

    async fn post_example(
        &self,
        test: &TestRequest,
        webhook: &Webhook,
        secrets: &SigningSecrets,
    ) -> Result<TestResult, Error> {
        let name = test.event.unwrap_or_else(|| webhook.events.test_event());
        let event = example(name, webhook.tenant_id, Timestamp::now())?;
        let delivery = DeliveryMessage::new(&event, webhook.id);
        let client = self.clients.client(&webhook.url, Instant::now())?;
        let Posted { attempt, failure, body, guide } =
            attempt::post(&client, &self.endpoints, &webhook.url, &delivery, secrets, 1).await;
        info!(
            webhook.id = %webhook.id,
            tenant.id = %webhook.tenant_id,
            delivery.id = %delivery.delivery_id,
            event.name = %name,
            http.status = attempt.status_code,
            http.first_status = attempt.first_status_code,
            error = attempt.error,
            duration_ms = attempt.duration_ms,
            "webhook tested"
        );
        // The same request again: nothing in it differs but the time, which is that of the attempt.
        let request = attempt::request(&webhook.url, &delivery, secrets, guide, attempt.at);
        Ok(TestResult {
            success: failure.is_none(),
            webhook_config_id: webhook.id,
            url: webhook.url.as_str().to_owned(),
            tested_at: attempt.at,
            status_code: attempt.status_code,
            response_time_ms: attempt.duration_ms,
            response_body: attempt::shown(&body),
            error: attempt.error,
            request: sent(&request, delivery.body.get()),
        })
    }
}

/// The request as the endpoint receives it, with the four headers that the client adds.
fn sent(request: &Request, body: &str) -> SentRequest {
    let url = request.url();
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let added = [
        (&HOST, host),
        (&ACCEPT, "*/*".to_owned()),
        (&USER_AGENT, guard::USER_AGENT.to_owned()),
        (&CONTENT_LENGTH, body.len().to_string()),
    ];
    let own = request.headers().iter();
    let own =
        own.map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let headers: BTreeMap<String, String> =
        added.into_iter().chain(own).map(|(name, value)| (name.to_string(), value)).collect();
    SentRequest { headers, body: body.to_owned() }
}
