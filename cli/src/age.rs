//! Ages as people write them, `90s`, `15m`, `2h`, `3d`, and times that an age can stand for.

use std::time::Duration;

use webhooks::timestamp::Timestamp;

/// Units with their lengths in seconds, longest first.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Parses a number with a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    let error =
        || "not an age; expected a number with a unit, such as 90s, 15m, 2h or 3d".to_owned();
    parsed.map(Duration::from_secs).ok_or_else(error)
}

/// Parses an RFC 3339 time, or an age: so long before `now`.
pub(crate) fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = Timestamp::parse(text) {
        return Ok(time);
    }
    let age = parse(text).map_err(|_malformed| {
        "not a time; expected the form 2025-12-03T10:30:00Z, or an age such as 90s, 15m, 2h or 3d"
            .to_owned()
    })?;
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Ok(Timestamp::from_unix_millis(now.unix_millis().saturating_sub(age)))
}

/// The age in the largest unit that fits at least twice.
pub(crate) fn short(age: Duration) -> String {
    let seconds = age.as_secs();
    let fitting = UNITS.iter().find(|(_, length)| seconds >= 2 * length);
    let (unit, length) = fitting.unwrap_or(&("s", 1));
    format!("{}{unit}", seconds / length)
}

/// The time from `since` to `now`; zero if `since` is later.
pub(crate) fn of(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(now.unix_millis().saturating_sub(since.unix_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_a_number_and_a_unit() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("15m", 900), ("2h", 7_200), ("3d", 259_200)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "5", "h", "-1h", "1w", "1.5h", "1h30m", "18446744073709551615d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_date_with_a_time_or_an_age_before_now() {
        let now = Timestamp::from_unix_millis(7_200_000);
        for (text, millis) in [
            ("1970-01-01T01:00:00+01:00", 0),
            ("2h", 0),
            ("15m", 6_300_000),
            ("0s", 7_200_000),
            ("3d", 0),
            ("213503982334601d", 0),
        ] {
            assert_eq!(parse_time(text, now), Ok(Timestamp::from_unix_millis(millis)), "{text}");
        }
        for text in ["", "yesterday", "2025-12-03", "2 h", "-1h"] {
            let error = parse_time(text, now).unwrap_err();
            assert!(error.contains("2025-12-03T10:30:00Z") && error.contains("2h"), "{error}");
        }
    }

    #[test]
    fn an_age_is_shown_in_the_largest_unit_that_fits_twice() {
        for (seconds, shown) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (172_800, "2d")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), shown);
        }
    }
}
