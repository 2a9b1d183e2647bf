//! A webhook as the public API shows it.
//!
//! The rule: a signing secret becomes text here and nowhere else, while the answer is written.

use serde::{Serialize, Serializer};

use webhooks::id::WebhookId;
use webhooks::secret::SigningSecret;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{EventSet, Webhook};

use crate::page::Page;

/// The public object; the fields are in the guide's order.
#[derive(Debug, Serialize)]
pub(crate) struct WebhookView<'a> {
    webhook_config_id: WebhookId,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<Shown<'a>>,
    events: &'a EventSet,
    is_active: bool,
    retry_enabled: bool,
    max_retries: u8,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// One page of a tenant's webhooks.
#[derive(Debug, Serialize)]
pub(crate) struct WebhookList<'a> {
    webhooks: Vec<WebhookView<'a>>,
    total: usize,
    page: usize,
    per_page: usize,
}

#[derive(Debug)]
struct Shown<'a>(&'a SigningSecret);

impl<'a> WebhookView<'a> {
    /// What is always shown.
    #[must_use]
    pub(crate) fn of(webhook: &'a Webhook) -> Self {
        Self {
            webhook_config_id: webhook.id,
            url: webhook.url.as_str(),
            signing_secret: None,
            events: &webhook.events,
            is_active: webhook.is_active,
            retry_enabled: webhook.retry.enabled,
            max_retries: webhook.retry.max_retries,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }

    /// What is shown once, to whoever made the secret.
    #[must_use]
    pub(crate) fn with_secret(webhook: &'a Webhook, secret: &'a SigningSecret) -> Self {
        Self { signing_secret: Some(Shown(secret)), ..Self::of(webhook) }
    }
}

impl<'a> WebhookList<'a> {
    /// The part of `webhooks`, which are all of a tenant's, that is on `page`.
    #[must_use]
    pub(crate) fn of(webhooks: &'a [Webhook], page: Page) -> Self {
        Self {
            webhooks: page.of(webhooks).map(WebhookView::of).collect(),
            total: webhooks.len(),
            page: page.number,
            per_page: page.size,
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}
