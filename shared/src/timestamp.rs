//! Timestamps: RFC 3339 in UTC with a `Z`, or Unix time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::schema;
use crate::text;

/// A time with millisecond resolution. Its text form has no fraction if the milliseconds are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

/// Not an RFC 3339 date and time, or outside the years 0 to 9999 in UTC.
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 time; expected the form 2025-12-03T10:30:00Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The system clock's time, truncated to milliseconds.
    #[must_use]
    pub fn now() -> Self {
        Self::from_utc(OffsetDateTime::now_utc())
    }

    /// Accepts RFC 3339 with any offset and fraction; truncates to milliseconds.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .and_then(|time| time.checked_to_offset(UtcOffset::UTC))
            // RFC 3339 years have four digits; conversion to UTC can leave that range.
            .filter(|time| (0..=9999).contains(&time.year()))
            .map(Self::from_utc)
            .ok_or(InvalidTimestamp)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; the epoch itself if out of range.
    #[must_use]
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        )
    }

    /// Truncates to whole seconds.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self(self.0.replace_nanosecond(0).unwrap_or(self.0))
    }

    /// Seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; zero before it.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
    }

    /// The time `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(time::Duration::try_from(duration).unwrap_or(time::Duration::MAX)),
        )
    }

    /// The time from `earlier` to this one; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.unix_millis().saturating_sub(earlier.unix_millis()))
    }

    fn from_utc(utc: OffsetDateTime) -> Self {
        let whole_millis = u32::from(utc.millisecond()) * 1_000_000;
        Self(utc.replace_nanosecond(whole_millis).unwrap_or(utc))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(&Rfc3339).map_err(|_unprintable| fmt::Error)?)
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        Self::parse(text)
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        schema::text("date-time")
    }
}

impl ToSchema for Timestamp {}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.format(&Rfc3339).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_converted_to_utc_and_a_fraction_truncated() {
        let parsed = Timestamp::parse("2025-12-03T11:30:00.987654+01:00").unwrap();
        assert_eq!(parsed.to_string(), "2025-12-03T10:30:00.987Z");
        assert_eq!(parsed.whole_seconds().to_string(), "2025-12-03T10:30:00Z");
        assert_eq!(parsed.unix_seconds(), 1_764_757_800);
    }

    #[test]
    fn an_invalid_time_or_one_outside_four_digit_years_is_refused() {
        for text in
            ["2025-12-03", "yesterday", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"]
        {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
