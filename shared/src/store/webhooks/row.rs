//! The format of a webhook's row.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_dynamo::{AttributeValue, Item};

use crate::endpoint::EndpointUrl;
use crate::event_type::EventType;
use crate::id::{TenantId, WebhookId};
use crate::retry::RetryPolicy;
use crate::rotation::StagingLabel;
use crate::store::update::Update;
use crate::store::{StoreError, parse};
use crate::timestamp::Timestamp;
use crate::webhook::{
    Description, Disabled, DisabledReason, EventSet, InvalidEventSet, PreviousSecret, Webhook,
};

/// The attribute with the webhook's id.
const ID: &str = "webhook_config_id";

pub(super) fn write(webhook: &Webhook) -> Result<super::SdkItem, StoreError> {
    serde_dynamo::to_item(Row::from(webhook)).map_err(StoreError::Encode)
}

/// The update that makes `after` of `before`. It names only the attributes that differ, and those of which another
/// version may have stored a part.
pub(super) fn update(before: &Webhook, after: &Webhook) -> Result<Update, StoreError> {
    let (old, mut new) = (write(before)?, write(after)?);
    let differs = |name: &str| old.get(name) != new.get(name);
    let is_written = |name: &str| match name {
        // They stand for `*` only together.
        "events" | "all_events" => before.events != after.events,
        // Without them, a webhook that is off has been so since its last change.
        "disabled_at" | "disabled_reason" => after.disabled.is_some() || differs(name),
        _ => differs(name),
    };
    let names: BTreeSet<&str> =
        old.keys().chain(new.keys()).map(String::as_str).chain(["all_events"]).collect();
    let written: Vec<String> =
        names.into_iter().filter(|name| is_written(name)).map(str::to_owned).collect();
    let mut update = Update::of(super::key(after.tenant_id, after.id));
    for name in written {
        update = match new.remove(&name) {
            Some(value) => update.set(name, value),
            None => update.remove([name]),
        };
    }
    Ok(update)
}

/// The error contains the webhook's id.
pub(super) fn read(item: impl Into<Item>) -> Result<Webhook, StoreError> {
    let row: Row = parse(item, ID)?;
    let key = row.webhook_config_id;
    Webhook::try_from(row)
        .map_err(|error| StoreError::CorruptRow { key: key.to_string(), source: error.into() })
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
    description: Option<Description>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    needs_test_since: Option<Timestamp>,
    events: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all_events: Option<Vec<String>>,
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

/// The attributes with the webhook's events.
///
/// Version 0.1.0 knows no `*` and reads only `events`. For `*`, this is therefore every event type that the writer
/// knows, and `all_events` is a copy of it. If that version changes `events`, the two differ, and the copy no longer
/// counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredEvents {
    pub(super) events: Vec<String>,
    pub(super) all_events: Option<Vec<String>>,
}

impl From<&EventSet> for StoredEvents {
    fn from(events: &EventSet) -> Self {
        let names = |names: &[&str]| names.iter().copied().map(str::to_owned).collect();
        match events {
            EventSet::All => {
                let all: Vec<String> = names(&EventType::ALL.map(EventType::as_str));
                Self { events: all.clone(), all_events: Some(all) }
            }
            EventSet::Listed(_) => Self { events: names(&events.names()), all_events: None },
        }
    }
}

impl TryFrom<StoredEvents> for EventSet {
    type Error = InvalidEventSet;

    /// For `*`, a later version may have stored names that this one does not know.
    fn try_from(stored: StoredEvents) -> Result<Self, InvalidEventSet> {
        if stored.all_events.as_ref() == Some(&stored.events) {
            return Ok(Self::All);
        }
        Self::from_names(&stored.events)
    }
}

fn write_url<S: Serializer>(url: &EndpointUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}

fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EndpointUrl, D::Error> {
    EndpointUrl::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl From<&Webhook> for Row {
    fn from(webhook: &Webhook) -> Self {
        let StoredEvents { events, all_events } = (&webhook.events).into();
        Self {
            tenant_id: webhook.tenant_id,
            webhook_config_id: webhook.id,
            url: webhook.url.clone(),
            description: webhook.description.clone(),
            needs_test_since: webhook.needs_test_since,
            events,
            all_events,
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

impl TryFrom<Row> for Webhook {
    type Error = InvalidEventSet;

    fn try_from(row: Row) -> Result<Self, InvalidEventSet> {
        let (events, all_events) = (row.events, row.all_events);
        Ok(Self {
            tenant_id: row.tenant_id,
            id: row.webhook_config_id,
            url: row.url,
            description: row.description,
            needs_test_since: row.needs_test_since,
            events: StoredEvents { events, all_events }.try_into()?,
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
        })
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
        assert_eq!((webhook.events.names().len(), webhook.is_active()), (3, true));
        assert_eq!(webhook.retry, RetryPolicy::default());
        assert_eq!(webhook.updated_at.to_string(), "2025-12-02T08:15:30.25Z");
        assert_eq!(webhook.secret_version, "3f1f6f6e-0000-4000-8000-000000000001");
        assert_eq!((webhook.secret_label, webhook.previous_secret), (None, None));
        assert_eq!(webhook.needs_test_since, None);
    }

    /// The webhook of version 0.1.0 with these events.
    fn webhook_for(events: EventSet) -> Webhook {
        let json = include_str!("../../../../tests/formats/0.1.0/webhook-row.json");
        let item: Item = serde_json::from_str(json).unwrap();
        Webhook { events, ..read(item).unwrap() }
    }

    fn list(names: &[&str]) -> SdkAttributeValue {
        let names = names.iter().map(|name| SdkAttributeValue::S((*name).to_owned()));
        SdkAttributeValue::L(names.collect())
    }

    #[test]
    fn version_0_1_0_reads_every_event_type_in_the_row_of_a_webhook_for_all_events() {
        let webhook = webhook_for(EventSet::All);
        let row = write(&webhook).unwrap();
        assert_eq!(row["events"], list(&EventType::ALL.map(EventType::as_str)));
        assert_eq!(read(row).unwrap(), webhook);
        let row = write(&webhook_for(EventSet::default())).unwrap();
        assert!(!row.contains_key("all_events"), "{row:?}");
    }

    #[test]
    fn events_that_an_old_version_has_changed_are_no_longer_all_events() {
        let mut row = write(&webhook_for(EventSet::All)).unwrap();
        row.insert("events".to_owned(), list(&["document.uploaded"]));
        assert_eq!(read(row).unwrap().events.names(), ["document.uploaded"]);
    }

    #[test]
    fn all_events_of_a_later_version_are_all_events() {
        let mut row = write(&webhook_for(EventSet::All)).unwrap();
        let later = list(&["document.uploaded", "document.shredded"]);
        row.insert("events".to_owned(), later.clone());
        row.insert("all_events".to_owned(), later);
        assert_eq!(read(row).unwrap().events, EventSet::All);
    }

    #[test]
    fn a_description_is_read_as_it_is_and_null_means_that_there_is_none() {
        let long = "x".repeat(1000);
        let mut row = write(&webhook_for(EventSet::default())).unwrap();
        assert!(!row.contains_key("description"), "{row:?}");
        row.insert("description".to_owned(), SdkAttributeValue::S(long.clone()));
        assert_eq!(read(row.clone()).unwrap().description.unwrap().as_str(), long);
        row.insert("description".to_owned(), SdkAttributeValue::Null(true));
        assert_eq!(read(row).unwrap().description, None);
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
