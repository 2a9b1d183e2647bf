//! Compares real responses and real deliveries with `functions/api/openapi.json`.
//!
//! The rule: what the document does not mention fails too: another status, another field, an unknown keyword of a schema.

use std::sync::LazyLock;

use regex_lite::Regex;
use reqwest::Url;
use serde_json::{Map, Value};
use webhooks::id::EventId;
use webhooks::timestamp::Timestamp;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../functions/api/openapi.json")).expect("it is JSON")
});

/// Fails unless the document describes this response. Requests for unknown paths and methods are not in it.
pub(crate) fn check_response<'a>(
    method: &str,
    path: &str,
    status: u16,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &Value,
) {
    let Some(operation) = operation(method, path) else { return };
    let name = operation["operationId"].as_str().expect("an operation has an id");
    let described = &operation["responses"][status.to_string()];
    assert!(!described.is_null(), "{name} answered {status}, which openapi.json does not describe");
    let described = resolve(described);
    for (header_name, described) in described["headers"].as_object().into_iter().flatten() {
        let described = resolve(described);
        match header(header_name) {
            Some(text) => check_text(&described["schema"], text, &format!("{name}: {header_name}")),
            None => {
                assert_ne!(described["required"], true, "{name}: no {header_name} on a {status}");
            }
        }
    }
    let what = format!("{name} answered {status}");
    match &described["content"]["application/json"]["schema"] {
        Value::Null => assert!(body.is_null(), "{what}: with a body"),
        schema => check(schema, body, &what),
    }
}

/// Fails unless the document describes this delivery of the event: its headers and its body.
pub(crate) fn check_delivery<'a>(
    event: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: &Value,
) {
    // HTTP's own headers, and the type of the body, which the document gives with its schema.
    const OTHERS: [&str; 4] = ["host", "content-length", "accept", "content-type"];
    let operation = &DOCUMENT["webhooks"][event]["post"];
    let parameters = operation["parameters"].as_array().expect("there are headers");
    let mut missing: Vec<_> = parameters.iter().collect();
    for (name, value) in headers.filter(|(name, _)| !OTHERS.contains(&&*name.to_lowercase())) {
        let is_this = |parameter: &&Value| {
            parameter["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        let position = missing.iter().position(is_this);
        let parameter =
            missing.remove(position.unwrap_or_else(|| panic!("{name} is not described")));
        check_text(&parameter["schema"], value, name);
    }
    assert!(missing.is_empty(), "missing headers: {missing:?}");
    check(&operation["requestBody"]["content"]["application/json"]["schema"], body, event);
}

pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}

fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let matches = |template: &str| {
        let (expected, found) = (template.split('/'), path.split('/'));
        expected.clone().count() == found.clone().count()
            && expected.zip(found).all(|(expected, found)| {
                expected == found || (expected.starts_with('{') && !found.is_empty())
            })
    };
    let paths = DOCUMENT["paths"].as_object().expect("there are paths");
    let (_, item) = paths.iter().find(|(template, _)| matches(template))?;
    item.get(method.to_lowercase())
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("it is in this document");
            DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{reference} does not exist"))
        }
        None => value,
    }
}

/// Checks a header, whose value is text also if its schema is a number's.
fn check_text(schema: &Value, text: &str, what: &str) {
    let number = text.parse::<u64>().ok().filter(|_| schema["type"] == "integer");
    check(schema, &number.map_or_else(|| text.into(), Value::from), what);
}

fn check(schema: &Value, value: &Value, what: &str) {
    if let Err(reason) = validate(schema, value) {
        panic!("{what}: {reason}\n{value:#}");
    }
}

/// Validates the keywords of JSON Schema that the document uses. A field that the schema does not mention is an error.
pub(crate) fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    validate_keywords(schema, value, Unmentioned::Refused)
}

/// Fields that a schema does not mention.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unmentioned {
    Refused,
    /// In a part of an `allOf`: another part mentions them.
    Allowed,
}

fn validate_keywords(
    schema: &Value,
    value: &Value,
    unmentioned: Unmentioned,
) -> Result<(), String> {
    let keywords = schema.as_object().ok_or("a schema is an object")?;
    for (keyword, rule) in keywords {
        let holds = match keyword.as_str() {
            "description" | "default" | "examples" | "$schema" => true,
            "$ref" => {
                let pointer = text(rule).strip_prefix('#').unwrap_or_default();
                let target = DOCUMENT.pointer(pointer).ok_or("the reference leads nowhere")?;
                validate(target, value)?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| has_type(value, text(name))),
                name => has_type(value, text(name)),
            },
            "enum" => list(rule).contains(value),
            "required" => list(rule).iter().all(|name| value.get(text(name)).is_some()),
            "properties" => {
                validate_fields(keywords, value, unmentioned)?;
                true
            }
            // Checked with the properties.
            "additionalProperties" if keywords.contains_key("properties") => true,
            "additionalProperties" => {
                let mut fields = value.as_object().into_iter().flatten();
                fields.try_for_each(|(_, field)| validate(rule, field))?;
                true
            }
            "propertyNames" => {
                let mut names = value.as_object().into_iter().flat_map(Map::keys);
                names.try_for_each(|name| validate(rule, &name.as_str().into()))?;
                true
            }
            "items" => {
                list(value).iter().try_for_each(|item| validate(rule, item))?;
                true
            }
            "minItems" => list(value).len() as u64 >= number(rule),
            "maxItems" => list(value).len() as u64 <= number(rule),
            "uniqueItems" => {
                let items = list(value);
                items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
            }
            "minimum" => value.is_null() || value.as_f64() >= rule.as_f64(),
            "maximum" => value.is_null() || value.as_f64() <= rule.as_f64(),
            "minLength" => value.is_null() || text(value).chars().count() as u64 >= number(rule),
            "maxLength" => text(value).chars().count() as u64 <= number(rule),
            "pattern" => Regex::new(text(rule)).is_ok_and(|pattern| pattern.is_match(text(value))),
            "format" => value.is_null() || has_format(text(value), text(rule)),
            "allOf" => {
                let mut parts = list(rule).iter();
                parts.try_for_each(|part| validate_keywords(part, value, Unmentioned::Allowed))?;
                true
            }
            "anyOf" => list(rule).iter().any(|schema| validate(schema, value).is_ok()),
            "oneOf" => list(rule).iter().filter(|it| validate(it, value).is_ok()).count() == 1,
            _ => return Err(format!("the validator does not know the keyword {keyword}")),
        };
        if !holds {
            return Err(format!("{keyword} must be {rule}, and the value is {value}"));
        }
    }
    Ok(())
}

fn validate_fields(
    schema: &Map<String, Value>,
    value: &Value,
    unmentioned: Unmentioned,
) -> Result<(), String> {
    for (name, field) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => {
                validate(schema, field).map_err(|reason| format!("{name}: {reason}"))?;
            }
            None if unmentioned == Unmentioned::Allowed => {}
            None => return Err(format!("the document does not mention the field {name}")),
        }
    }
    Ok(())
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn has_format(text: &str, name: &str) -> bool {
    match name {
        "uuid" => text.parse::<EventId>().is_ok(),
        // In UTC, as all times of the API.
        "date-time" => Timestamp::parse(text).is_ok() && text.ends_with('Z'),
        "uri" => Url::parse(text).is_ok(),
        "uri-reference" => text.starts_with('/'),
        // The sizes of numbers.
        "int32" | "int64" => true,
        _ => false,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}
