//! Checks API Gateway's events, in payload format 2.0, before `lambda_http` reads them.
//!
//! The rule: [`Event::check`] refuses every event on which `lambda_http` fails or panics.

use std::collections::BTreeMap;

use axum::http::header::COOKIE;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::error::{ApiError, Details, quoted};

/// Maximum length of a query as API Gateway passes it on, in bytes.
pub(crate) const MAX_QUERY_BYTES: usize = 8 * 1024;

/// The fields of an event that make up a request.
///
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
///
/// No `Debug`: the headers contain the API key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    raw_path: String,
    raw_query_string: Option<String>,
    /// Names are lower-case; the values of a repeated header are joined by commas.
    headers: Option<BTreeMap<String, String>>,
    cookies: Option<Vec<String>>,
    request_context: Context,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct Context {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

impl Event {
    pub(super) fn read(json: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(json).map_err(|_quotes_the_event| ApiError::MalformedRequest)
    }

    /// `None` if the method is not a valid HTTP token.
    pub(super) fn method(&self) -> Option<Method> {
        Method::from_bytes(self.request_context.http.method.as_bytes()).ok()
    }

    /// Returns the request's path and query, percent-encoded.
    pub(super) fn check(self) -> Result<PathAndQuery, ApiError> {
        self.method().ok_or(ApiError::MalformedRequest)?;
        check_headers(self.headers.unwrap_or_default(), self.cookies)?;
        if self.is_base64_encoded {
            let body = BASE64_STANDARD.decode(self.body.unwrap_or_default());
            body.map_err(|_quotes_it| ApiError::MalformedRequest)?;
        }
        target(&self.raw_path, &self.raw_query_string.unwrap_or_default())
    }
}

fn check_headers(
    headers: BTreeMap<String, String>,
    cookies: Option<Vec<String>>,
) -> Result<(), ApiError> {
    let mut accepted = HeaderMap::new();
    let mut wrong = Details::new();
    let cookies = cookies.map(|cookies| (COOKIE.to_string(), cookies.join("; ")));
    for (name, value) in headers.into_iter().chain(cookies) {
        if let Err(reason) = insert(&mut accepted, &name, &value) {
            wrong.insert(quoted(&name), reason.to_owned());
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::MalformedHeader(wrong)) }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok().ok_or("is not a valid header name")?;
    let value = Some(value)
        .filter(|value| value.bytes().all(|byte| matches!(byte, b' '..=b'~')))
        .and_then(|value| HeaderValue::from_str(value).ok())
        .ok_or("must contain only printable ASCII characters")?;
    headers
        .try_insert(name, value)
        .map(drop)
        .map_err(|_full| "exceeds the maximum number of headers")
}

fn target(path: &str, query: &str) -> Result<PathAndQuery, ApiError> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(ApiError::QueryTooLong);
    }
    // `lambda_http` resolves these: `/x/../v1/webhooks` would reach a route.
    if path.split('/').any(is_dot_segment) {
        return Err(ApiError::RouteNotFound);
    }
    let mut target = encode(path, b"/");
    if !target.starts_with('/') {
        target.insert(0, '/');
    }
    if !query.is_empty() {
        target.push('?');
        target.push_str(&encode(query, b"/?"));
    }
    // This fails only on a path that is too long, and no route is that long.
    PathAndQuery::try_from(target).map_err(|_too_long| ApiError::RouteNotFound)
}

/// The dots may be percent-encoded, as in the WHATWG URL standard.
fn is_dot_segment(segment: &str) -> bool {
    matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

/// Percent-encodes everything but path segment characters (RFC 3986, section 3.3) and `also_allowed`. Does not
/// encode a `%` again.
fn encode(raw: &str, also_allowed: &[u8]) -> String {
    let is_allowed = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || b"%-._~!$&'()*+,;=:@".contains(&byte)
            || also_allowed.contains(&byte)
    };
    let encoded = raw.bytes().map(|byte| match byte {
        byte if is_allowed(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}
