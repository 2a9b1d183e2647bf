//! Publishes changes of health on EventBridge's default bus.
//!
//! The rule: an event that cannot be published is an error in the log. It never affects a delivery or a request.

use std::sync::OnceLock;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::Builder;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_types::SdkConfig;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{error, info};

use crate::aws::retry::backoff;
use crate::aws::{AwsError, CALL_TIMEOUT, chain};
use crate::health::HealthEvent;

/// The `source` of every event.
const SOURCE: &str = "docintell.webhooks";

/// EventBridge's default bus. The client is created at the first event, because most environments never need it.
#[derive(Debug)]
pub struct HealthEvents {
    sdk: SdkConfig,
    client: OnceLock<Client>,
}

/// Why an event was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Never happens with an event of this crate.
    #[error("the event cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// EventBridge refused the call or did not answer it.
    #[error(transparent)]
    Aws(AwsError),
    /// The call succeeded, but its answer has an error for the event.
    #[error("EventBridge refused the event: {code} {message}")]
    Refused {
        /// EventBridge's code.
        code: String,
        /// EventBridge's message.
        message: String,
    },
    /// The caller's time limit.
    #[error("there was no time left")]
    TimedOut,
}

impl HealthEvents {
    /// The bus in the region and at the endpoint of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), client: OnceLock::new() }
    }

    /// Publishes `event`, in at most three tries that end by `give_up_at` and within 3 s.
    ///
    /// Logs the change, and returns whether it is published. If not, the log line is an error with
    /// `health.unpublished` = 1.
    pub async fn publish(&self, event: &HealthEvent, give_up_at: Instant) -> bool {
        let give_up_at = give_up_at.min(Instant::now() + CALL_TIMEOUT);
        let published = self.try_publish(event, give_up_at).await;
        let change = event.change.detail_type();
        let is_published = published.is_ok();
        match published {
            Ok(()) => info!(
                tenant.id = %event.tenant_id,
                webhook.id = %event.webhook_id,
                change,
                "health of a webhook changed"
            ),
            Err(error) => error!(
                tenant.id = %event.tenant_id,
                webhook.id = %event.webhook_id,
                change,
                health.unpublished = 1,
                error = %chain(&error),
                "cannot publish that the health of a webhook changed"
            ),
        }
        is_published
    }

    /// [`Self::publish`] for a caller who handles the error: logs nothing, and has only the caller's time limit.
    pub async fn try_publish(
        &self,
        event: &HealthEvent,
        give_up_at: Instant,
    ) -> Result<(), PublishError> {
        let published = timeout_at(give_up_at, self.put(event)).await;
        published.unwrap_or(Err(PublishError::TimedOut))
    }

    async fn put(&self, event: &HealthEvent) -> Result<(), PublishError> {
        let entry = PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type(event.change.detail_type())
            .detail(event.detail().map_err(PublishError::Encode)?)
            .time(DateTime::from_millis(event.at.unix_millis().cast_signed()))
            .build();
        // Every error is worth another try: changes of health are rare.
        for wait in backoff() {
            match self.put_once(entry.clone()).await {
                Ok(()) => return Ok(()),
                Err(_) => sleep(wait).await,
            }
        }
        self.put_once(entry).await
    }

    /// One try. EventBridge answers 200 even if it refuses the event.
    async fn put_once(&self, entry: PutEventsRequestEntry) -> Result<(), PublishError> {
        let response = self.client().put_events().entries(entry).send().await;
        let response = response.map_err(AwsError::of("PutEvents")).map_err(PublishError::Aws)?;
        match response.entries() {
            [entry] if response.failed_entry_count() == 0 && entry.error_code().is_none() => Ok(()),
            entries => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                let refused = entries.first();
                Err(PublishError::Refused {
                    code: text(refused.and_then(PutEventsResultEntry::error_code)),
                    message: text(refused.and_then(PutEventsResultEntry::error_message)),
                })
            }
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            // `put` retries, because only it knows whether an event was refused.
            let config = Builder::from(&self.sdk).retry_config(RetryConfig::disabled());
            Client::from_conf(config.build())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::aws::test_server::{Answer, TestServer, refusal, success};
    use crate::health::HealthChange;
    use crate::id::{TenantId, WebhookId};
    use crate::timestamp::Timestamp;

    fn published() -> Answer {
        success(json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}))
    }

    fn refused() -> Answer {
        let entry = json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "too fast"});
        success(json!({"FailedEntryCount": 1, "Entries": [entry]}))
    }

    /// The result of publishing an event to a bus with these responses, and the number of tries.
    async fn put(answers: impl IntoIterator<Item = Answer>) -> (Result<(), String>, usize) {
        let server = TestServer::start(answers).await;
        let event = HealthEvent {
            tenant_id: TenantId::random(),
            webhook_id: WebhookId::random(),
            change: HealthChange::Recovered,
            at: Timestamp::from_unix_millis(1_764_757_800_250),
        };
        let result = HealthEvents::new(&server.sdk()).put(&event).await;
        let received = server.received();
        for request in &received {
            assert_eq!(request.headers["x-amz-target"], "AWSEvents.PutEvents");
            assert_eq!(
                request.body["Entries"],
                json!([{
                    "Source": "docintell.webhooks",
                    "DetailType": "Webhook Recovered",
                    "Detail": event.detail().unwrap(),
                    "Time": 1_764_757_800.25,
                }])
            );
        }
        (result.map_err(|error| error.to_string()), received.len())
    }

    #[tokio::test]
    async fn a_refused_event_is_retried_although_the_call_succeeds() {
        assert_eq!(put([published()]).await, (Ok(()), 1));
        assert_eq!(
            put([refused(), refusal(500, "InternalFailure"), published()]).await,
            (Ok(()), 3)
        );
        let error = "EventBridge refused the event: ThrottlingException too fast".to_owned();
        assert_eq!(put([refused()]).await, (Err(error), 3));
        let (result, tries) = put([success(json!({"FailedEntryCount": 0, "Entries": []}))]).await;
        assert!(result.is_err(), "an event without an answer is not published");
        assert_eq!(tries, 3);
    }

    #[tokio::test]
    async fn publishing_ends_when_there_is_no_time_left() {
        let server = TestServer::start([published()]).await;
        let events = HealthEvents::new(&server.sdk());
        let event = HealthEvent {
            tenant_id: TenantId::random(),
            webhook_id: WebhookId::random(),
            change: HealthChange::Enabled,
            at: Timestamp::now(),
        };
        events.publish(&event, Instant::now() - Duration::from_secs(1)).await;
        assert_eq!(server.received().len(), 0);
    }
}
