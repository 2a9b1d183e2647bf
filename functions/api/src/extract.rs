//! Extractors of path, query and body. They reject with [`ApiError`], never with axum's own errors.

use std::fmt;
use std::str::FromStr;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{
    FromRequest, FromRequestParts, OptionalFromRequest, Query, RawPathParams, Request,
};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use webhooks::id::{DeliveryId, ReplayId, WebhookId};

use crate::MAX_BODY_BYTES;
use crate::error::{ApiError, Details, quoted};

/// Middleware: refuses a body larger than [`MAX_BODY_BYTES`], even on a route that ignores it. Lambda has
/// received the whole body by now, so its size is known.
pub(crate) async fn refuse_large_bodies(request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        return ApiError::BodyTooLarge.into_response();
    }
    next.run(request).await
}

/// The fields of a JSON body, in order, repeated names included. [`crate::fields`] parses their values.
///
/// `serde_json::Value` would not do: it gives objects with certain private keys another meaning.
#[derive(Debug, Default)]
pub(crate) struct JsonObject(pub Vec<(String, Box<RawValue>)>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        RawBody::from_request(request, state).await?.parse()
    }
}

/// For a body that may be left out: an empty one counts as none, whatever its `Content-Type`.
impl<S: Send + Sync> OptionalFromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let body = RawBody::from_request(request, state).await?;
        if body.bytes.is_empty() { Ok(None) } else { body.parse().map(Some) }
    }
}

/// The body as it arrived.
pub(crate) struct RawBody {
    /// Whether the `Content-Type` is JSON.
    is_json: bool,
    pub(crate) bytes: Bytes,
}

impl RawBody {
    pub(crate) async fn from_request<S: Send + Sync>(
        request: Request,
        state: &S,
    ) -> Result<Self, ApiError> {
        let is_json = request.headers().get(CONTENT_TYPE).is_some_and(is_json);
        let bytes = Bytes::from_request(request, state).await.map_err(ApiError::internal)?;
        Ok(Self { is_json, bytes })
    }

    pub(crate) fn parse(&self) -> Result<JsonObject, ApiError> {
        if !self.is_json {
            return Err(ApiError::UnsupportedMediaType);
        }
        if self.bytes.trim_ascii_start().starts_with(b"{") {
            return serde_json::from_slice(&self.bytes).map_err(malformed);
        }
        let IgnoredAny = serde_json::from_slice(&self.bytes).map_err(malformed)?;
        Err(ApiError::NotAnObject)
    }
}

/// Keeps only the position, because the error's text can quote the body.
#[expect(clippy::needless_pass_by_value, reason = "it is an argument of `map_err`")]
fn malformed(error: serde_json::Error) -> ApiError {
    ApiError::MalformedBody { line: error.line(), column: error.column() }
}

/// Accepts `application/json` and types that end in `+json` (RFC 6839, section 3.1).
fn is_json(content_type: &HeaderValue) -> bool {
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = JsonObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonObject, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(JsonObject(fields))
    }
}

/// The names and values of the query, percent-decoded.
pub(crate) fn parameters(parts: &Parts) -> Result<Vec<(String, String)>, ApiError> {
    let query = Query::try_from_uri(&parts.uri);
    query.map(|Query(list)| list).map_err(|_unreadable| ApiError::MalformedRequest)
}

/// Adds every parameter that is not `known` to `wrong`.
pub(crate) fn refuse_unknown(parameters: &[(String, String)], known: &[&str], wrong: &mut Details) {
    let unknown = parameters.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    wrong.extend(unknown.map(|(name, _)| (quoted(name), "is not a known parameter".to_owned())));
}

/// Parses the parameter `name`; `None` if it is absent. Adds the reason to `wrong` if it is invalid or repeated.
pub(crate) fn parameter<T>(
    parameters: &[(String, String)],
    name: &str,
    wrong: &mut Details,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let mut values = parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
    let text = values.next()?;
    let value = match values.next() {
        Some(_) => Err("is given more than once".to_owned()),
        None => parse(text),
    };
    value.map_err(|reason| wrong.insert(name.to_owned(), reason)).ok()
}

/// Rejects any query parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut wrong = Details::new();
        refuse_unknown(&parameters(parts)?, &[], &mut wrong);
        if wrong.is_empty() { Ok(Self) } else { Err(ApiError::InvalidParameters(wrong)) }
    }
}

/// The `{webhook_id}` of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathId(pub WebhookId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    /// A malformed id is a 404, like an unknown one.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = path_parameter(parts, state, "webhook_id").await;
        id.map(Self).ok_or(ApiError::WebhookNotFound)
    }
}

/// The `{delivery_id}` of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathDeliveryId(pub DeliveryId);

