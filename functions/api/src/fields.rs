//! Reads the fields of request bodies: what all bodies share, and the bodies with at most one field. [`webhook`] reads
//! the others.
//!
//! The rule: every field is checked, so one response names all that are wrong.

mod webhook;

use axum::extract::{FromRequest, OptionalFromRequest, Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use webhooks::event_type::EventType;
use webhooks::rotation::Overlap;

use crate::error::{ApiError, Details, quoted};
use crate::extract::JsonObject;

pub(crate) use webhook::{changes, new_webhook};

/// The body of a POST that takes no fields: it may be left out, and has no field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoFields;

impl<S: Send + Sync> FromRequest<S> for NoFields {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = <JsonObject as OptionalFromRequest<S>>::from_request(request, state).await?;
        let JsonObject(fields) = body.unwrap_or_default();
        let mut wrong = Details::new();
        refuse_others(fields, &mut wrong);
        if wrong.is_empty() { Ok(Self) } else { Err(ApiError::InvalidFields(wrong)) }
    }
}

/// Reads the optional body of a rotation.
pub(crate) fn overlap(body: Option<JsonObject>) -> Result<Overlap, ApiError> {
    let JsonObject(mut fields) = body.unwrap_or_default();
    let mut wrong = Details::new();
    let overlap = take(&mut fields, &mut wrong, "overlap_seconds", overlap_seconds);
    refuse_others(fields, &mut wrong);
    if wrong.is_empty() {
        Ok(overlap.unwrap_or_default())
    } else {
        Err(ApiError::InvalidFields(wrong))
    }
}

/// Reads the body of a test, in which the event is optional.
pub(crate) fn test_event(object: Option<JsonObject>) -> Result<Option<EventType>, ApiError> {
    let JsonObject(mut fields) = object.unwrap_or_default();
    let mut wrong = Details::new();
    let event = take(&mut fields, &mut wrong, "event", event);
    refuse_others(fields, &mut wrong);
    if wrong.is_empty() { Ok(event) } else { Err(ApiError::InvalidFields(wrong)) }
}

/// Adds the fields that are left to `wrong`.
pub(crate) fn refuse_others(fields: Vec<(String, Box<RawValue>)>, wrong: &mut Details) {
    let unknown = |(name, _): (String, _)| (quoted(&name), "is not a known field".to_owned());
    wrong.extend(fields.into_iter().map(unknown));
}

/// Takes the field `name` out of `fields`; `None` if it is absent or null. Adds the reason to `wrong` if it is invalid.
pub(crate) fn take<T>(
    fields: &mut Vec<(String, Box<RawValue>)>,
    wrong: &mut Details,
    name: &str,
    read: impl FnOnce(&RawValue) -> Result<T, String>,
) -> Option<T> {
    let values: Vec<_> = fields.extract_if(.., |(field, _)| field == name).collect();
    let value = match values.as_slice() {
        [] => return None,
        [(_, value)] if value.get() == "null" => return None,
        [(_, value)] => read(value),
        _ => Err("is given more than once".to_owned()),
    };
    value.map_err(|reason| wrong.insert(name.to_owned(), reason)).ok()
}

pub(crate) fn event(json: &RawValue) -> Result<EventType, String> {
    let rule = || format!("must be one of {}", EventType::ALL.map(EventType::as_str).join(", "));
    let name: String = value(json).ok_or_else(rule)?;
    EventType::from_name(&name).ok_or_else(|| format!("{}, not `{}`", rule(), quoted(&name)))
}

pub(crate) fn boolean(json: &RawValue) -> Result<bool, String> {
    Ok(value(json).ok_or("must be true or false")?)
}

fn overlap_seconds(json: &RawValue) -> Result<Overlap, String> {
    whole_number(json)
        .and_then(Overlap::from_seconds)
        .ok_or_else(|| format!("must be a whole number from 0 to {}", Overlap::MAX_SECONDS))
}

/// A whole number, however it is written: JSON Schema counts 5.0 and 5e0 as integers too.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the filter refuses such numbers"
)]
pub(crate) fn whole_number(json: &RawValue) -> Option<u64> {
    // Above it, the digits of a floating-point number are not exact.
    const MAX: f64 = 9_007_199_254_740_991.0;
    let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..=MAX).contains(number);
    value(json).or_else(|| value(json).filter(is_whole).map(|number| number as u64))
}

/// Drops the error, because its text can quote the value.
pub(crate) fn value<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_test_names_at_most_one_event() {
        let read = |body: &str| test_event(Some(serde_json::from_str(body).unwrap()));
        assert!(matches!(test_event(None), Ok(None)));
        for body in ["{}", r#"{"event": null}"#] {
            assert!(matches!(read(body), Ok(None)), "{body}");
        }
        let event = EventType::DocumentUploaded;
        assert!(matches!(read(r#"{"event": "document.uploaded"}"#), Ok(Some(it)) if it == event));
        let names = "must be one of document.uploaded, document.processing.completed, \
                     document.processing.failed";
        for (body, field, reason) in [
            (r#"{"event": 1}"#, "event", names),
            (r#"{"event": ["document.uploaded"]}"#, "event", names),
            (
                r#"{"event": "document.deleted"}"#,
                "event",
                &format!("{names}, not `document.deleted`"),
            ),
            (r#"{"event": "", "event": ""}"#, "event", "is given more than once"),
            (r#"{"url": "https://example.com/"}"#, "url", "is not a known field"),
        ] {
            let Err(ApiError::InvalidFields(wrong)) = read(body) else { panic!("{body}") };
            assert_eq!(json!(wrong), json!({field: reason}), "{body}");
        }
    }
}
