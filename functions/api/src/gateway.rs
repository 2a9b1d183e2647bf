//! Between Lambda and the router: one invocation, one request.
//!
//! The rule: nothing that a client writes into a URL may keep the request from reaching the router.

use axum::Router;
use axum::response::Response;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Error, LambdaEvent, Service, http::header, lambda_runtime, service_fn};

/// Answers invocations with `router` for as long as the environment lives.
pub async fn serve(router: Router) -> Result<(), Error> {
    let mut adapter = Adapter::<'_, Response, Router>::from(router);
    lambda_runtime::run(service_fn(move |mut event: LambdaEvent<LambdaRequest>| {
        make_uri_safe(&mut event.payload);
        adapter.call(event)
    }))
    .await
}

/// Removes and encodes what `lambda_http` cannot build a URI from: it would panic.
fn make_uri_safe(request: &mut LambdaRequest) {
    let LambdaRequest::ApiGatewayV2(request) = request else { return };
    // Without a host the URI is the path alone, which is all that the router looks at.
    request.headers.remove(header::HOST);
    request.request_context.domain_name = None;
    if let Some(query) = &mut request.raw_query_string {
        *query = encode_query(query);
    }
}

/// Percent-encodes the characters that may not stand in a query and that a client can send all the same.
fn encode_query(raw: &str) -> String {
    raw.bytes()
        .map(|byte| match byte {
            ..=b' ' | b'"' | b'#' | b'<' | b'>' | 0x7F.. => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Request;

    fn request(event: &serde_json::Value) -> Request {
        let mut request: LambdaRequest = serde_json::from_value(event.clone()).unwrap();
        make_uri_safe(&mut request);
        request.into()
    }

    fn event(host: &str, path: &str, query: &str) -> serde_json::Value {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../../events/api-list.json")).unwrap();
        event["headers"]["host"] = host.into();
        event["rawPath"] = path.into();
        event["rawQueryString"] = query.into();
        event
    }

    #[test]
    fn an_ordinary_request_keeps_its_path_and_query() {
        let request = request(&event("api.example.com", "/v1/webhooks", "page=2&per_page=5"));
        assert_eq!(request.uri(), "/v1/webhooks?page=2&per_page=5");
    }

    #[test]
    fn no_host_path_or_query_is_too_strange_for_a_uri() {
        for (host, path, query) in [
            ("x.execute-api.127.0.0.1", "/v1/webhooks", ""),
            ("a b", "/v1/webhooks", ""),
            ("", "/v1/webhooks", ""),
            ("api.example.com", "/v1/webhooks/a b?c#d\"<>\\^`{|}\u{7f}é%zz", ""),
            ("api.example.com", "//", ""),
            ("api.example.com", "/../..", ""),
            ("api.example.com", "/", "page=\"1\"&a=<b>&c=d e#f%zz&g=é\u{7f}\u{1}|\\^`{}[]"),
        ] {
            assert!(request(&event(host, path, query)).uri().path().starts_with('/'), "{path}");
        }
    }
}
