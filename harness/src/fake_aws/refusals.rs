//! Requests that AWS refuses, with their error codes. The emulator accepts most of them. Pure.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use std::collections::BTreeSet;

use serde_json::Value;

use super::queue::entries;
use super::usage::Operation;
use super::{expression, size, writes};

/// Limit for a message, and for all messages of a batch together.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_ENTRIES: usize = 10;
const MAX_ATTRIBUTES: usize = 10;
const MAX_DELAY_SECONDS: u64 = 900;

/// The error's type, if AWS refuses the whole request.
pub(super) fn of(operation: Operation, input: &Value) -> Option<&'static str> {
    match operation {
        Operation::UpdateItem => overlaps(input).then_some("ValidationException"),
        Operation::TransactWriteItems => of_transaction(input).then_some("ValidationException"),
        Operation::SendMessage => of_message(input),
        Operation::SendMessageBatch => of_batch(input),
        _ => None,
    }
}

/// The error's code, if SQS refuses the message.
pub(super) fn of_message(message: &Value) -> Option<&'static str> {
    let body = message["MessageBody"].as_str().unwrap_or_default();
    let group = message["MessageGroupId"].as_str();
    let delay = message["DelaySeconds"].as_u64().unwrap_or_default();
    let rules = [
        (body.is_empty(), "MissingParameter"),
        (!body.chars().all(is_allowed), "InvalidMessageContents"),
        (
            !attributes(message).all(|(name, value)| is_attribute(name, value)),
            "InvalidParameterValue",
        ),
        (attributes(message).count() > MAX_ATTRIBUTES, "InvalidParameterValue"),
        (size::of_message(message) > MAX_BYTES, "InvalidParameterValue"),
        (group.is_some_and(|group| !is_group(group)), "InvalidParameterValue"),
        (delay > MAX_DELAY_SECONDS, "InvalidParameterValue"),
    ];
    rules.into_iter().find_map(|(is_broken, code)| is_broken.then_some(code))
}

