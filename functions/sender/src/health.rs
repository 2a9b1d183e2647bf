//! What a batch says about the health of its webhooks, and what follows.
//!
//! The rules: the queue and the log come first, and a failure here never changes a delivery. Only the answers of
//! an endpoint count, and a URL or address that is not allowed; an internal error does not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use tokio::time::{Instant, timeout_at};
use tracing::error;
use webhooks::aws::chain;
use webhooks::health::{HealthChange, HealthEvent};
use webhooks::id::WebhookId;
use webhooks::metrics::Metric;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{DisabledReason, Webhook};

use crate::batch_metrics::BatchMetrics;
use crate::failure::Failure;
use crate::{BatchWebhooks, Sender};

/// What the end of a delivery says about its endpoint. Of several in a batch the greatest counts: the deliveries
/// were made together, so one success shows that the endpoint works.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    /// The delivery is in the dead-letter queue.
    DeadLetter {
        /// Why the last attempt failed, as a sentence.
        error: String,
    },
    /// The endpoint answered 2xx.
    Success,
    /// The endpoint answered 410 Gone, which ended the delivery too.
    Gone,
}

impl Evidence {
    /// For a delivery that ends with `failure`. `None` if the failure is ours.
    pub(crate) fn of_dead_letter(failure: &Failure) -> Option<Self> {
        match failure {
            Failure::Panic => None,
            Failure::Status { status: StatusCode::GONE, .. } => Some(Self::Gone),
            failure => Some(Self::DeadLetter { error: failure.to_string() }),
        }
    }
}

/// The evidence of a batch, by webhook.
#[derive(Debug, Default)]
pub(crate) struct BatchEvidence(RefCell<BTreeMap<WebhookId, Evidence>>);

impl BatchEvidence {
    pub(crate) fn add(&self, webhook: WebhookId, evidence: Evidence) {
        let mut all = self.0.borrow_mut();
        match all.get_mut(&webhook) {
            Some(known) if *known >= evidence => {}
            Some(known) => *known = evidence,
            None => drop(all.insert(webhook, evidence)),
        }
    }
}

/// The change of health that follows, if any. `webhook` is the row that the batch read, and `disable_after` the time
/// without a success after which a failing webhook is switched off.
fn change(
    webhook: &Webhook,
    evidence: Evidence,
    disable_after: Duration,
    now: Timestamp,
) -> Option<HealthChange> {
    match (evidence, webhook.failing_since) {
        (Evidence::Gone, _) => Some(HealthChange::Disabled(DisabledReason::Gone)),
        (Evidence::Success, None) => None,
        (Evidence::Success, Some(_)) => Some(HealthChange::Recovered),
        (Evidence::DeadLetter { error }, None) => Some(HealthChange::Failing { error }),
        (Evidence::DeadLetter { .. }, Some(since)) => (now.since(since) >= disable_after)
            .then_some(HealthChange::Disabled(DisabledReason::FailingTooLong)),
    }
}

impl Sender {
    /// Writes and publishes the changes that follow from a batch, all at the same time, until `give_up_at`. Makes no
    /// AWS request if there is none.
    pub(crate) async fn change_health(
        &self,
        evidence: BatchEvidence,
        webhooks: &BatchWebhooks,
        metrics: &BatchMetrics,
        give_up_at: Instant,
    ) {
        let Ok(webhooks) = webhooks else { return };
        let now = Timestamp::now();
        let changes = evidence.0.into_inner().into_iter().filter_map(|(id, evidence)| {
            let webhook = webhooks.get(&id)?.as_ref().ok()?;
            Some((webhook, change(webhook, evidence, self.disable_after, now)?))
        });
        join_all(changes.map(|(webhook, change)| {
            self.write_and_publish(webhook, change, metrics, now, give_up_at)
        }))
        .await;
    }

