//! Shows parked messages: as a table, as JSON, or one in full. Pure.
//!
//! The rule: text from outside cannot control a terminal. JSON escapes what other texts replace.

use serde_json::{Value, json};
use webhooks::event::Subject;
use webhooks::text::{first_chars, is_printable, visible};
use webhooks::timestamp::Timestamp;

use super::age;
use super::content::{Content, Record};
use super::parked::Parked;
use crate::columns::Columns;

/// Maximum characters of a reason in a table.
const REASON: usize = 100;

/// The fields of [`json`] in the order in which people read them.
const IN_ORDER: [&str; 15] = [
    "message_id",
    "kind",
    "source",
    "reason",
    "tenant_id",
    "webhook_config_id",
    "event",
    "delivery_id",
    "event_id",
    "job_id",
    "chain",
    "attempts",
    "log_status",
    "sent_at",
    "age_seconds",
];

/// What a table has for a value that is unknown.
const UNKNOWN: &str = "-";

/// The table of dead letters.
pub(super) fn dead_letters<'a>(
    messages: impl Iterator<Item = &'a Parked>,
    now: Timestamp,
) -> Columns<8> {
    let headings = ["id", "age", "attempts", "log", "event", "tenant", "webhook", "reason"];
    let mut columns = Columns::new(headings);
    for parked in messages {
        let delivery = parked.delivery();
        columns.add([
            delivery_or_message_id(parked),
            age::short(parked.age(now)),
            or_unknown(parked.attempts()),
            or_unknown(parked.status(now)),
            or_unknown(parked.event()),
            or_unknown(parked.tenant()),
            or_unknown(delivery.map(|delivery| delivery.webhook_config_id)),
            short(&parked.reason(now)),
        ]);
    }
    columns
}

/// The table of faults.
pub(super) fn faults<'a>(messages: impl Iterator<Item = &'a Parked>, now: Timestamp) -> Columns<7> {
    let headings = ["id", "age", "source", "record", "tenant", "job", "reason"];
    let mut columns = Columns::new(headings);
    for parked in messages {
        columns.add([
            parked.received.message_id.clone(),
            age::short(parked.age(now)),
            visible(source(parked).unwrap_or(UNKNOWN)),
            parked.content.kind().to_owned(),
            or_unknown(parked.tenant()),
            or_unknown(job_id(parked).map(|id| visible(&id))),
            short(&parked.reason(now)),
        ]);
    }
    columns
}

/// The message without its body.
pub(super) fn json(parked: &Parked, now: Timestamp) -> Value {
    let delivery = parked.delivery();
    json!({
        "message_id": parked.received.message_id,
        "kind": parked.content.kind(),
        "source": source(parked),
        "reason": parked.reason(now),
        "delivery_id": delivery.map(|it| it.delivery_id),
        "event_id": delivery.map(|it| it.event_id),
        "event": parked.event(),
        "tenant_id": parked.tenant(),
        "webhook_config_id": delivery.map(|it| it.webhook_config_id),
        "job_id": job_id(parked),
        "chain": delivery.map(|it| it.chain),
        "attempts": parked.attempts(),
        "log_status": parked.status(now),
        "sent_at": parked.received.sent_at,
        "age_seconds": parked.age(now).as_secs(),
    })
}

/// The message with its body, its attributes and what the log has of its delivery.
pub(super) fn full_json(parked: &Parked, now: Timestamp) -> Value {
    let mut value = json(parked, now);
    value["receive_count"] = parked.received.receive_count.into();
    value["attributes"] = json!(parked.received.attributes);
    value["log"] = parked.row.as_ref().map_or(Value::Null, |row| {
        json!({
            "chain": row.summary.chain,
            "attempt_count": row.summary.attempt_count,
            "last_error": row.summary.error_at(now),
            "completed_at": row.summary.completed_at,
            "attempts": row.attempts,
        })
    });
    value["body"] = parked.received.body.as_str().into();
    value
}

/// JSON in one line, with escapes for all characters that are not printable.
pub(super) fn line(value: &Value) -> String {
    // Outside of strings, JSON has only printable characters.
    value.to_string().chars().map(escaped).collect()
}

fn escaped(c: char) -> String {
    let mut text = c.to_string();
    if !is_printable(&text) {
        let escapes: Vec<String> = text.encode_utf16().map(|it| format!("\\u{it:04x}")).collect();
        text = escapes.concat();
    }
    text
}

/// Everything about one message, for people.
pub(super) fn full(parked: &Parked, now: Timestamp) -> String {
    let mut lines = Vec::new();
    let fields = json(parked, now);
    for name in IN_ORDER {
        match &fields[name] {
            Value::Null => {}
            Value::String(text) => lines.push(field(name, &visible(text))),
            value => lines.push(field(name, &value.to_string())),
        }
    }
    lines.push(field("receive_count", &parked.received.receive_count.to_string()));
    for (name, value) in &parked.received.attributes {
        lines.push(field(&format!("attribute {}", visible(name)), &visible(value)));
    }
    for attempt in parked.row.iter().flat_map(|row| &row.attempts) {
        let status = attempt.status_code.map_or(UNKNOWN.to_owned(), |code| code.to_string());
        let error = attempt.error.as_deref().unwrap_or("delivered");
        let text = format!("{}  status {status}  {} ms  {error}", attempt.at, attempt.duration_ms);
        let name = format!("attempt {}.{}", attempt.chain, attempt.number);
        lines.push(field(&name, &visible(&text)));
    }
    let (name, text) = payload(parked);
    lines.push(field(name, &visible(text)));
    lines.join("\n")
}