/// The error's code, if SQS refuses the whole batch.
fn of_batch(input: &Value) -> Option<&'static str> {
    let entries = entries(input);
    let ids: BTreeSet<_> = entries.iter().map(|entry| entry["Id"].as_str()).collect();
    let rules = [
        (entries.is_empty(), "AWS.SimpleQueueService.EmptyBatchRequest"),
        (entries.len() > MAX_ENTRIES, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        (ids.len() < entries.len(), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        (
            entries.iter().map(size::of_message).sum::<usize>() > MAX_BYTES,
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
    ];
    rules.into_iter().find_map(|(is_broken, code)| is_broken.then_some(code))
}

/// The characters of XML 1.0.
fn is_allowed(c: char) -> bool {
    let code = u32::from(c);
    matches!(code, 0x9 | 0xa | 0xd | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x1_0000..=0x10_ffff)
}

fn attributes(message: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let attributes = message["MessageAttributes"].as_object();
    attributes.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn is_attribute(name: &str, value: &Value) -> bool {
    let text = value["StringValue"].as_str().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (1..=256).contains(&name.len())
        && name.chars().all(is_name)
        && value["DataType"] == "String"
        && !text.is_empty()
        && text.chars().all(is_allowed)
}

fn is_group(group: &str) -> bool {
    (1..=128).contains(&group.len()) && group.chars().all(|c| c.is_ascii_graphic())
}

/// Whether a transaction has an update that AWS refuses, or writes an item twice.
fn of_transaction(input: &Value) -> bool {
    let writes = writes(input);
    let update_is_refused = writes.iter().filter_map(|write| write.get("Update")).any(overlaps);
    let keys: Vec<_> = writes.iter().filter_map(written_key).collect();
    let repeats = keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key));
    update_is_refused || repeats
}

/// The table and the key of a write that names its key.
fn written_key(write: &Value) -> Option<(&Value, &Value)> {
    let (_, write) = write.as_object()?.iter().next()?;
    Some((&write["TableName"], write.get("Key")?))
}

/// Whether an `UpdateItem` writes a path twice, or a path inside another one.
fn overlaps(input: &Value) -> bool {
    let writes = expression::writes(input);
    writes.iter().enumerate().any(|(at, write)| {
        let mut others = writes[at + 1..].iter().map(|other| &other.path);
        others.any(|it| it.starts_with(&write.path) || write.path.starts_with(it))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(field: &str, value: Value) -> Value {
        let mut message = json!({"MessageBody": "{}"});
        message[field] = value;
        message
    }

    fn attribute(text: &str) -> Value {
        with("MessageAttributes", json!({"reason": {"DataType": "String", "StringValue": text}}))
    }

    #[test]
    fn each_refused_message_has_the_code_of_sqs() {
        let invalid = Some("InvalidParameterValue");
        for (message, code) in [
            (with("MessageBody", json!("\u{fffd}\t\r\n\u{7f}\u{85}𝄞")), None),
            (with("MessageBody", json!("")), Some("MissingParameter")),
            (with("MessageBody", json!("\u{fffe}")), Some("InvalidMessageContents")),
            (with("MessageBody", json!("\u{ffff}")), Some("InvalidMessageContents")),
            (with("MessageBody", json!("\u{0}")), Some("InvalidMessageContents")),
            (with("MessageBody", json!("\u{1b}")), Some("InvalidMessageContents")),
            (with("MessageBody", json!("x".repeat(MAX_BYTES))), None),
            (with("MessageBody", json!("x".repeat(MAX_BYTES + 1))), invalid),
            (attribute("é"), None),
            (attribute(""), invalid),
            (attribute("\u{ffff}"), invalid),
            (attribute("\u{1}"), invalid),
            (attribute(&"x".repeat(MAX_BYTES - "{}reasonString".len())), None),
            (attribute(&"x".repeat(MAX_BYTES - "{}reasonString".len() + 1)), invalid),
            (with("MessageGroupId", json!("a group")), invalid),
            (with("DelaySeconds", json!(901)), invalid),
        ] {
            let shown: String = message.to_string().chars().take(100).collect();
            assert_eq!(of_message(&message), code, "{shown}");
        }
    }

    #[test]
    fn a_whole_batch_is_refused_only_for_its_size_and_its_ids() {
        let batch = |bodies: &[usize]| {
            let entry = |(id, size): (usize, &usize)| json!({"Id": id.to_string(), "MessageBody": "x".repeat(*size)});
            json!({"Entries": bodies.iter().enumerate().map(entry).collect::<Vec<_>>()})
        };
        assert_eq!(of_batch(&batch(&[MAX_BYTES - 1, 1])), None);
        let refusals = [
            (batch(&[MAX_BYTES, 1]), "BatchRequestTooLong"),
            (batch(&[1; 11]), "TooManyEntriesInBatchRequest"),
            (batch(&[]), "EmptyBatchRequest"),
            (json!({"Entries": [{"Id": "0"}, {"Id": "0"}]}), "BatchEntryIdsNotDistinct"),
        ];
        for (batch, code) in refusals {
            assert_eq!(of_batch(&batch), Some(format!("AWS.SimpleQueueService.{code}").as_str()));
        }
    }

    #[test]
    fn a_transaction_writes_each_item_once() {
        let write = |table: &str, id: &str| json!({"Delete": {"TableName": table, "Key": {"id": {"S": id}}}});
        for (writes, expected) in [
            ([write("A", "1"), write("B", "1"), write("A", "2")], false),
            ([write("A", "1"), write("B", "1"), write("A", "1")], true),
        ] {
            assert_eq!(of_transaction(&json!({"TransactItems": writes})), expected, "{writes:?}");
        }
        let update = json!({"Update": {"UpdateExpression": "SET a = :a REMOVE a"}});
        assert!(of_transaction(&json!({"TransactItems": [update]})));
    }

    #[test]
    fn an_update_with_overlapping_paths_is_detected() {
        let names = json!({"#a": "attempts", "#s": "status"});
        for (expression, expected) in [
            ("SET #s = :s, attempts = list_append(if_not_exists(attempts, :none), :new)", false),
            ("SET attempts[0] = :a, attempts[1] = :b REMOVE last", false),
            ("SET a.b = :a, a.c = if_not_exists(a.b, :c)", false),
            ("set attempts = list_append(attempts, :new) remove #a[0]", true),
            ("SET #a=:a REMOVE attempts", true),
            ("SET a = :a, a.b = :b", true),
            ("ADD n :one SET n=:n", true),
        ] {
            let input = json!({"UpdateExpression": expression, "ExpressionAttributeNames": names});
            assert_eq!(overlaps(&input), expected, "{expression}");
        }
    }
}
