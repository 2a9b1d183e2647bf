//! The format of a webhook's row.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_dynamo::{AttributeValue, Item};

use crate::endpoint::EndpointUrl;
use crate::id::{TenantId, WebhookId};
use crate::retry::RetryPolicy;
use crate::rotation::StagingLabel;
use crate::store::update::Update;
use crate::store::{StoreError, parse};
use crate::timestamp::Timestamp;
use crate::webhook::{Disabled, DisabledReason, EventSet, PreviousSecret, Webhook};

/// The attribute with the webhook's id.
const ID: &str = "webhook_config_id";

pub(super) fn write(webhook: &Webhook) -> Result<super::SdkItem, StoreError> {
    serde_dynamo::to_item(Row::from(webhook)).map_err(StoreError::Encode)
}

/// The update that makes `after` of `before`. It names only the attributes that differ.
pub(super) fn update(before: &Webhook, after: &Webhook) -> Result<Update, StoreError> {
    let (old, new) = (write(before)?, write(after)?);
    let mut gone: Vec<&String> = old.keys().filter(|name| !new.contains_key(*name)).collect();
    gone.sort_unstable();
    let update = Update::of(super::key(after.tenant_id, after.id)).remove(gone);
    let mut changed: Vec<_> =
        new.into_iter().filter(|(name, value)| old.get(name) != Some(value)).collect();
    changed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(changed.into_iter().fold(update, |update, (name, value)| update.set(name, value)))
}

/// The error contains the webhook's id.
pub(super) fn read(item: impl Into<Item>) -> Result<Webhook, StoreError> {
    parse::<Row>(item, ID).map(Webhook::from)
}

/// `None` if the id is malformed.
pub(super) fn id(item: &Item) -> Option<WebhookId> {
    match item.get(ID)? {
        AttributeValue::S(id) => id.parse().ok(),
        _ => None,
    }
}

#[derive(Serialize, Deserialize)]
struct Row {
    tenant_id: TenantId,
    webhook_config_id: WebhookId,
    #[serde(serialize_with = "write_url", deserialize_with = "read_url")]
    url: EndpointUrl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    needs_test_since: Option<Timestamp>,
    events: EventSet,
    is_active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<DisabledReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    retry_enabled: bool,
    max_retries: u8,
    created_at: Timestamp,
    updated_at: Timestamp,
    secret_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_label: Option<StagingLabel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_secret: Option<PreviousSecret>,
}

fn write_url<S: Serializer>(url: &EndpointUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}

fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EndpointUrl, D::Error> {
    EndpointUrl::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl From<&Webhook> for Row {
    fn from(webhook: &Webhook) -> Self {
        Self {
            tenant_id: webhook.tenant_id,
            webhook_config_id: webhook.id,
            url: webhook.url.clone(),
            needs_test_since: webhook.needs_test_since,
            events: webhook.events.clone(),
            is_active: webhook.is_active(),
            disabled_at: webhook.disabled.map(|disabled| disabled.at),
            disabled_reason: webhook.disabled.map(|disabled| disabled.reason),
            failing_since: webhook.failing_since,
            retry_enabled: webhook.retry.enabled,
            max_retries: webhook.retry.max_retries,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            secret_version: webhook.secret_version.clone(),
            secret_label: webhook.secret_label,
            previous_secret: webhook.previous_secret.clone(),
        }
    }
}

impl From<Row> for Webhook {
    fn from(row: Row) -> Self {
        Self {
            tenant_id: row.tenant_id,
            id: row.webhook_config_id,
            url: row.url,
            needs_test_since: row.needs_test_since,
            events: row.events,
            // Rows of version 0.1.0 do not say when and why a webhook was switched off.
            disabled: (!row.is_active).then(|| Disabled {
                at: row.disabled_at.unwrap_or(row.updated_at),
                reason: row.disabled_reason.unwrap_or(DisabledReason::Owner),
            }),
            failing_since: row.failing_since,
            retry: RetryPolicy { enabled: row.retry_enabled, max_retries: row.max_retries },
            created_at: row.created_at,
            updated_at: row.updated_at,
            secret_version: row.secret_version,
            secret_label: row.secret_label,
            previous_secret: row.previous_secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue as SdkAttributeValue;

    use super::*;

    #[test]
    fn a_row_of_version_0_1_0_is_read() {
        let json = include_str!("../../../../tests/formats/0.1.0/webhook-row.json");
        let item: Item = serde_json::from_str(json).unwrap();
        let webhook = read(item).unwrap();
        assert_eq!(webhook.url.as_str(), "https://example.com/webhooks/docintell");
        assert_eq!((webhook.events.as_slice().len(), webhook.is_active()), (3, true));
        assert_eq!(webhook.retry, RetryPolicy::default());
        assert_eq!(webhook.updated_at.to_string(), "2025-12-02T08:15:30.25Z");
        assert_eq!(webhook.secret_version, "3f1f6f6e-0000-4000-8000-000000000001");
        assert_eq!((webhook.secret_label, webhook.previous_secret), (None, None));
        assert_eq!(webhook.needs_test_since, None);
    }

    #[test]
    fn a_row_keeps_the_previous_secret_and_null_means_that_there_is_none() {
        let json = include_str!("../../../../tests/formats/0.1.0/webhook-row.json");
        let item: Item = serde_json::from_str(json).unwrap();
        let until = Timestamp::parse("2025-12-04T10:30:00Z").unwrap();
        let rotated = Webhook {
            needs_test_since: Some(until),
            secret_label: Some(StagingLabel::B),
            previous_secret: Some(PreviousSecret { version: "old".to_owned(), until }),
            ..read(item).unwrap()
        };
        let mut row = write(&rotated).unwrap();
        assert_eq!(read(row.clone()).unwrap(), rotated);
        row.insert("previous_secret".to_owned(), SdkAttributeValue::Null(true));
        assert_eq!(read(row).unwrap().previous_secret, None);
    }
}
