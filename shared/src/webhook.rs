//! A webhook: the endpoint, events and settings that a tenant has stored.

mod description;
mod event_set;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointUrl;
use crate::id::{TenantId, WebhookId, WebhookKey};
use crate::named::named;
use crate::retry::RetryPolicy;
use crate::rotation::StagingLabel;
use crate::timestamp::Timestamp;

pub use description::{Description, DescriptionChange, InvalidDescription};
pub use event_set::{EventList, EventSet, InvalidEventSet};

/// A webhook's row; the signing secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The owner.
    pub tenant_id: TenantId,
    /// Never changes.
    pub id: WebhookId,
    /// The endpoint that events are posted to.
    pub url: EndpointUrl,
    /// What its owner wrote about it.
    pub description: Option<Description>,
    /// Since when the webhook gets nothing but tests, because its endpoint has not answered one with 2xx: since it was
    /// created with this URL, or got it. `None` if it needs no test.
    pub needs_test_since: Option<Timestamp>,
    /// The event types that it subscribes to.
    pub events: EventSet,
    /// `None` while the webhook is active. Otherwise nothing is posted, not even deliveries that are queued.
    pub disabled: Option<Disabled>,
    /// The first dead letter since the last success.
    pub failing_since: Option<Timestamp>,
    /// How many attempts a delivery gets.
    pub retry: RetryPolicy,
    /// Set by create.
    pub created_at: Timestamp,
    /// The last change of the configuration, except a switch-off by the service. Each is later than the one before.
    pub updated_at: Timestamp,
    /// Secrets Manager version id of the secret in force. A version never changes, so it can be cached by id.
    pub secret_version: String,
    /// The staging label of that version; `None` for the first one.
    pub secret_label: Option<StagingLabel>,
    /// The secret that the last rotation replaced, while it still signs.
    pub previous_secret: Option<PreviousSecret>,
}

/// Since when a webhook is switched off, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// When it was switched off.
    pub at: Timestamp,
    /// Who or what switched it off.
    pub reason: DisabledReason,
}

named! {
    /// Who or what switched a webhook off.
    pub enum DisabledReason {
        /// The endpoint answered 410 Gone.
        Gone = "gone",
        /// The endpoint failed for days without one success.
        FailingTooLong = "failing_too_long",
        /// The tenant.
        Owner = "owner",
    }
}

/// A secret that signs beside the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// Secrets Manager version id.
    pub version: String,
    /// It signs before this time.
    pub until: Timestamp,
}

impl Webhook {
    /// A webhook as create makes it with nothing but a URL, for tests.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the URL is valid")]
    pub fn example(created_at: Timestamp) -> Self {
        Self {
            tenant_id: TenantId::random(),
            id: WebhookId::random(),
            url: EndpointUrl::parse("https://example.com/").expect("it is a URL"),
            description: None,
            needs_test_since: None,
            events: EventSet::default(),
            disabled: None,
            failing_since: None,
            retry: RetryPolicy::default(),
            created_at,
            updated_at: created_at,
            secret_version: "the-version".to_owned(),
            secret_label: None,
            previous_secret: None,
        }
    }

    /// The webhook and its owner.
    #[must_use]
    pub fn key(&self) -> WebhookKey {
        WebhookKey { tenant_id: self.tenant_id, webhook_id: self.id }
    }

    /// True unless the webhook is switched off.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.disabled.is_none()
    }

    /// True until the endpoint has answered a test with 2xx, if the service requires that.
    #[must_use]
    pub fn needs_test(&self) -> bool {
        self.needs_test_since.is_some()
    }

    /// The previous secret, if it still signs at `now`.
    #[must_use]
    pub fn previous_secret_at(&self, now: Timestamp) -> Option<&PreviousSecret> {
        self.previous_secret.as_ref().filter(|previous| now < previous.until)
    }

    /// The time of a change at `now`: later than the last change, so that no two changes have the same time, even in
    /// the same millisecond or by clocks that differ.
    #[must_use]
    pub(crate) fn next_change_at(&self, now: Timestamp) -> Timestamp {
        let disabled_at = self.disabled.map(|disabled| disabled.at);
        let last = disabled_at.map_or(self.updated_at, |at| at.max(self.updated_at));
        now.max(last.plus(Duration::from_millis(1)))
    }
}

/// The fields of an update; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChanges {
    /// New [`Webhook::url`].
    pub url: Option<EndpointUrl>,
    /// New [`Webhook::description`], or none.
    pub description: Option<DescriptionChange>,
    /// If true, a URL other than the present one must be tested before the webhook gets deliveries.
    pub requires_test: bool,
    /// New [`Webhook::events`].
    pub events: Option<EventSet>,
    /// False switches the webhook off.
    pub is_active: Option<bool>,
    /// New [`RetryPolicy::enabled`].
    pub retry_enabled: Option<bool>,
    /// New [`RetryPolicy::max_retries`].
    pub max_retries: Option<u8>,
}

