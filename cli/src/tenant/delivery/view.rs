//! Shows deliveries: as a table, as JSON, or one in full. Pure.
//!
//! The rule: JSON has the API's names.

use serde_json::{Value, json};
use webhooks::delivery::{Attempt, DeliveryStatus};
use webhooks::store::deliveries::{DeliveryRow, DeliverySummary};
use webhooks::text::{printable, visible};
use webhooks::timestamp::Timestamp;

use crate::columns::Columns;
use crate::words::{attempts, field, fields, or_unknown, short};

/// The fields of [`json`] in the order in which people read them.
const IN_ORDER: [&str; 16] = [
    "delivery_id",
    "status",
    "event",
    "tenant_id",
    "webhook_config_id",
    "event_id",
    "document_id",
    "job_id",
    "created_at",
    "completed_at",
    "next_attempt_at",
    "chain",
    "attempt_count",
    "last_status_code",
    "last_error",
    "replay_id",
];

pub(in crate::tenant) fn table<'a>(
    deliveries: impl IntoIterator<Item = &'a DeliverySummary>,
    now: Timestamp,
) -> Columns<7> {
    let headings = ["id", "created", "status", "attempts", "event", "job", "error"];
    let mut columns = Columns::new(headings);
    for delivery in deliveries {
        columns.add([
            delivery.delivery_id.to_string(),
            delivery.created_at().whole_seconds().to_string(),
            delivery.status_at(now).to_string(),
            delivery.attempt_count.to_string(),
            delivery.event.to_string(),
            or_unknown(delivery.job_id.as_deref().map(printable)),
            or_unknown(delivery.error_at(now).map(short)),
        ]);
    }
    columns
}

/// The API's object of a list, with the webhook's key, the chain and the replay.
pub(in crate::tenant) fn json(delivery: &DeliverySummary, now: Timestamp) -> Value {
    let status = delivery.status_at(now);
    let next_attempt = delivery.next_attempt_at.filter(|_| status == DeliveryStatus::Pending);
    json!({
        "delivery_id": delivery.delivery_id,
        "event_id": delivery.event_id,
        "event": delivery.event,
        "tenant_id": delivery.webhook.tenant_id,
        "webhook_config_id": delivery.webhook.webhook_id,
        "document_id": delivery.document_id,
        "job_id": delivery.job_id,
        "status": status,
        "chain": delivery.chain,
        "attempt_count": delivery.attempt_count,
        "last_status_code": delivery.last_status_code,
        "last_error": delivery.error_at(now),
        "created_at": delivery.created_at(),
        "completed_at": delivery.completed_at,
        "next_attempt_at": next_attempt,
        "replay_id": delivery.replay_id,
    })
}

/// The delivery with its body and its attempts.
pub(super) fn full_json(row: &DeliveryRow, now: Timestamp) -> Value {
    let mut value = json(&row.summary, now);
    value["body"] = row.body.as_str().into();
    value["attempts"] = row.attempts.iter().map(attempt).collect();
    value
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "chain": attempt.chain,
        "number": attempt.number,
        "at": attempt.at,
        "first_status_code": attempt.first_status_code,
        "status_code": attempt.status_code,
        "duration_ms": attempt.duration_ms,
        "dns_ms": attempt.phases.dns_ms,
        "connect_ms": attempt.phases.connect_ms,
        "tls_ms": attempt.phases.tls_ms,
        "first_byte_ms": attempt.phases.first_byte_ms,
        "error": attempt.error,
        "response_body": attempt.response_body,
    })
}

/// Everything about one delivery, for people.
pub(super) fn full(row: &DeliveryRow, now: Timestamp) -> String {
    let mut lines = fields(&json(&row.summary, now), &IN_ORDER);
    lines.extend(attempts(&row.attempts));
    lines.push(field("body", &visible(&row.body)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_dynamo::Item;

    use super::*;

    fn row(status: &str) -> DeliveryRow {
        let item: Item = serde_json::from_value(json!({
            "webhook": {"S": "770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000"},
            "delivery_id": {"S": "019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f"},
            "event_id": {"S": "019ae3b8-7a40-7f00-8a11-0f1e2d3c4b5a"},
            "event": {"S": "document.uploaded"},
            "job_id": {"S": "job\u{1b}"},
            "occurred_at": {"S": "2025-12-03T10:30:00Z"},
            "body": {"S": "{\"a\":\"\u{7f}\"}"},
            "status": {"S": status},
            "chain": {"N": "1"},
            "attempt_count": {"N": "1"},
            "last_attempt": {"N": "1"},
            "last_error": {"S": "the endpoint answered 500"},
            "next_attempt_at": {"S": "2025-12-03T10:30:01Z"},
            "attempts": {"L": [{"M": {
                "number": {"N": "1"},
                "at": {"S": "2025-12-03T10:30:00Z"},
                "duration_ms": {"N": "7"},
                "status_code": {"N": "500"},
                "error": {"S": "the endpoint answered 500"},
                "response_body": {"S": "oops\u{9b}"},
            }}]},
            "ttl": {"N": "1"},
        }))
        .unwrap();
        webhooks::store::deliveries::read(item.into()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_table_shows_each_delivery_as_it_is_now() {
        let pending = row("pending").summary;
        let lines = |now| -> Vec<String> { table([&pending], at(now)).lines().collect() };
        let soon = lines("2025-12-03T10:31:00Z");
        assert!(
            soon[1].contains(" pending  1         document.uploaded  job␛  the endpoint"),
            "{}",
            soon[1]
        );
        let lost = lines("2025-12-03T10:46:00Z");
        assert!(lost[1].contains(" failed ") && lost[1].ends_with("attempts_lost"), "{}", lost[1]);
    }

    #[test]
    fn every_field_has_a_place_in_the_order() {
        let Value::Object(fields) = json(&row("failed").summary, at("2025-12-03T10:31:00Z")) else {
            panic!("not an object")
        };
        let mut in_order = IN_ORDER.to_vec();
        in_order.sort_unstable();
        assert_eq!(fields.keys().map(String::as_str).collect::<Vec<_>>(), in_order);
    }

    #[test]
    fn a_delivery_in_full_has_its_attempts_and_its_body_with_visible_control_characters() {
        let (row, now) = (row("failed"), at("2025-12-03T10:31:00Z"));
        let text = full(&row, now);
        for part in
            ["attempt 1.1 ", "  status 500  7 ms  the endpoint", " oops\u{fffd}", "{\"a\":\"␡\"}"]
        {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        let value = full_json(&row, now);
        assert_eq!(value["attempts"][0]["status_code"], 500);
        assert_eq!(
            (&value["attempts"][0]["dns_ms"], &value["next_attempt_at"]),
            (&json!(null), &json!(null))
        );
        assert_eq!(value["body"], "{\"a\":\"\u{7f}\"}");
    }
}
