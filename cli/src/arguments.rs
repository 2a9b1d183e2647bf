//! Parses the values of options that several commands have. Pure.
//!
//! The rule: where the values are known, the parser knows them too, so that help and shell completions name them.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use webhooks::delivery::DeliveryStatus;
use webhooks::event_type::EventType;
use webhooks::timestamp::Timestamp;

use crate::age;

/// Such as `document.uploaded`.
pub(crate) fn event_type() -> impl TypedValueParser<Value = EventType> {
    PossibleValuesParser::new(EventType::ALL.map(EventType::as_str))
        .map(|name| EventType::from_name(&name).expect("it is one of the names"))
}

/// One of these, such as `failed`.
pub(crate) fn status(
    accepted: impl IntoIterator<Item = DeliveryStatus>,
) -> impl TypedValueParser<Value = DeliveryStatus> {
    PossibleValuesParser::new(accepted.into_iter().map(DeliveryStatus::as_str))
        .map(|name| DeliveryStatus::from_name(&name).expect("it is one of the names"))
}

/// An RFC 3339 time, or an age such as `2h`.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    age::parse_time(text, Timestamp::now())
}
