//! One line in the log for each request.
//!
//! The rule: a line says which route was asked, never the path, query, headers or body that asked it.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span};

/// Writes the line when the request has been answered.
///
/// Lambda's request id stands in the span around ours. The tenant stands in ours as soon as
/// [`crate::auth`] knows it, so that it is also on every other line that the request causes.
pub async fn log_request(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    async {
        let response = next.run(request).await;
        info!(
            http.method = %method,
            http.route = route.as_ref().map_or("none", MatchedPath::as_str),
            http.status = response.status().as_u16(),
            duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request answered"
        );
        response
    }
    .instrument(info_span!("request", tenant.id = Empty))
    .await
}
