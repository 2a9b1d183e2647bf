//! The `Retry-After` header of a response: when the endpoint wants the next attempt.
//!
//! The rule: anything but the header's two forms is ignored, and no wait is longer than 15 minutes.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use webhooks::timestamp::Timestamp;

/// The longest wait. Within the limit of SQS for a message's delay, 900 s.
const MAX_WAIT: Duration = Duration::from_mins(15);

/// The wait that a 429 or 503 asks for, in whole seconds. `now` is the time of the response.
pub(crate) fn retry_after(
    status: StatusCode,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let mut values = headers.get_all(RETRY_AFTER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?;
    seconds(text).or_else(|| seconds_until(text, now)).map(|wait| wait.min(MAX_WAIT))
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for 64 bits is longer than any wait.
    is_number.then(|| text.parse().map_or(MAX_WAIT, Duration::from_secs))
}

/// Rounded up, so that the attempt is not early; zero for a time in the past.
fn seconds_until(date: &str, now: Timestamp) -> Option<Duration> {
    let until = httpdate::parse_http_date(date).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.unix_millis());
    let wait = until.duration_since(now).unwrap_or(Duration::ZERO);
    Some(Duration::from_secs(wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    /// 2025-12-03T10:30:00.250Z, a Wednesday.
    fn now() -> Timestamp {
        Timestamp::from_unix_millis(1_764_757_800_250)
    }

    fn wait(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(RETRY_AFTER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        retry_after(StatusCode::SERVICE_UNAVAILABLE, &headers, now()).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_up_to_15_minutes() {
        for (value, seconds) in [
            ("0", 0),
            ("1", 1),
            ("0120", 120),
            ("900", 900),
            ("901", 900),
            ("99999999999999999999999999", 900),
            ("Wed, 03 Dec 2025 10:31:00 GMT", 60),
            ("Wednesday, 03-Dec-25 10:31:00 GMT", 60),
            ("Wed Dec  3 10:31:00 2025", 60),
            ("Wed, 03 Dec 2025 10:30:01 GMT", 1),
            ("Wed, 03 Dec 2025 10:30:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 900),
        ] {
            assert_eq!(wait(&[value]), Some(seconds), "{value}");
        }
    }

    #[test]
    fn anything_else_is_ignored() {
        for value in [
            "",
            "-1",
            "+1",
            "1.5",
            "1e3",
            "0x10",
            "60 s",
            "60, 120",
            "soon",
            "٣",
            "2025-12-03T10:31:00Z",
            "Wed, 03 Dec 2025 10:31:00 +0100",
            "Wed, 32 Dec 2025 10:31:00 GMT",
        ] {
            assert_eq!(wait(&[value]), None, "{value}");
        }
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&["60", "120"]), None, "two headers contradict each other");
    }

    #[test]
    fn only_429_and_503_can_ask_for_a_wait() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("60"))]);
        for status in 200..=599 {
            let wait = retry_after(StatusCode::from_u16(status).unwrap(), &headers, now());
            assert_eq!(wait.is_some(), [429, 503].contains(&status), "{status}");
        }
    }
}
