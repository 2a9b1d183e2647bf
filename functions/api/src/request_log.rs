//! One line in the log for each request.
//!
//! The rule: a line says which route was asked, never the path, query, headers or body that asked it.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span};

use crate::error::quoted;

/// Logs a request that the router answers.
pub(crate) async fn log_request(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    logged(Some(&method), route, next.run(request)).await
}

/// Logs a request once its `response` is ready.
///
/// Lambda's request id is in the span around ours. Tenant, key and webhook are recorded in ours as soon as they
/// are known, so that they are on every line that the request causes.
pub(crate) async fn logged(
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
