//! One log line per request.
//!
//! The rule: the line has the route, never the path, query, headers or body of the request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span};

use crate::error::quoted;

/// Middleware around every route.
pub(crate) async fn log_request(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    log_response(Some(&method), route, next.run(request)).await
}

/// Awaits `response`, then logs the request.
///
/// The enclosing span has Lambda's request id. This one gets tenant, key and webhook as soon as they are known,
/// and passes them to every log line of the request.
pub(crate) async fn log_response(
    method: Option<&Method>,
    route: Option<&str>,
    response: impl Future<Output = Response>,
) -> Response {
    let started = Instant::now();
    async {
        let response = response.await;
        info!(
            http.method = method.map_or("none".to_owned(), |method| quoted(method.as_str())),
            http.route = route.unwrap_or("none"),
            http.status = response.status().as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request answered"
        );
        response
    }
    .instrument(info_span!("request", tenant.id = Empty, key.id = Empty, webhook.id = Empty))
    .await
}
