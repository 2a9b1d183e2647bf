//! A webhook: where a tenant wants which events, as it is stored.

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointUrl;
use crate::event_type::EventType;
use crate::id::{TenantId, WebhookId};
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

/// One webhook configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The owner.
    pub tenant_id: TenantId,
    /// Never changes.
    pub id: WebhookId,
    /// Where events are posted.
    pub url: EndpointUrl,
    /// What is posted.
    pub events: EventSet,
    /// Whether anything is posted at all.
    pub is_active: bool,
    /// How often a delivery is tried.
    pub retry: RetryPolicy,
    /// When the tenant made it.
    pub created_at: Timestamp,
    /// When the tenant last changed it.
    pub updated_at: Timestamp,
    /// The Secrets Manager version that signs; a version never changes, so it may be cached by this.
    pub secret_version: String,
}

impl Webhook {
    /// Whether `event` is to be delivered here.
    #[must_use]
    pub fn wants(&self, event: EventType) -> bool {
        self.is_active && self.events.contains(event)
    }
}

/// What a tenant changes of a webhook; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChanges {
    /// A new endpoint.
    pub url: Option<EndpointUrl>,
    /// Another choice of events.
    pub events: Option<EventSet>,
    /// Switched on or off.
    pub is_active: Option<bool>,
    /// Retries on or off.
    pub retry_enabled: Option<bool>,
    /// Attempts in all, 0 to [`crate::retry::MAX_RETRIES_LIMIT`].
    pub max_retries: Option<u8>,
}

/// The events that a webhook subscribes to: at least one, none twice, in the tenant's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<EventType>", into = "Vec<EventType>")]
pub struct EventSet(Vec<EventType>);

/// A list that is no [`EventSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventSet {
    /// Nothing in it.
    #[error("must name at least one event")]
    Empty,
    /// The same event twice.
    #[error("names `{0}` more than once")]
    Duplicate(EventType),
}

impl EventSet {
    /// Whether `event` is in the set.
    #[must_use]
    pub fn contains(&self, event: EventType) -> bool {
        self.0.contains(&event)
    }

    /// The events in the tenant's order.
    #[must_use]
    pub fn as_slice(&self) -> &[EventType] {
        &self.0
    }
}

/// What a webhook gets when its owner does not choose: how processing ended.
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

impl From<EventSet> for Vec<EventType> {
    fn from(set: EventSet) -> Self {
        set.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_set_is_neither_empty_nor_repetitive() {
        use EventType::{DocumentUploaded, ProcessingFailed};
        assert_eq!(EventSet::try_from(vec![]), Err(InvalidEventSet::Empty));
        assert_eq!(
            EventSet::try_from(vec![DocumentUploaded, ProcessingFailed, DocumentUploaded]),
            Err(InvalidEventSet::Duplicate(DocumentUploaded))
        );
        assert!(EventSet::try_from(vec![ProcessingFailed, DocumentUploaded]).is_ok());
    }
}
