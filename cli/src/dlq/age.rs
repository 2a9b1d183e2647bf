//! Ages and periods as people write them: `90s`, `15m`, `2h`, `3d`.

use std::time::Duration;

use webhooks::timestamp::Timestamp;

/// Units with their lengths in seconds, longest first.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Parses a number with a unit.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    let error =
        || "not an age; expected a number with a unit, such as 90s, 15m, 2h or 3d".to_owned();
    parsed.map(Duration::from_secs).ok_or_else(error)
}

/// The age in the largest unit that fits at least twice.
pub(super) fn short(age: Duration) -> String {
    let seconds = age.as_secs();
    let fitting = UNITS.iter().find(|(_, length)| seconds >= 2 * length);
    let (unit, length) = fitting.unwrap_or(&("s", 1));
    format!("{}{unit}", seconds / length)
}

/// The time from `since` to `now`; zero if `since` is later.
pub(super) fn of(since: Timestamp, now: Timestamp) -> Duration {
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
    fn an_age_is_shown_in_the_largest_unit_that_fits_twice() {
        for (seconds, shown) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (172_800, "2d")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), shown);
        }
    }
}
