//! Values as people read them: numbers, unknown values, long texts, and records field by field. Pure.
//!
//! The rule: text from outside cannot control a terminal.

use serde_json::Value;
use webhooks::delivery::Attempt;
use webhooks::text::{first_chars, visible};

/// What a table has for a value that is unknown.
pub(crate) const UNKNOWN: &str = "-";

/// Maximum characters of a reason in a table.
const REASON: usize = 100;

/// Such as `1 message` or `2 messages`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

pub(crate) fn or_unknown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

/// A reason that fits into a table.
pub(crate) fn short(reason: &str) -> String {
    let cut = visible(first_chars(reason, REASON));
    if reason.chars().nth(REASON).is_some() { format!("{cut}…") } else { cut }
}

/// One line of a record: `value` must be printable.
pub(crate) fn field(name: &str, value: &str) -> String {
    format!("{name:<28}  {value}")
}

/// The fields of an object in this order, a line each, without those that are null.
pub(crate) fn fields(object: &Value, in_order: &[&str]) -> Vec<String> {
    let line = |name: &&str| match &object[*name] {
        Value::Null => None,
        Value::String(text) => Some(field(name, &visible(text))),
        value => Some(field(name, &visible(&value.to_string()))),
    };
    in_order.iter().filter_map(line).collect()
}

/// One line of a record for each attempt, and one more if its endpoint answered with a text.
pub(crate) fn attempts(attempts: &[Attempt]) -> Vec<String> {
    attempts.iter().flat_map(attempt).collect()
}

fn attempt(attempt: &Attempt) -> Vec<String> {
    let name = format!("attempt {}.{}", attempt.chain, attempt.number);
    let error = attempt.error.as_deref().unwrap_or("delivered");
    let first = attempt
        .first_status_code
        .map_or_else(String::new, |first| format!("{first}, with the previous secret "));
    let text = format!(
        "{}  status {first}{}  {} ms{}  {error}",
        attempt.at,
        or_unknown(attempt.status_code),
        attempt.duration_ms,
        phases(attempt)
    );
    let response = attempt.response_body.as_ref().filter(|text| !text.is_empty());
    let response = response.map(|text| field(&format!("{name} response"), &visible(text)));
    [Some(field(&name, &visible(&text))), response].into_iter().flatten().collect()
}

/// The phases that are known, in parentheses after a space.
fn phases(attempt: &Attempt) -> String {
    let phases = attempt.phases;
    let known: Vec<String> = [
        ("DNS", phases.dns_ms),
        ("connect", phases.connect_ms),
        ("TLS", phases.tls_ms),
        ("first byte", phases.first_byte_ms),
    ]
    .into_iter()
    .filter_map(|(name, millis)| millis.map(|millis| format!("{name} {millis}")))
    .collect();
    if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use webhooks::delivery::Phases;
    use webhooks::timestamp::Timestamp;

    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|n| count(n, "key")), ["0 keys", "1 key", "2 keys"]);
    }

    #[test]
    fn a_long_reason_is_cut_and_shown_with_visible_control_characters() {
        assert_eq!(short(&"é".repeat(REASON)), "é".repeat(REASON));
        assert_eq!(short(&"é".repeat(REASON + 1)), format!("{}…", "é".repeat(REASON)));
        assert_eq!(short("\u{1b}[31m"), "␛[31m");
    }

    #[test]
    fn fields_are_in_order_without_those_that_are_null() {
        let object = json!({"a": "\u{7f}", "b": null, "c": 1, "d": ["\u{1b}"]});
        let lines = fields(&object, &["d", "c", "b", "a"]);
        let columns = |line: &String| line.split_whitespace().map(str::to_owned).collect();
        let lines: Vec<Vec<String>> = lines.iter().map(columns).collect();
        assert_eq!(lines, [["d", "[\"\\u001b\"]"], ["c", "1"], ["a", "␡"]]);
    }

    #[test]
    fn an_attempt_is_shown_with_its_phases_and_its_response() {
        let phases = Phases { dns_ms: Some(2), first_byte_ms: Some(9), ..Phases::default() };
        let failed = Attempt {
            chain: 2,
            number: 3,
            at: Timestamp::from_unix_millis(0),
            duration_ms: 10,
            phases,
            first_status_code: None,
            status_code: Some(500),
            error: Some("the endpoint answered 500".to_owned()),
            response_body: Some("no\u{1b}".to_owned()),
        };
        let delivered = Attempt {
            error: None,
            response_body: None,
            phases: Phases::default(),
            first_status_code: Some(401),
            status_code: Some(200),
            ..failed.clone()
        };
        let lines = attempts(&[failed, delivered]);
        let [failed, response, delivered] = &lines[..] else { panic!("{lines:?}") };
        assert!(
            failed.ends_with(
                "1970-01-01T00:00:00Z  status 500  10 ms (DNS 2, first byte 9)  the endpoint answered 500"
            ),
            "{failed}"
        );
        assert!(response.starts_with("attempt 2.3 response ") && response.ends_with(" no␛"));
        assert!(
            delivered.ends_with("  status 401, with the previous secret 200  10 ms  delivered"),
            "{delivered}"
        );
    }
}
