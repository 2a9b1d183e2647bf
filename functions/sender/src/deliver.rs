//! Handles one message: attempt, decide, log, apply.
//!
//! The rule: an attempt begins only if there is time to act on its outcome. An attempt that panics is a failed
//! attempt.

use tokio::time::{Instant, timeout};
use tracing::{debug, error, info, warn};
use webhooks::aws;
use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus, Phases};
use webhooks::metrics::Metric;
use webhooks::store::deliveries::LogEntry;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;

use crate::attempt::{self, ATTEMPT_TIMEOUT, Posted};
use crate::batch_metrics::{BatchMetrics, End};
use crate::decision::{Action, Decision, Outcome, decide, log_parked};
use crate::failure::Failure;
use crate::health::{BatchEvidence, Evidence};
use crate::isolation::catch_panic;
use crate::message::{Message, message_error};
use crate::reason::{BlockReason, CancelReason, FaultReason};
use crate::{BatchWebhooks, Finished, Sender};

impl Sender {
    /// Handles one message, except for the log entry of a success at the first attempt.
    pub(crate) async fn deliver<'a>(
        &self,
        message: &'a Message,
        webhooks: &'a BatchWebhooks,
        health: &BatchEvidence,
        metrics: &BatchMetrics,
        log_by: Instant,
    ) -> Finished<'a> {
        let delivery = match &message.delivery {
            Ok(delivery) => delivery,
            Err(unreadable) => {
                let finished = Box::pin(self.queues.park_unreadable(message, unreadable)).await;
                metrics.ended(End::Blocked, &finished);
                return finished;
            }
        };
        let progress = message.progress_of(delivery);
        let number = progress.next_attempt();
        let outcome = catch_panic(self.attempt(delivery, number, webhooks, metrics, log_by))
            .await
            .unwrap_or_else(|panic| {
                message_error!(
                    message,
                    attempt.number = number,
                    reason = panic,
                    "attempt interrupted by a panic"
                );
                metrics.add(Metric::Blocked, 1);
                panicked(delivery, number, webhooks)
            });
        let now = Timestamp::now();
        let retried = &self.retried_client_errors;
        let decision = decide(outcome, delivery, progress, retried, now);
        log_decision(&decision, delivery, number);
        let end = End::of(&decision, retried);
        let Decision { action, log, evidence } = decision;
        let log = match log {
            // After a lost receive the row may have a failed attempt that was logged late.
            Some(entry) if message.receive_count == 1 && entry.is_immediate_success() => {
                health.add(delivery.webhook_config_id, Evidence::Success);
                let finished = Finished::Delivered(entry);
                metrics.ended(end, &finished);
                return finished;
            }
            log => log,
        };
        // Boxed, like all code that a success at the first attempt does not need. Inline it would make this
        // future ten times as large, and the futures of a batch are moved and freed together.
        Box::pin(async {
            let is_redriven = matches!(action, Action::Redrive);
            // The queue comes first, because the next attempt may be due before the log write ends.
            let finished = self.queues.apply(action, message, delivery).await;
            metrics.ended(end, &finished);
            // Written now and not with the rest of the batch: another invocation can make and log the next
            // attempt before the slowest post of this batch ends.
            let log = match finished {
                Finished::Parked => Some(log_parked(log, delivery, Timestamp::now())),
                _ => log,
            };
            if let Some(entry) = &log {
                self.log_one(entry, metrics, log_by).await;
            }
            let is_done = match finished {
                Finished::Acknowledged => true,
                // The queue moves it, or it comes back because the dead-letter queue did not take it.
                Finished::Returned => is_redriven,
                _ => false,
            };
            if let Some(evidence) = evidence.filter(|_| is_done) {
                health.add(delivery.webhook_config_id, evidence);
            }
            finished
        })
        .await
    }

    /// Makes attempt `number`, unless something prevents it.
    async fn attempt<'a>(
        &self,
        delivery: &DeliveryMessage,
        number: u32,
        webhooks: &'a BatchWebhooks,
        metrics: &BatchMetrics,
        ends_at: Instant,
    ) -> Outcome<'a> {
        let webhook = match find_deliverable(delivery, webhooks) {
            Ok(webhook) => webhook,
            Err(prevented) => return *prevented,
        };
        // If a secret cannot be read, the deliveries that need it try one after the other. Each of them has its
        // own time limit.
        let reading = self.secret_cache.in_force(webhook, Timestamp::now());
        let secrets = match timeout(aws::CALL_TIMEOUT, reading).await {
            Ok(Ok(secrets)) => secrets,
            Ok(Err(reason)) => return Outcome::Blocked(reason),
            Err(_elapsed) => return Outcome::Blocked(BlockReason::SecretTimedOut),
        };
        if Instant::now() + ATTEMPT_TIMEOUT + aws::CALL_TIMEOUT > ends_at {
            return Outcome::Blocked(BlockReason::TooLittleTime);
        }
        let client = match self.clients.client(&webhook.url, Instant::now()) {
            Ok(client) => client,
            Err(error) => return Outcome::Blocked(BlockReason::NoClient(error)),
        };
        let posted =
            attempt::post(&client, &self.endpoints, &webhook.url, delivery, &secrets, number).await;
        let Posted { attempt, failure, .. } = posted;
        metrics.attempted(&attempt, delivery);
        Outcome::Attempted { attempt, failure, retry: webhook.retry }
    }
}

