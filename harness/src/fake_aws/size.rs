//! Sizes and units as AWS counts them. Pure.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>,
//! <https://aws.amazon.com/sqs/pricing/>

use serde_json::Value;

/// Bytes of a strongly consistent read unit; a write unit is a quarter of it.
const READ_UNIT: usize = 4096;
const WRITE_UNIT: usize = 1024;
/// SQS charges one request for each 64 KiB of a message or of a batch.
const QUEUE_UNIT: usize = 64 * 1024;

/// Bytes of an item or a key: names and values.
pub(super) fn of_item(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes.map(|(name, value)| name.len() + of_value(value)).sum()
}

/// Bytes of a value in DynamoDB's format, such as `{"S": "text"}`.
pub(super) fn of_value(value: &Value) -> usize {
    let Some((kind, inner)) = value.as_object().and_then(|it| it.iter().next()) else { return 0 };
    match (kind.as_str(), inner) {
        ("S", Value::String(text)) => text.len(),
        // One byte for every two digits, plus one.
        ("N", Value::String(digits)) => digits.len().div_ceil(2) + 1,
        ("L", Value::Array(items)) => {
            3 + items.iter().map(|item| 1 + of_value(item)).sum::<usize>()
        }
        ("M", Value::Object(fields)) => 3 + fields.len() + of_item(inner),
        _ => 1,
    }
}

/// Units of one strongly consistent read; a read without a result costs one.
pub(super) fn read_units(bytes: usize) -> u64 {
    bytes.div_ceil(READ_UNIT).max(1) as u64
}

/// Units of a query that looks at this many bytes; half as many, rounded up, if it is not strongly consistent.
pub(super) fn query_units(bytes: usize, is_consistent: bool) -> u64 {
    let units = read_units(bytes);
    if is_consistent { units } else { units.div_ceil(2) }
}

/// Units of one write of an item.
pub(super) fn write_units(bytes: usize) -> u64 {
    bytes.div_ceil(WRITE_UNIT).max(1) as u64
}

/// Charged requests of a `SendMessage` or `SendMessageBatch`, by the size of all its messages together.
pub(super) fn queue_units(input: &Value) -> u64 {
    let entries = input["Entries"].as_array().map_or(std::slice::from_ref(input), Vec::as_slice);
    let bytes: usize = entries.iter().map(of_message).sum();
    queue_units_of(bytes)
}

/// Charged requests for sending or receiving messages of this size together.
#[must_use]
pub fn queue_units_of(bytes: usize) -> u64 {
    bytes.div_ceil(QUEUE_UNIT).max(1) as u64
}

/// Bytes of a message: its body, and its attributes' names, types and values.
pub(super) fn of_message(message: &Value) -> usize {
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let attributes = attributes.map(|(name, value)| {
        let text = |field: &str| value[field].as_str().map_or(0, str::len);
        name.len() + text("DataType") + text("StringValue")
    });
    message["MessageBody"].as_str().map_or(0, str::len) + attributes.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_items_size_is_its_names_and_values() {
        assert_eq!(of_item(&json!({"id": {"S": "four"}, "n": {"N": "1234"}})), 2 + 4 + 1 + 3);
        let nested = json!({"a": {"L": [{"M": {"b": {"BOOL": true}}}]}});
        assert_eq!(of_item(&nested), 1 + 3 + 1 + (3 + 1 + 1 + 1));
    }

    #[test]
    fn units_are_rounded_up() {
        assert_eq!([0, 1, 1024, 1025].map(write_units), [1, 1, 1, 2]);
        assert_eq!([0, 4096, 4097].map(read_units), [1, 1, 2]);
    }

    #[test]
    fn a_batch_of_small_messages_is_one_request_to_the_queue() {
        let entry = json!({"Id": "0", "MessageBody": "x".repeat(700)});
        assert_eq!(queue_units(&json!({"Entries": vec![entry; 10]})), 1);
        assert_eq!(queue_units(&json!({"MessageBody": "x".repeat(64 * 1024 + 1)})), 2);
    }
}
