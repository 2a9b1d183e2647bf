//! The events that a webhook subscribes to.
//!
//! The rule: the API and the rows name them in the same way, and [`EventSet::from_names`] reads both.

use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::event_type::EventType;

/// The events that a webhook subscribes to. JSON has their [`names`](Self::names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventSet {
    /// Every event, also those of later versions.
    All,
    /// These events.
    Listed(EventList),
}

/// Event types in the tenant's order: at least one, no duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventList(Vec<EventType>);

/// Why names are not those of an [`EventSet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventSet {
    /// There is no name.
    #[error("must name at least one event")]
    Empty,
    /// This event type is listed more than once.
    #[error("lists `{0}` more than once")]
    Duplicate(EventType),
    /// `*` is not the only name.
    #[error("`*` means every event, so it must be the only entry")]
    AllAndMore,
    /// No event type has this name.
    #[error("`{0}` is not a known event")]
    Unknown(String),
}

impl EventSet {
    /// The name of [`Self::All`].
    const ALL: &str = "*";

    /// Reads the name of every event, `*` alone, or those of event types.
    pub fn from_names<T: AsRef<str>>(names: &[T]) -> Result<Self, InvalidEventSet> {
        if names.iter().any(|name| name.as_ref() == Self::ALL) {
            return if names.len() == 1 { Ok(Self::All) } else { Err(InvalidEventSet::AllAndMore) };
        }
        let event = |name: &T| {
            let name = name.as_ref();
            EventType::from_name(name).ok_or_else(|| InvalidEventSet::Unknown(name.to_owned()))
        };
        let events: Vec<EventType> = names.iter().map(event).collect::<Result<_, _>>()?;
        if events.is_empty() {
            return Err(InvalidEventSet::Empty);
        }
        let repeated = events.iter().enumerate().find(|(at, event)| events[..*at].contains(event));
        match repeated {
            Some((_, event)) => Err(InvalidEventSet::Duplicate(*event)),
            None => Ok(Self::Listed(EventList(events))),
        }
    }

    /// `*` alone for every event, otherwise the names of the events in the tenant's order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec![Self::ALL],
            Self::Listed(EventList(events)) => events.iter().map(|event| event.as_str()).collect(),
        }
    }

    /// True if `event` is in the set.
    #[must_use]
    pub fn contains(&self, event: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Listed(EventList(events)) => events.contains(&event),
        }
    }

    /// The event of a test that names none: the first one in the list, or a completed document for all events.
    #[must_use]
    pub fn test_event(&self) -> EventType {
        match self {
            Self::All => EventType::ProcessingCompleted,
            Self::Listed(EventList(events)) => events[0],
        }
    }
}

/// The default for a new webhook: both results of processing.
impl Default for EventSet {
    fn default() -> Self {
        Self::Listed(EventList(vec![EventType::ProcessingCompleted, EventType::ProcessingFailed]))
    }
}

impl Serialize for EventSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}

impl PartialSchema for EventSet {
    fn schema() -> RefOr<Schema> {
        let all = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([Self::ALL]));
        let event = Ref::from_schema_name(EventType::name());
        let all = ArrayBuilder::new().items(all).max_items(Some(1));
        let listed = ArrayBuilder::new().items(event).unique_items(true);
        OneOfBuilder::new().item(all.min_items(Some(1))).item(listed.min_items(Some(1))).into()
    }
}

impl ToSchema for EventSet {}

#[cfg(test)]
mod tests {
    use super::*;

    use EventType::{DocumentUploaded, ProcessingCompleted, ProcessingFailed};

    #[test]
    fn a_list_is_not_empty_has_no_duplicates_and_only_known_names() {
        let (uploaded, failed) = (DocumentUploaded.as_str(), ProcessingFailed.as_str());
        assert_eq!(EventSet::from_names::<&str>(&[]), Err(InvalidEventSet::Empty));
        assert_eq!(
            EventSet::from_names(&[uploaded, failed, uploaded]),
            Err(InvalidEventSet::Duplicate(DocumentUploaded))
        );
        assert_eq!(
            EventSet::from_names(&[uploaded, "document.deleted"]),
            Err(InvalidEventSet::Unknown("document.deleted".to_owned()))
        );
        let listed = EventSet::from_names(&[failed, uploaded]).unwrap();
        assert_eq!(listed.names(), [failed, uploaded]);
        assert!(listed.contains(DocumentUploaded) && !listed.contains(ProcessingCompleted));
        assert_eq!(listed.test_event(), ProcessingFailed);
    }

    #[test]
    fn all_events_have_one_name_which_stands_alone() {
        let all = EventSet::from_names(&["*"]).unwrap();
        assert_eq!((all.names(), &all), (vec!["*"], &EventSet::All));
        assert!(EventType::ALL.into_iter().all(|event| all.contains(event)));
        assert_eq!(all.test_event(), ProcessingCompleted);
        for names in [["*", "*"], ["*", "document.uploaded"], ["document.deleted", "*"]] {
            assert_eq!(EventSet::from_names(&names), Err(InvalidEventSet::AllAndMore), "{names:?}");
        }
    }
}