impl WebhookChanges {
    /// The webhook with these changes, made at `at`. Equal to `webhook` if it has them already.
    #[must_use]
    pub(crate) fn apply(&self, webhook: &Webhook, at: Timestamp) -> Webhook {
        let mut changed = webhook.clone();
        if let Some(url) = self.url.as_ref().filter(|url| **url != webhook.url) {
            changed.url = url.clone();
            changed.needs_test_since = self.requires_test.then_some(at);
        }
        if let Some(description) = &self.description {
            changed.description = description.clone().into_value();
        }
        if let Some(events) = &self.events {
            changed.events = events.clone();
        }
        match self.is_active {
            Some(true) if !webhook.is_active() => {
                changed.disabled = None;
                changed.failing_since = None;
            }
            Some(false) if webhook.is_active() => {
                changed.disabled = Some(Disabled { at, reason: DisabledReason::Owner });
            }
            Some(_) | None => {}
        }
        changed.retry.enabled = self.retry_enabled.unwrap_or(webhook.retry.enabled);
        changed.retry.max_retries = self.max_retries.unwrap_or(webhook.retry.max_retries);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_764_757_800_000 + millis)
    }

    fn webhook() -> Webhook {
        Webhook { failing_since: Some(at(0)), ..Webhook::example(at(0)) }
    }

    #[test]
    fn each_change_is_later_than_the_last_one_even_if_the_clock_is_not() {
        let webhook = webhook();
        for (now, expected) in [(0, 1), (1, 1), (2, 2)] {
            assert_eq!(webhook.next_change_at(at(now)), at(expected));
        }
        let off = Disabled { at: at(5), reason: DisabledReason::Gone };
        let off = Webhook { disabled: Some(off), ..webhook };
        assert_eq!(off.next_change_at(at(1)), at(6));
    }

    #[test]
    fn changes_that_a_webhook_has_already_leave_it_as_it_is() {
        let on = webhook();
        let gone = Disabled { at: at(1), reason: DisabledReason::Gone };
        let off = Webhook { disabled: Some(gone), ..webhook() };
        for webhook in [on, off] {
            let same = WebhookChanges {
                url: Some(webhook.url.clone()),
                description: Some(DescriptionChange::Clear),
                requires_test: true,
                events: Some(webhook.events.clone()),
                is_active: Some(webhook.is_active()),
                retry_enabled: Some(webhook.retry.enabled),
                max_retries: Some(webhook.retry.max_retries),
            };
            assert_eq!(same.apply(&webhook, at(9)), webhook);
            assert_eq!(WebhookChanges::default().apply(&webhook, at(9)), webhook);
        }
    }

    #[test]
    fn switching_off_keeps_the_first_failure_and_switching_on_forgets_it() {
        let switch =
            |is_active| WebhookChanges { is_active: Some(is_active), ..Default::default() };
        let on = webhook();
        let off = switch(false).apply(&on, at(9));
        let disabled = Disabled { at: at(9), reason: DisabledReason::Owner };
        assert_eq!((off.disabled, off.failing_since), (Some(disabled), on.failing_since));
        let on = switch(true).apply(&off, at(10));
        assert_eq!((on.disabled, on.failing_since), (None, None));
    }

    #[test]
    fn only_another_url_must_be_tested_and_only_if_tests_are_required() {
        let url = |text| Some(EndpointUrl::parse(text).unwrap());
        let to = |text, requires_test| WebhookChanges {
            url: url(text),
            requires_test,
            ..WebhookChanges::default()
        };
        let tested = webhook();
        for same in ["https://example.com/", "HTTPS://EXAMPLE.com", "https://example.com:443/x/.."]
        {
            assert_eq!(to(same, true).apply(&tested, at(9)), tested, "{same}");
        }
        for other in ["https://example.com/X", "https://example.com/?", "https://example.com:444/"]
        {
            let moved = to(other, true).apply(&tested, at(9));
            assert_eq!(
                (moved.needs_test_since, moved.needs_test()),
                (Some(at(9)), true),
                "{other}"
            );
            let back = to("https://example.com/", true).apply(&moved, at(10));
            assert_eq!(back.needs_test_since, Some(at(10)));
            let without = to("https://example.com/", false).apply(&moved, at(10));
            assert_eq!(without.needs_test_since, None);
        }
        let moved = to("https://example.com/x", true).apply(&tested, at(9));
        let kept = to("https://example.com/x", false).apply(&moved, at(10));
        assert_eq!(kept, moved, "the URL is the same");
    }
}