    /// Publishes `change` only if this sender wrote it. A failed write is repeated by the next evidence.
    async fn write_and_publish(
        &self,
        webhook: &Webhook,
        change: HealthChange,
        metrics: &BatchMetrics,
        now: Timestamp,
        give_up_at: Instant,
    ) {
        let written = async {
            match change {
                HealthChange::Failing { .. } => {
                    self.webhook_store.note_failing(webhook, now).await.map(|it| it.then_some(now))
                }
                HealthChange::Recovered => {
                    self.webhook_store.note_recovered(webhook).await.map(|it| it.then_some(now))
                }
                HealthChange::Disabled(reason) => {
                    self.webhook_editor.disable(webhook, reason, now).await
                }
                // Only an owner switches a webhook on, through the API.
                HealthChange::Enabled => Ok(None),
            }
        };
        let error = match timeout_at(give_up_at, written).await {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(at))) => {
                let (tenant_id, webhook_id) = (webhook.tenant_id, webhook.id);
                let is_disabled = matches!(change, HealthChange::Disabled(_));
                metrics.add(Metric::WebhooksDisabled, is_disabled.into());
                let event = HealthEvent { tenant_id, webhook_id, change, at };
                let is_published = self.health_events.publish(&event, give_up_at).await;
                metrics.add(Metric::HealthUnwritten, (!is_published).into());
                return;
            }
            Ok(Err(error)) => chain(&error),
            Err(_elapsed) => "there was no time left".to_owned(),
        };
        metrics.add(Metric::HealthUnwritten, 1);
        error!(
            tenant.id = %webhook.tenant_id,
            webhook.id = %webhook.id,
            change = change.detail_type(),
            health.unwritten = 1,
            error,
            "cannot write that the health of a webhook changed"
        );
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    const FIVE_DAYS: Duration = Duration::from_hours(5 * 24);

    fn now() -> Timestamp {
        Timestamp::from_unix_millis(1_764_757_800_000)
    }

    fn before(time: Duration) -> Timestamp {
        let millis = u64::try_from(time.as_millis()).unwrap();
        Timestamp::from_unix_millis(now().unix_millis() - millis)
    }

    fn webhook(failing_since: Option<Timestamp>) -> Webhook {
        Webhook { failing_since, ..Webhook::example(now()) }
    }

    fn dead_letter() -> Evidence {
        Evidence::DeadLetter { error: "the endpoint answered 500".to_owned() }
    }

    #[test]
    fn each_state_and_evidence_has_its_change_of_health() {
        let failing = || HealthChange::Failing { error: "the endpoint answered 500".to_owned() };
        let disabled = |reason| Some(HealthChange::Disabled(reason));
        let (just_now, long_ago) = (before(Duration::from_millis(1)), before(FIVE_DAYS));
        let nearly = before(Duration::from_hours(5 * 24 - 1));
        let tomorrow = Timestamp::from_unix_millis(now().unix_millis() + 86_400_000);
        for (failing_since, evidence, expected) in [
            (None, Evidence::Success, None),
            (None, dead_letter(), Some(failing())),
            (None, Evidence::Gone, disabled(DisabledReason::Gone)),
            (Some(just_now), Evidence::Success, Some(HealthChange::Recovered)),
            (Some(just_now), dead_letter(), None),
            (Some(just_now), Evidence::Gone, disabled(DisabledReason::Gone)),
            (Some(nearly), dead_letter(), None),
            (Some(long_ago), dead_letter(), disabled(DisabledReason::FailingTooLong)),
            (Some(long_ago), Evidence::Success, Some(HealthChange::Recovered)),
            (Some(tomorrow), dead_letter(), None),
        ] {
            let found = change(&webhook(failing_since), evidence.clone(), FIVE_DAYS, now());
            assert_eq!(found, expected, "{failing_since:?}, {evidence:?}");
        }
    }

    #[test]
    fn in_a_batch_a_success_outweighs_dead_letters_and_410_outweighs_both() {
        let id = WebhookId::random();
        let all = [dead_letter(), Evidence::Success, Evidence::Gone];
        for (count, greatest) in all.iter().enumerate() {
            let batch = BatchEvidence::default();
            for evidence in all[..=count].iter().rev().chain(&all[..=count]) {
                batch.add(id, evidence.clone());
            }
            assert_eq!(batch.0.into_inner(), BTreeMap::from([(id, greatest.clone())]));
        }
    }
}
