//! Parses the values of options that several commands have. Pure.

use webhooks::delivery::DeliveryStatus;
use webhooks::event_type::EventType;
use webhooks::timestamp::Timestamp;

use crate::age;

/// Such as `document.uploaded`.
pub(crate) fn event_type(name: &str) -> Result<EventType, String> {
    EventType::from_name(name).ok_or_else(|| {
        let names = EventType::ALL.map(EventType::as_str).join(", ");
        format!("not an event; expected one of {names}")
    })
}

/// Such as `failed`.
pub(crate) fn status(name: &str) -> Result<DeliveryStatus, String> {
    DeliveryStatus::from_name(name).ok_or_else(|| {
        let names = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
        format!("not a status; expected one or more of {names}, separated by commas")
    })
}

/// An RFC 3339 time, or an age such as `2h`.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    age::parse_time(text, Timestamp::now())
}