impl<S: Send + Sync> FromRequestParts<S> for PathDeliveryId {
    type Rejection = ApiError;

    /// A malformed id is a 404, like an unknown one.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = path_parameter(parts, state, "delivery_id").await;
        id.map(Self).ok_or(ApiError::DeliveryNotFound)
    }
}

/// The `{replay_id}` of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathReplayId(pub ReplayId);

impl<S: Send + Sync> FromRequestParts<S> for PathReplayId {
    type Rejection = ApiError;

    /// A malformed id is a 404, like an unknown one.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = path_parameter(parts, state, "replay_id").await;
        id.map(Self).ok_or(ApiError::ReplayNotFound)
    }
}

/// The parameter `name` of the route's path; `None` if it is malformed.
async fn path_parameter<T: FromStr, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Option<T> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let (_, text) = parameters.iter().find(|(key, _)| *key == name)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    async fn read(content_type: &str, body: &[u8]) -> Result<JsonObject, ApiError> {
        let request = Request::builder().header("content-type", content_type);
        let request = request.body(Body::from(body.to_vec())).unwrap();
        <JsonObject as FromRequest<()>>::from_request(request, &()).await
    }

    async fn fields(body: &[u8]) -> Result<Vec<(String, String)>, String> {
        match read("application/json", body).await {
            Ok(JsonObject(fields)) => {
                Ok(fields.into_iter().map(|(name, json)| (name, json.get().to_owned())).collect())
            }
            Err(ApiError::MalformedBody { line, column }) => Err(format!("{line}:{column}")),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    #[tokio::test]
    async fn an_objects_fields_keep_their_order_and_their_text() {
        let body = " {\"b\" : 1.50 ,\n\"a\": {\"x\": [ ]}, \"\\u0062\": \"\\u00e9\"}\n".as_bytes();
        let expected = [("b", "1.50"), ("a", "{\"x\": [ ]}"), ("b", "\"\\u00e9\"")];
        let expected = expected.map(|(name, json)| (name.to_owned(), json.to_owned()));
        assert_eq!(fields(body).await, Ok(expected.to_vec()));
        assert_eq!(fields(b"{}").await, Ok(vec![]));
    }

    #[tokio::test]
    async fn other_json_is_not_an_object() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for body in ["[]", "[{}, 1]", "7", "-7", "7.5", "true", "null", " \"{}\" ", &deep] {
            assert_eq!(fields(body.as_bytes()).await, Err("NotAnObject".to_owned()), "{body}");
        }
    }

    #[tokio::test]
    async fn a_malformed_body_is_refused_with_nothing_but_the_position() {
        for (body, position) in [
            (&b""[..], "1:0"),
            (b"{", "1:1"),
            (b"\n{\"url\": \"https://example.com\",\n  secret}", "3:3"),
            (b"{\"a\": 1} x", "1:10"),
            (b"{\"a\": 1,}", "1:9"),
            (b"{\"a\": \"\xff\"}", "1:8"),
            (b"\n {\"\\ud800\": 1}", "2:10"),
            (b"{\"a\": [1, 2}", "1:12"),
            (b"[1,", "1:3"),
            (b"\0", "1:1"),
        ] {
            let text = String::from_utf8_lossy(body);
            assert_eq!(fields(body).await, Err(position.to_owned()), "{text}");
        }
        let deep = "[".repeat(5000);
        assert_eq!(fields(deep.as_bytes()).await, Err("1:5000".to_owned()));
    }

    #[tokio::test]
    async fn an_optional_body_is_absent_only_if_it_is_empty() {
        for (content_type, body, expected) in [
            ("", "", "None"),
            ("application/x-www-form-urlencoded", "", "None"),
            ("application/json", "", "None"),
            ("application/json", "{}", "Some([])"),
            ("application/json", " ", "MalformedBody { line: 1, column: 1 }"),
            ("text/plain", "{}", "UnsupportedMediaType"),
        ] {
            let request = Request::builder().header("content-type", content_type);
            let request = request.body(Body::from(body)).unwrap();
            let read = <JsonObject as OptionalFromRequest<()>>::from_request(request, &()).await;
            let read = match read {
                Ok(read) => format!("{:?}", read.map(|JsonObject(fields)| fields)),
                Err(error) => format!("{error:?}"),
            };
            assert_eq!(read, expected, "{content_type}: {body}");
        }
    }

    #[tokio::test]
    async fn only_json_content_types_are_accepted() {
        for (content_type, is_accepted) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let read = read(content_type, b"{}").await;
            match read {
                Ok(_) => assert!(is_accepted, "{content_type}"),
                Err(ApiError::UnsupportedMediaType) => assert!(!is_accepted, "{content_type}"),
                Err(error) => panic!("{content_type}: {error:?}"),
            }
        }
    }
}
