//! The JSON form of a webhook in the public API.
//!
//! The rule: only this module serialises a signing secret, straight into the response.

use serde::{Serialize, Serializer};

use webhooks::health::Health;
use webhooks::id::WebhookId;
use webhooks::secret::SigningSecret;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{Description, DisabledReason, EventSet, Webhook};

use crate::page::Page;

/// The webhook object. The guide's fields come in its order.
#[derive(Debug, Serialize)]
pub(crate) struct WebhookView<'a> {
    webhook_config_id: WebhookId,
    url: &'a str,
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<ExposedSecret<'a>>,
    events: &'a EventSet,
    is_active: bool,
    needs_test: bool,
    retry_enabled: bool,
    max_retries: u8,
    health: Health,
    failing_since: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    disabled_reason: Option<DisabledReason>,
    /// The end of a rotation's overlap; `None` outside of it.
    previous_secret_expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The body of `GET /v1/webhooks`.
#[derive(Debug, Serialize)]
pub(crate) struct WebhookList<'a> {
    webhooks: Vec<WebhookView<'a>>,
    total: usize,
    page: usize,
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
