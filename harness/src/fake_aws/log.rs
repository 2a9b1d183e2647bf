//! The delivery log: its size, as DynamoDB charges for it, and its rows.
//!
//! The rule: conditions always hold. Unless all rows are kept, a delivery that has ended counts only in the total.

use serde_json::Value;

use super::table::{Found, Table, index_bytes};
use super::{expression, size};

#[derive(Debug, Default)]
pub(super) struct DeliveryLog {
    stored: Stored,
    /// Deliveries that have not ended, or all of them.
    rows: Table,
    /// Whether to keep all rows.
    pub keeps: bool,
}

/// The size of a table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub rows: u64,
    pub bytes: u64,
}

impl DeliveryLog {
    pub(super) fn stored(&self) -> Stored {
        self.stored
    }

    pub(super) fn get(&self, key: &Value) -> Option<Value> {
        self.rows.get(key)
    }

    pub(super) fn query(&self, input: &Value) -> Found {
        self.rows.query(input)
    }

    /// Adds a row; returns the write units of the row and of its entry in the index.
    pub(super) fn put(&mut self, row: &Value) -> u64 {
        let before = self.rows.get(row);
        self.replace(before.as_ref(), row, self.keeps)
    }

    /// Applies an `UpdateItem`; returns the row after it, and the write units of the row before or after it, whichever is
    /// larger, and those of its entry in the index.
    pub(super) fn update(&mut self, input: &Value) -> (Value, u64) {
        let before = self.rows.get(&input["Key"]);
        let row = expression::updated(before.as_ref().unwrap_or(&input["Key"]), input);
        let is_open = row["status"]["S"] == "pending";
        let units = self.replace(before.as_ref(), &row, self.keeps || is_open);
        (row, units)
    }

    /// Writes a row; returns the write units.
    fn replace(&mut self, before: Option<&Value>, row: &Value, is_kept: bool) -> u64 {
        let (bytes, bytes_before) = (size::of_item(row), before.map_or(0, size::of_item));
        self.stored.rows += u64::from(before.is_none());
        self.stored.bytes += bytes as u64;
        self.stored.bytes -= bytes_before as u64;
        if is_kept {
            self.rows.put(row);
        } else {
            self.rows.remove(row);
        }
        let in_index = index_bytes(row).max(before.map_or(0, index_bytes));
        let index_units = if in_index == 0 { 0 } else { size::write_units(in_index) };
        size::write_units(bytes.max(bytes_before)) + index_units
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EMPTY_LIST: usize = 3;

    /// Writes an attempt whose error has `error` bytes.
    fn update(status: &str, error: usize) -> Value {
        json!({
            "Key": {"webhook": {"S": "w"}, "delivery_id": {"S": "d"}},
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
        let key_and_last = "webhook".len() + 1 + "delivery_id".len() + 1 + "last".len() + 2;
        let bytes = |status: &str, errors: usize| {
            key_and_last + "status".len() + status.len() + "attempts".len() + EMPTY_LIST + errors
        };
        assert_eq!(log.update(&update("pending", 100)).1, 1);
        let after_one = bytes("pending", 101);
        assert_eq!(log.stored(), Stored { rows: 1, bytes: after_one as u64 });
        assert_eq!(log.update(&update("delivered", 1000)).1, 2);
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
