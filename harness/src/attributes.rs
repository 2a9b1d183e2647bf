//! DynamoDB's form of a value, `{"S": "text"}`, and plain JSON.

use serde_json::{Map, Value, json};

/// DynamoDB's form of a plain value.
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

/// DynamoDB's form of an object's fields: an item, or an image.
#[must_use]
pub fn item(object: &Value) -> Value {
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

/// The plain form of one of DynamoDB's values.
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
