//! Shows parked messages: as a table, as JSON, or one in full. Pure.

use serde_json::{Value, json};
use webhooks::event::Subject;
use webhooks::text::visible;
use webhooks::timestamp::Timestamp;

use super::content::{Content, Record};
use super::parked::Parked;
use crate::age;
use crate::columns::Columns;
use crate::words::{UNKNOWN, attempts, field, fields, or_unknown, short};

/// The fields of [`json`] in the order in which people read them.
const IN_ORDER: [&str; 16] = [
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
    "unattempted",
    "log_status",
    "sent_at",
    "age_seconds",
];

/// The table of dead letters.
pub(super) fn dead_letters<'a>(
    messages: impl Iterator<Item = &'a Parked>,
    now: Timestamp,
) -> Columns<9> {
    let headings =
        ["id", "age", "attempts", "unattempted", "log", "event", "tenant", "webhook", "reason"];
    let mut columns = Columns::new(headings);
    for parked in messages {
        let delivery = parked.delivery();
        columns.add([
            delivery_or_message_id(parked),
            age::short(parked.age(now)),
            or_unknown(parked.attempts()),
            if parked.is_unattempted() { "yes" } else { "no" }.to_owned(),
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
        "unattempted": parked.is_unattempted(),
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

/// Everything about one message, for people.
pub(super) fn full(parked: &Parked, now: Timestamp) -> String {
    let mut lines = fields(&json(parked, now), &IN_ORDER);
    lines.push(field("receive_count", &parked.received.receive_count.to_string()));
    for (name, value) in &parked.received.attributes {
        lines.push(field(&format!("attribute {}", visible(name)), &visible(value)));
    }
    lines.extend(parked.row.iter().flat_map(|row| attempts(&row.attempts)));
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
            "019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f  5m   2         no           failed  document.uploaded",
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
        long.received.attributes.insert("reason".to_owned(), "é".repeat(101));
        let table: Vec<String> = dead_letters(std::iter::once(&long), now()).lines().collect();
        assert!(table[1].ends_with(&format!("  {}…", "é".repeat(100))));
        assert_eq!(json(&long, now())["reason"], "é".repeat(101));
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
