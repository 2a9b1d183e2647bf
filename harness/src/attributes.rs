//! Converts between plain JSON and DynamoDB's format, `{"S": "text"}`.

use serde_json::{Map, Value, json};

/// Converts a plain value to DynamoDB's format.
fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(it) => json!({"BOOL": it}),
        Value::Number(it) => json!({"N": it.to_string()}),
        Value::String(it) => json!({"S": it}),
        Value::Array(items) => json!({"L": items.iter().map(attribute).collect::<Vec<_>>()}),
        Value::Object(_) => json!({"M": item(value)}),
    }
}

/// Converts a plain object to an item in DynamoDB's format.
#[must_use]
pub fn item(object: &Value) -> Value {
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

/// Converts a value in DynamoDB's format to plain JSON.
pub(crate) fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|it| it.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), inner) {
        ("N", Value::String(digits)) => digits.parse().map_or(Value::Null, Value::Number),
        ("L", Value::Array(items)) => items.iter().map(plain).collect(),
        ("M", Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect::<Map<_, _>>()
            .into(),
        ("NULL", _) => Value::Null,
        _ => inner.clone(),
    }
}