/// The webhook of `delivery`, if it exists and gets deliveries.
fn find_deliverable<'a>(
    delivery: &DeliveryMessage,
    webhooks: &'a BatchWebhooks,
) -> Result<&'a Webhook, Box<Outcome<'a>>> {
    let unreadable = |error| Box::new(Outcome::Blocked(BlockReason::WebhooksUnreadable(error)));
    let webhooks = webhooks.as_ref().map_err(unreadable)?;
    match webhooks.get(&delivery.webhook_config_id) {
        Some(Err(error)) => Err(Box::new(Outcome::Blocked(BlockReason::WebhookUnreadable(error)))),
        // Ignores a webhook of another tenant, which was read for another message of the batch.
        Some(Ok(webhook)) if webhook.tenant_id == delivery.tenant_id => match webhook.withheld() {
            None => Ok(webhook),
            Some((withheld, _)) => {
                Err(Box::new(Outcome::Cancelled(CancelReason::Withheld(withheld))))
            }
        },
        Some(Ok(_)) | None => Err(Box::new(Outcome::Cancelled(CancelReason::Deleted))),
    }
}

/// The outcome of an attempt that panicked.
fn panicked<'a>(delivery: &DeliveryMessage, number: u32, webhooks: &BatchWebhooks) -> Outcome<'a> {
    let failure = Failure::Panic;
    let attempt = Attempt {
        chain: delivery.chain,
        number,
        at: Timestamp::now(),
        duration_ms: 0,
        phases: Phases::default(),
        first_status_code: None,
        status_code: None,
        error: Some(failure.to_string()),
        response_body: None,
    };
    // If the attempt panicked before the webhook was found, the default retry policy applies.
    let retry =
        find_deliverable(delivery, webhooks).map(|webhook| webhook.retry).unwrap_or_default();
    Outcome::Attempted { attempt, failure: Some(failure), retry }
}

/// Logs a decision in one line. A success is logged at debug level, because its row says the same.
fn log_decision(decision: &Decision<'_>, delivery: &DeliveryMessage, number: u32) {
    macro_rules! line {
        ($level:ident, $($fields_and_sentence:tt)+) => {
            $level!(
                delivery.id = %delivery.delivery_id,
                delivery.chain = delivery.chain,
                webhook.id = %delivery.webhook_config_id,
                tenant.id = %delivery.tenant_id,
                event.id = %delivery.event_id,
                event.name = %delivery.event,
                attempt.number = number,
                $($fields_and_sentence)+
            )
        };
    }
    macro_rules! attempt_line {
        ($level:ident, $attempt:ident, $sentence:literal) => {
            line!(
                $level,
                http.status = $attempt.status_code,
                http.first_status = $attempt.first_status_code,
                error = $attempt.error,
                duration_ms = $attempt.duration_ms,
                $sentence
            )
        };
    }
    let blocked = match &decision.action {
        Action::Postpone { reason, .. } => Some((reason, "postpone")),
        Action::Park(FaultReason::Blocked(reason)) => Some((reason, "park")),
        _ => None,
    };
    if let Some((reason, action)) = blocked {
        line!(error, %reason, action, "delivery blocked by an internal error");
        return;
    }
    match &decision.log {
        Some(LogEntry { status, attempt: Some(attempt), .. }) => match status {
            DeliveryStatus::Delivered => attempt_line!(debug, attempt, "delivered"),
            DeliveryStatus::Failed => {
                attempt_line!(
                    warn,
                    attempt,
                    "last attempt failed; the delivery becomes a dead letter"
                );
            }
            DeliveryStatus::Pending | DeliveryStatus::Cancelled | DeliveryStatus::Skipped => {
                attempt_line!(info, attempt, "attempt failed; another will follow");
            }
        },
        Some(LogEntry { reason, .. }) => line!(info, reason, "delivery cancelled"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::client_errors::RetriedClientErrors;
    use crate::progress::Progress;

    #[test]
    fn a_panic_counts_as_a_failed_attempt_and_is_retried() {
        let delivery = Message::sample().delivery.unwrap();
        let outcome = panicked(&delivery, 1, &Ok(HashMap::new()));
        let retried = RetriedClientErrors::default();
        let Decision { action, log, .. } =
            decide(outcome, &delivery, Progress::without_loss(1), &retried, Timestamp::now());
        let Action::RetryAfter(delay) = action else { panic!("{action:?}") };
        assert_eq!(delay, Duration::from_secs(1));
        let entry = log.unwrap();
        assert_eq!(entry.status, DeliveryStatus::Pending);
        assert_eq!(entry.attempt.map(|attempt| attempt.number), Some(1));
    }
}
