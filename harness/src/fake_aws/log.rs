//! The size of the delivery log, as DynamoDB charges for it. Rows of ended deliveries count only in the total.
//!
//! The rule: conditions always hold, because a benchmark writes each row once.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::expression::{self, Write};
use super::size;

#[derive(Debug, Default)]
pub(super) struct DeliveryLog {
    stored: Stored,
    /// Deliveries that have not ended, by id: the size of each attribute's value in bytes.
    open: HashMap<String, Row>,
}

/// The size of a table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub rows: u64,
    pub bytes: u64,
}

type Row = BTreeMap<String, usize>;

impl DeliveryLog {
    pub(super) fn stored(&self) -> Stored {
        self.stored
    }

    /// Adds a row; returns the write units of the row and of its entry in the index.
    pub(super) fn put(&mut self, item: &Value) -> u64 {
        let row = attributes(item);
        let bytes = bytes(&row);
        self.stored.rows += 1;
        self.stored.bytes += bytes as u64;
        size::write_units(bytes) + index_units(index_bytes(&row))
    }

    /// Applies an `UpdateItem`; returns the write units of the row before or after it, whichever is larger, and those of
    /// its entry in the index.
    pub(super) fn update(&mut self, input: &Value) -> u64 {
        let key = &input["Key"];
        let delivery = key["delivery_id"]["S"].as_str().unwrap_or_default();
        let before = self.open.remove(delivery);
        let bytes_before = before.as_ref().map_or(0, bytes);
        let indexed_before = before.as_ref().map_or(0, index_bytes);
        self.stored.rows += u64::from(before.is_none());
        let row = updated(before.unwrap_or_else(|| attributes(key)), input);
        let bytes = bytes(&row);
        self.stored.bytes += bytes as u64;
        self.stored.bytes -= bytes_before as u64;
        let in_index = index_bytes(&row).max(indexed_before);
        if input["ExpressionAttributeValues"][":status"]["S"] == "pending" {
            self.open.insert(delivery.to_owned(), row);
        }
        size::write_units(bytes.max(bytes_before)) + index_units(in_index)
    }
}

/// Bytes of the row in the index of what is not delivered; 0 if it is not in the index.
fn index_bytes(row: &Row) -> usize {
    let projected = |name: &str| !matches!(name, "body" | "attempts" | "occurred_at" | "ttl");
    let bytes = || row.iter().filter(|(name, _)| projected(name)).map(|(name, it)| name.len() + it);
    if row.contains_key("undelivered") { bytes().sum() } else { 0 }
}

fn index_units(bytes: usize) -> u64 {
    if bytes == 0 { 0 } else { size::write_units(bytes) }
}

fn attributes(item: &Value) -> Row {
    let attributes = item.as_object().into_iter().flatten();
    attributes.map(|(name, value)| (name.clone(), size::of_value(value))).collect()
}

fn bytes(row: &Row) -> usize {
    row.iter().map(|(name, bytes)| name.len() + bytes).sum()
}

fn updated(mut row: Row, input: &Value) -> Row {
    let old = row.clone();
    for Write { path, operand } in expression::writes(input) {
        let attribute = path.concat();
        if operand.is_empty() {
            row.remove(&attribute);
        } else {
            row.insert(attribute, of_operand(&operand, &old, &input["ExpressionAttributeValues"]));
        }
    }
    row
}

/// Bytes of the value on the right side of an assignment.
fn of_operand(operand: &str, row: &Row, values: &Value) -> usize {
    if let Some((number, _)) = operand.split_once('+') {
        return of_operand(number, row, values);
    }
    // The first argument may be a function; the second one is a value.
    let arguments =
        |function: &str| operand.strip_prefix(function)?.strip_suffix(')')?.rsplit_once(',');
    if let Some((attribute, default)) = arguments("if_not_exists(") {
        let existing = row.get(attribute).copied();
        return existing.unwrap_or_else(|| of_operand(default, row, values));
    }
    if let Some((first, second)) = arguments("list_append(") {
        // The combined list has the overhead of one list.
        let both = of_operand(first, row, values) + of_operand(second, row, values);
        return both - size::of_value(&serde_json::json!({"L": []}));
    }
    size::of_value(&values[operand])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EMPTY_LIST: usize = 3;

    /// Writes an attempt whose error has `error` bytes.
    fn update(status: &str, error: usize) -> Value {
        json!({
            "Key": {"delivery_id": {"S": "d"}},
            "UpdateExpression": "SET #status = :status, attempts = \
                list_append(if_not_exists(attempts, :none), :attempts), last = if_not_exists(last, :last) \
                REMOVE reason, other",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":status": {"S": status},
                ":none": {"L": []},
                ":attempts": {"L": [{"S": "e".repeat(error)}]},
                ":last": {"N": "1"},
            },
        })
    }

    #[test]
    fn only_attempts_increase_a_rows_size() {
        let mut log = DeliveryLog::default();
        let key_and_last = "delivery_id".len() + 1 + "last".len() + 2;
        let bytes = |status: &str, errors: usize| {
            key_and_last + "status".len() + status.len() + "attempts".len() + EMPTY_LIST + errors
        };
        assert_eq!(log.update(&update("pending", 100)), 1);
        let after_one = bytes("pending", 101);
        assert_eq!(log.stored(), Stored { rows: 1, bytes: after_one as u64 });
        assert_eq!(log.update(&update("delivered", 1000)), 2);
        let after_two = bytes("delivered", 101 + 1001);
        assert_eq!(log.stored(), Stored { rows: 1, bytes: after_two as u64 });
    }

    #[test]
    fn a_put_is_charged_by_the_rows_size() {
        let mut log = DeliveryLog::default();
        assert_eq!(log.put(&json!({"body": {"S": "x".repeat(1020)}})), 1);
        assert_eq!(log.put(&json!({"body": {"S": "x".repeat(1021)}})), 2);
        assert_eq!(log.stored(), Stored { rows: 2, bytes: 1024 + 1025 });
    }
}
