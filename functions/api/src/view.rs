//! The JSON form of a webhook in the public API.
//!
//! The rule: only this module serialises a signing secret, straight into the response.

use serde::{Serialize, Serializer};

use utoipa::ToSchema;
use webhooks::health::Health;
use webhooks::id::WebhookId;
use webhooks::secret::SigningSecret;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{Description, DisabledReason, EventSet, Webhook};

use crate::page::Page;

/// A webhook: an endpoint and the events that are posted to it.
// The guide's fields come in its order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView<'a> {
    /// Never changes.
    webhook_config_id: WebhookId,
    /// The endpoint that events are posted to.
    #[schema(format = "uri")]
    url: &'a str,
    /// What its owner wrote about it.
    description: Option<&'a str>,
    /// The secret that signs requests. Only the responses to create and rotate have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, pattern = "^whsec_[A-Za-z0-9+/]{40}$")]
    signing_secret: Option<ExposedSecret<'a>>,
    /// The event types that it subscribes to, or `*`: every event, also those of later versions.
    events: &'a EventSet,
    /// False while the webhook is switched off: nothing is posted.
    is_active: bool,
    /// True while nothing but tests is posted, until one succeeds.
    needs_test: bool,
    /// False means one attempt per delivery.
    retry_enabled: bool,
    /// Total number of attempts per delivery; 0 and 1 both mean one.
    max_retries: u8,
    /// `failing` from the first delivery that failed for good to the next success; `disabled` while it is switched off.
    health: Health,
    /// When `failing` began.
    failing_since: Option<Timestamp>,
    /// When the webhook was switched off.
    disabled_at: Option<Timestamp>,
    /// `gone`: the endpoint answered 410. `failing_too_long`: it failed for days without one success. `owner`: you did.
    disabled_reason: Option<DisabledReason>,
    /// Until then, the secret before the last rotation still signs.
    previous_secret_expires_at: Option<Timestamp>,
    /// When it was created.
    created_at: Timestamp,
    /// When it was last updated or its secret rotated; a change of health does not count.
    updated_at: Timestamp,
}

/// A page of webhooks, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookList)]
pub(crate) struct WebhookList<'a> {
    webhooks: Vec<WebhookView<'a>>,
    /// Number of webhooks on all pages.
    total: usize,
    /// Number of this page, from 1.
    page: usize,
    /// Maximum number of webhooks on a page.
    per_page: usize,
}

#[derive(Debug)]
struct ExposedSecret<'a>(&'a SigningSecret);

impl<'a> WebhookView<'a> {
    /// As of `now`, without the signing secret.
    #[must_use]
    pub(crate) fn of(webhook: &'a Webhook, now: Timestamp) -> Self {
        Self {
            webhook_config_id: webhook.id,
            url: webhook.url.as_str(),
            description: webhook.description.as_ref().map(Description::as_str),
            signing_secret: None,
            events: &webhook.events,
            is_active: webhook.is_active(),
            needs_test: webhook.needs_test(),
            retry_enabled: webhook.retry.enabled,
            max_retries: webhook.retry.max_retries,
            health: webhook.health(),
            failing_since: webhook.failing_since,
            disabled_at: webhook.disabled.map(|disabled| disabled.at),
            disabled_reason: webhook.disabled.map(|disabled| disabled.reason),
            previous_secret_expires_at: webhook.previous_secret_at(now).map(|it| it.until),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }

    /// For the responses of create and rotate, which alone show the secret.
    #[must_use]
    pub(crate) fn with_secret(
        webhook: &'a Webhook,
        secret: &'a SigningSecret,
        now: Timestamp,
    ) -> Self {
        Self { signing_secret: Some(ExposedSecret(secret)), ..Self::of(webhook, now) }
    }
}

impl<'a> WebhookList<'a> {
    /// `webhooks` are all of the tenant's; the result has those on `page`.
    #[must_use]
    pub(crate) fn of(webhooks: &'a [Webhook], page: Page, now: Timestamp) -> Self {
        Self {
            webhooks: page.of(webhooks).map(|webhook| WebhookView::of(webhook, now)).collect(),
            total: webhooks.len(),
            page: page.number,
            per_page: page.size,
        }
    }
}

impl Serialize for ExposedSecret<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}
