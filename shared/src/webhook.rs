//! A webhook: the endpoint, events and settings that a tenant has stored.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::endpoint::EndpointUrl;
use crate::event_type::EventType;
use crate::id::{TenantId, WebhookId, WebhookKey};
use crate::named::named;
use crate::retry::RetryPolicy;
use crate::rotation::StagingLabel;
use crate::timestamp::Timestamp;

/// A webhook's row; the signing secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The owner.
    pub tenant_id: TenantId,
    /// Never changes.
    pub id: WebhookId,
    /// The endpoint that events are posted to.
    pub url: EndpointUrl,
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
    /// Set by create, update and rotate.
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

    /// The previous secret, if it still signs at `now`.
    #[must_use]
    pub fn previous_secret_at(&self, now: Timestamp) -> Option<&PreviousSecret> {
        self.previous_secret.as_ref().filter(|previous| now < previous.until)
    }
}

/// The fields of an update; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChanges {
    /// New [`Webhook::url`].
    pub url: Option<EndpointUrl>,
    /// New [`Webhook::events`].
    pub events: Option<EventSet>,
    /// False switches the webhook off.
    pub is_active: Option<bool>,
    /// New [`RetryPolicy::enabled`].
    pub retry_enabled: Option<bool>,
    /// New [`RetryPolicy::max_retries`].
    pub max_retries: Option<u8>,
}

/// Event types in the tenant's order: at least one, no duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<EventType>", into = "Vec<EventType>")]
pub struct EventSet(Vec<EventType>);

/// Why a list is not an [`EventSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventSet {
    /// The list is empty.
    #[error("must name at least one event")]
    Empty,
    /// The list has this event type more than once.
    #[error("lists `{0}` more than once")]
    Duplicate(EventType),
}

impl EventSet {
    /// True if `event` is in the set.
    #[must_use]
    pub fn contains(&self, event: EventType) -> bool {
        self.0.contains(&event)
    }

    /// The first event in the tenant's order.
    #[must_use]
    pub fn first(&self) -> EventType {
        self.0[0]
    }

    /// The events in the tenant's order.
    #[must_use]
    pub fn as_slice(&self) -> &[EventType] {
        &self.0
    }
}

/// The default for a new webhook: both results of processing.
impl Default for EventSet {
    fn default() -> Self {
        Self(vec![EventType::ProcessingCompleted, EventType::ProcessingFailed])
    }
}

impl TryFrom<Vec<EventType>> for EventSet {
    type Error = InvalidEventSet;

    fn try_from(events: Vec<EventType>) -> Result<Self, InvalidEventSet> {
        if events.is_empty() {
            return Err(InvalidEventSet::Empty);
        }
        let repeated = events.iter().enumerate().find(|(at, event)| events[..*at].contains(event));
        match repeated {
            Some((_, event)) => Err(InvalidEventSet::Duplicate(*event)),
            None => Ok(Self(events)),
        }
    }
}

impl PartialSchema for EventSet {
    fn schema() -> RefOr<Schema> {
        let items = Ref::from_schema_name(EventType::name());
        ArrayBuilder::new().items(items).min_items(Some(1)).unique_items(true).into()
    }
}

impl ToSchema for EventSet {}

impl From<EventSet> for Vec<EventType> {
    fn from(set: EventSet) -> Self {
        set.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_set_is_not_empty_and_has_no_duplicates() {
        use EventType::{DocumentUploaded, ProcessingFailed};
        assert_eq!(EventSet::try_from(vec![]), Err(InvalidEventSet::Empty));
        assert_eq!(
            EventSet::try_from(vec![DocumentUploaded, ProcessingFailed, DocumentUploaded]),
            Err(InvalidEventSet::Duplicate(DocumentUploaded))
        );
        assert!(EventSet::try_from(vec![ProcessingFailed, DocumentUploaded]).is_ok());
    }
}
