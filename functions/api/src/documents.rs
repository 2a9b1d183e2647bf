//! The two documents that anyone may read: the event types, and the description of this API.
//!
//! The rule: they are the same for everyone, so they need no key. The module `openapi` makes both files of the code, a
//! test fails if they differ, and `build.rs` makes them small.

use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::extract::NoParameters;

pub(crate) const EVENT_TYPES: &str = include_str!(concat!(env!("OUT_DIR"), "/event-types.json"));

pub(crate) const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// `GET /v1/event-types`
pub(crate) async fn event_types(NoParameters: NoParameters) -> Response {
    public(EVENT_TYPES)
}

/// `GET /v1/openapi.json`
pub(crate) async fn openapi(NoParameters: NoParameters) -> Response {
    public(OPENAPI)
}

/// Caches may keep it for five minutes, and web pages of other sites may read it.
fn public(json: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=300"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, json).into_response()
}