/// The part of the body that matters most: the request's body of a delivery, and the record of a fault.
fn payload(parked: &Parked) -> (&'static str, &str) {
    match (&parked.content, parked.delivery()) {
        (_, Some(delivery)) => ("body", delivery.body.get()),
        (Content::Fault { fault, .. }, None) => match &fault.record {
            Some(record) => ("record", record),
            None => ("body", &parked.received.body),
        },
        _ => ("body", &parked.received.body),
    }
}

fn field(name: &str, value: &str) -> String {
    format!("{name:<28}  {value}")
}

/// The function that parked the message.
fn source(parked: &Parked) -> Option<&str> {
    match &parked.content {
        Content::Fault { fault, .. } => Some(&fault.source),
        Content::StreamBatch { .. } => Some("Lambda"),
        Content::Delivery(_) | Content::Unreadable(_) => None,
    }
}

/// As the pipeline wrote it.
fn job_id(parked: &Parked) -> Option<String> {
    match (&parked.content, parked.delivery()) {
        (_, Some(delivery)) => Subject::of_body(delivery.body.get()).map(|subject| subject.job_id),
        (Content::Fault { record: Record::JobChange(_) | Record::Event(_), .. }, None) => {
            parked.content.ids().job_id
        }
        _ => None,
    }
}

fn delivery_or_message_id(parked: &Parked) -> String {
    let delivery = parked.delivery().map(|delivery| delivery.delivery_id.to_string());
    delivery.unwrap_or_else(|| parked.received.message_id.clone())
}

fn or_unknown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

fn short(reason: &str) -> String {
    let cut = first_chars(reason, REASON);
    if cut.len() < reason.len() { format!("{cut}…") } else { reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::{DELIVERY, fault, job_change};
    use super::super::parked::tests::{parked, row};
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_unix_millis(300_000)
    }

    fn delivery() -> Parked {
        Parked { row: Some(row("failed", 1)), ..parked(DELIVERY) }
    }

    #[test]
    fn a_dead_letter_is_shown_with_its_reason_attempts_age_and_ids() {
        let lines: Vec<String> =
            dead_letters([delivery(), parked("{}")].iter(), now()).lines().collect();
        let [headings, delivery, unreadable] = &lines[..] else { panic!("{lines:?}") };
        assert!(headings.starts_with("id ") && headings.ends_with("reason"), "{headings}");
        for text in [
            "019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f  5m   2         failed  document.uploaded",
            "770e8400-e29b-41d4-a716-446655440002  550e8400-e29b-41d4-a716-446655440000",
            "the endpoint answered 500",
        ] {
            assert!(delivery.contains(text), "{delivery}");
        }
        assert!(unreadable.starts_with("m1 ") && unreadable.contains("not a delivery message"));
    }

    #[test]
    fn a_fault_is_shown_with_its_source_record_and_job() {
        let change = parked(&fault(job_change().to_string()));
        let lines: Vec<String> = faults([change].iter(), now()).lines().collect();
        let expected = "m1  5m   fanout  job change  770e8400-e29b-41d4-a716-446655440002  \
             550e8400-e29b-41d4-a716-446655440000  no tenant";
        assert_eq!(lines[1], expected);
    }

    #[test]
    fn a_long_reason_is_cut_in_the_table_only() {
        let mut long = delivery();
        long.received.attributes.insert("reason".to_owned(), "é".repeat(REASON + 1));
        let table: Vec<String> = dead_letters(std::iter::once(&long), now()).lines().collect();
        assert!(table[1].ends_with(&format!("  {}…", "é".repeat(REASON))));
        assert_eq!(json(&long, now())["reason"], "é".repeat(REASON + 1));
    }

    #[test]
    fn every_field_has_a_place_in_the_order() {
        let Value::Object(fields) = json(&delivery(), now()) else { panic!("not an object") };
        let mut in_order = IN_ORDER.to_vec();
        in_order.sort_unstable();
        assert_eq!(fields.keys().map(String::as_str).collect::<Vec<_>>(), in_order);
    }

    #[test]
    fn unknown_values_are_null_in_json() {
        let value = full_json(&parked("\u{1b}"), now());
        assert_eq!((&value["kind"], &value["body"]), (&json!("unreadable"), &json!("\u{1b}")));
        for name in ["delivery_id", "event", "tenant_id", "attempts", "log_status", "log"] {
            assert!(value[name].is_null(), "{name}");
        }
        assert_eq!((&value["age_seconds"], &value["message_id"]), (&json!(300), &json!("m1")));
        let known = full_json(&delivery(), now());
        assert_eq!(known["log"]["attempts"][1]["error"], "the endpoint answered 500");
        assert_eq!((&known["log_status"], &known["chain"]), (&json!("failed"), &json!(1)));
    }

    #[test]
    fn a_json_line_keeps_the_value_and_escapes_what_is_not_printable() {
        let value = json!({"body": "é\u{7f}\u{9b}2J\u{202e}\u{e0041}\n世"});
        let line = line(&value);
        assert_eq!(line, r#"{"body":"é\u007f\u009b2J\u202e\udb40\udc41\n世"}"#);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }

    #[test]
    fn a_message_in_full_has_its_body_and_attempts_with_visible_control_characters() {
        let body = DELIVERY.replace(r#"{"event":"document.uploaded"}"#, "{\"a\":\"\u{7f}\"}");
        let mut message = Parked { row: Some(row("failed", 1)), ..parked(&body) };
        message.received.attributes.insert("reason".to_owned(), "\u{1b}[31m".to_owned());
        let text = full(&message, now());
        for part in [
            "{\"a\":\"␡\"}",
            "attribute reason              ␛[31m",
            "attempt 1.2 ",
            "no answer within 10 s",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        let record = full(&parked(&fault(job_change().to_string())), now());
        assert!(record.contains("record                        {\"awsRegion\""), "{record}");
    }
}
