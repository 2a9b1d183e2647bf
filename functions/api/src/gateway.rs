//! Turns each invocation of the Lambda into a request for the router, and its response back.
//!
//! The rule: every request gets a response in our format and a log line, even a malformed one. On some events
//! `lambda_http` fails or panics, and the client would get API Gateway's 502: [`Event::check`] refuses those.

mod event;

use std::convert::Infallible;

use axum::Router;
use axum::http::header::{HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, Error, LambdaEvent, Request, Service, service_fn};
use webhooks::metrics::{Metric, Metrics, MetricsLog};
use webhooks::runtime;
use webhooks::timestamp::Timestamp;

use crate::error::ApiError;
use crate::request_log::log_response;
use event::Event;
pub(crate) use event::MAX_QUERY_BYTES;

/// A response in API Gateway's format. `lambda_http` does not export the type's name.
pub(crate) type GatewayResponse =
    <Adapter<'static, Response, Router> as Service<LambdaEvent<LambdaRequest>>>::Response;

/// Handles invocations with `router` for as long as the Lambda environment lives.
pub async fn serve(router: Router, metrics_log: MetricsLog) -> Result<(), Error> {
    runtime::run(async |event, _deadline| Ok(handle(&router, &metrics_log, event).await)).await
}

/// The metrics of a request that was answered with this status.
fn metrics_of(status: StatusCode) -> Metrics {
    let mut metrics = Metrics::default();
    metrics.add(Metric::Requests, 1);
    metrics.add(Metric::Refused, status.is_client_error().into());
    metrics.add(Metric::Failures, status.is_server_error().into());
    metrics
}

/// Handles one event; `json` may be anything.
pub(crate) async fn handle(
    router: &Router,
    metrics_log: &MetricsLog,
    json: &[u8],
) -> GatewayResponse {
    let event = Event::read(json);
    let method = event.as_ref().ok().and_then(Event::method);
    let (request, mut refusal) = match event.and_then(|event| request(json, event)) {
        Ok(request) => (request, None),
        // The adapter needs a request, even if nothing reads it.
        Err(refusal) => (ApiGatewayV2httpRequest::default(), Some(refusal)),
    };
    let service = service_fn(|request: Request| {
        let (mut router, method, refusal) = (router.clone(), method.clone(), refusal.take());
        async move {
            let mut response = match refusal {
                None => router.call(request).await?,
                Some(refusal) => {
                    let response = async { refusal.into_response() };
                    log_response(method.as_ref(), None, response).await
                }
            };
            // Every response passes through here.
            metrics_log.write(&metrics_of(response.status()), Timestamp::now());
            let nosniff = HeaderValue::from_static("nosniff");
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
            Ok::<_, Infallible>(response)
        }
    });
    let event = LambdaEvent::new(LambdaRequest::ApiGatewayV2(request), Context::default());
    let Ok(response) = Adapter::from(service).call(event).await;
    response
}

/// Checks an event and parses it with `lambda_http`'s type, without the fields that could make its URI invalid.
fn request(json: &[u8], event: Event) -> Result<ApiGatewayV2httpRequest, ApiError> {
    let target = event.check()?;
    let mut request: ApiGatewayV2httpRequest =
        serde_json::from_slice(json).map_err(|_quotes_the_event| ApiError::MalformedRequest)?;
    request.raw_path = Some(target.path().to_owned());
    request.raw_query_string = target.query().map(str::to_owned);
    // Without host and stage the URI is path and query, which is all that the router needs.
    request.headers.remove(HOST);
    request.request_context.domain_name = None;
    request.request_context.stage = None;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use axum::extract::Request;
    use axum::routing::any;
    use serde_json::{Value, json};

    const SAMPLE: &str = include_str!("../../../events/api-list.json");

    /// Responds with the request as it arrived: method, target, headers and body, one per line.
    async fn echo(request: Request) -> String {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        format!(
            "{} {}\n{}\n{}",
            head.method,
            head.uri,
            headers.join("\n"),
            String::from_utf8_lossy(&body)
        )
    }

    fn metrics_log() -> MetricsLog {
        MetricsLog::new("test".to_owned())
    }

    #[test]
    fn a_request_counts_by_the_status_of_its_answer() {
        for (status, expected) in [
            (200, vec![Metric::Requests]),
            (404, vec![Metric::Requests, Metric::Refused]),
            (503, vec![Metric::Requests, Metric::Failures]),
        ] {
            let mut metrics = Metrics::default();
            for metric in expected {
                metrics.add(metric, 1);
            }
            assert_eq!(metrics_of(StatusCode::from_u16(status).unwrap()), metrics, "{status}");
        }
    }

    async fn response_to(event: &[u8]) -> (u64, Value, String) {
        let response = handle(&Router::new().fallback(echo), &metrics_log(), event).await;
        let response = serde_json::to_value(response).unwrap();
        assert_eq!(response["headers"]["x-content-type-options"], "nosniff");
        assert_eq!(response["isBase64Encoded"], false);
        let body = response["body"].as_str().unwrap().to_owned();
        (response["statusCode"].as_u64().unwrap(), response["headers"].clone(), body)
    }

    /// The sample event with these fields replaced, each named by a path such as `headers/host`.
    fn event(fields: &[(&str, Value)]) -> Vec<u8> {
        let mut event: Value = serde_json::from_str(SAMPLE).unwrap();
        for (path, value) in fields {
            *path.split('/').fold(&mut event, |part, name| &mut part[name]) = value.clone();
        }
        event.to_string().into_bytes()
    }

    /// Status, code and the names in `details` of an error response.
    async fn error_of(event: &[u8]) -> (u64, String, Vec<String>) {
        let (status, headers, body) = response_to(event).await;
        assert_eq!(headers["content-type"], "application/json", "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["message"].as_str().unwrap().ends_with('.'));
        let details = body["details"].as_object().unwrap().keys().cloned().collect();
        (status, body["error"].as_str().unwrap().to_owned(), details)
    }

    #[tokio::test]
    async fn a_request_reaches_the_router_unchanged() {
        let event = json!({
            "rawPath": "/v1/webhooks/550e8400-e29b-41d4-a716-446655440000",
            "rawQueryString": "page=2&per_page=5",
            "headers": {"accept": "*/*, text/plain", "X-Twice": "a,b", "empty": ""},
            "cookies": ["a=1", "b=2"],
            "requestContext": {"http": {"method": "PATCH"}},
            "body": "{\"é\": 1}",
        });
        let (status, _, body) = response_to(event.to_string().as_bytes()).await;
        let expected = "PATCH /v1/webhooks/550e8400-e29b-41d4-a716-446655440000?page=2&per_page=5\n\
            x-twice: a,b\naccept: */*, text/plain\nempty: \ncookie: a=1; b=2\n{\"é\": 1}";
        assert_eq!((status, body.as_str()), (200, expected));
    }

    #[tokio::test]
    async fn a_base64_body_is_decoded() {
        let event = event(&[("body", "eyLDqSI6IDF9".into()), ("isBase64Encoded", true.into())]);
        assert!(response_to(&event).await.2.ends_with("\n{\"é\": 1}"));
    }

    #[tokio::test]
    async fn every_host_path_and_query_makes_a_valid_uri() {
        for (host, path, query, target) in [
            ("x.execute-api.127.0.0.1", "/v1/webhooks", "", "/v1/webhooks"),
            ("a b", "/v1/webhooks", "", "/v1/webhooks"),
            ("", "", "", "/"),
            ("", "*", "", "/*"),
            ("", "v1", "", "/v1"),
            ("", "https://example.com/", "", "/https://example.com/"),
            ("", "//example.com:x/", "", "//example.com:x/"),
            ("", "/%zz%", "%zz%", "/%zz%?%zz%"),
            (
                "",
                "/a b?c#d\"<>\\^`{|}\u{7f}é",
                "",
                "/a%20b%3Fc%23d%22%3C%3E%5C%5E%60%7B%7C%7D%7F%C3%A9",
            ),
            (
                "",
                "/",
                "page=\"1\"&a=<b>&c=d e#f?/&g=é\u{1}[]",
                "/?page=%221%22&a=%3Cb%3E&c=d%20e%23f?/&g=%C3%A9%01%5B%5D",
            ),
        ] {
            let event = event(&[
                ("headers/host", host.into()),
                ("rawPath", path.into()),
                ("rawQueryString", query.into()),
            ]);
            let (status, _, body) = response_to(&event).await;
            assert_eq!(
                (status, body.lines().next()),
                (200, Some(&*format!("GET {target}"))),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn a_path_with_dot_segments_is_not_found() {
        for path in
            ["/../..", "/x/../v1/webhooks", "/v1/./webhooks", "/v1/%2E./webhooks", "/v1/%2e", ".."]
        {
            let event = event(&[("rawPath", path.into())]);
            assert_eq!(
                error_of(&event).await,
                (404, "route_not_found".to_owned(), vec![]),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn odd_text_in_any_field_gets_a_response_and_reaches_no_other_route() {
        const PIECES: [&str; 28] = [
            "", "a", "/v1/", "webhooks", "/", ".", "..", "%2e", "%2F", "%", "\\", "?", "#", "@",
            ":", ";", "[", "]", "{", "\"", " ", "\t", "\r\n", "\0", "\u{7f}", "é", "\u{ffff}",
            "YQ==",
        ];
        let router = Router::new()
            .route("/v1/webhooks", any(async || "reached"))
            .fallback(async || ApiError::RouteNotFound);
        let paths = PIECES.iter().flat_map(|first| PIECES.map(|second| format!("{first}{second}")));
        let paths = paths.map(|path| ("rawPath", path));
        let fields = [
            "rawQueryString",
            "headers/host",
            "headers/x-forwarded-proto",
            "requestContext/domainName",
            "requestContext/stage",
            "requestContext/http/method",
            "body",
        ];
        let others = fields.iter().flat_map(|field| PIECES.map(|text| (*field, text.to_owned())));
        for (field, text) in paths.chain(others) {
            let event = event(&[(field, (&*text).into()), ("isBase64Encoded", true.into())]);
            let response =
                serde_json::to_value(handle(&router, &metrics_log(), &event).await).unwrap();
            if response["body"] == "reached" {
                assert!(field != "rawPath" || text == "/v1/webhooks", "{text:?}");
            } else {
                let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
                assert!(body["error"].is_string(), "{field}: {text:?}: {body}");
            }
        }
    }

    #[tokio::test]
    async fn a_header_that_is_not_printable_ascii_is_refused_by_name() {
        for value in [
            "\0",
            "a\u{1}",
            "\tb",
            "a\nb",
            "a\r\nx: y",
            "\u{1f}",
            "\u{7f}",
            "\u{80}",
            "é",
            "\u{ffff}",
            "👍",
        ] {
            let expected = |name: &str| (400, "malformed_header".to_owned(), vec![name.to_owned()]);
            let header = event(&[("headers/user-agent", value.into())]);
            assert_eq!(error_of(&header).await, expected("user-agent"), "{value:?}");
            let key = event(&[("headers/authorization", format!("Bearer {value}").into())]);
            assert_eq!(error_of(&key).await, expected("authorization"), "{value:?}");
            let mut cookie: Value = serde_json::from_str(SAMPLE).unwrap();
            cookie["cookies"] = json!(["a=1", format!("b={value}")]);
            assert_eq!(
                error_of(cookie.to_string().as_bytes()).await,
                expected("cookie"),
                "{value:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_name_of_every_invalid_header_is_cut_and_made_printable() {
        let long = "é".repeat(3000);
        let headers = json!({"": "a", "a b": "", "x\u{1b}[2J": "", &long: "", "user-agent": "é", "fine": "~ !"});
        let (status, code, names) = error_of(&event(&[("headers", headers)])).await;
        assert_eq!((status, code.as_str()), (400, "malformed_header"));
        assert_eq!(names, ["", "a b", "user-agent", "x␛[2J", &"é".repeat(64)]);
    }

    #[tokio::test]
    async fn more_headers_than_fit_into_a_header_map_are_refused() {
        let headers: Value = (0..40_000).map(|number| (format!("x{number}"), json!(""))).collect();
        assert_eq!(error_of(&event(&[("headers", headers)])).await.1, "malformed_header");
    }

    #[tokio::test]
    async fn a_query_over_8_kib_is_414() {
        let query = |length: usize| event(&[("rawQueryString", "é".repeat(length / 2).into())]);
        assert_eq!(response_to(&query(8 * 1024)).await.0, 200);
        assert_eq!(
            error_of(&query(8 * 1024 + 2)).await,
            (414, "query_too_long".to_owned(), vec![])
        );
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_for_a_uri_is_not_found() {
        let path = event(&[("rawPath", "x".repeat(70_000).into())]);
        assert_eq!(error_of(&path).await, (404, "route_not_found".to_owned(), vec![]));
    }

    #[tokio::test]
    async fn an_event_that_is_not_a_request_is_400() {
        let without = |name: &str| {
            let mut event: Value = serde_json::from_str(SAMPLE).unwrap();
            event.as_object_mut().unwrap().remove(name).unwrap();
            event.to_string().into_bytes()
        };
        for event in [
            Vec::new(),
            b"null".to_vec(),
            b"{}".to_vec(),
            b"{\"rawPath\": \"\xff\"}".to_vec(),
            SAMPLE.replace("*/*", "\\ud800").into_bytes(),
            SAMPLE.replace("*/*", "\u{1}").into_bytes(),
            without("rawPath"),
            without("requestContext"),
            event(&[("requestContext/http/method", "".into())]),
            event(&[("requestContext/http/method", "GET /".into())]),
            event(&[("requestContext/http/method", "É".into())]),
            event(&[("requestContext/http/method", Value::Null)]),
            event(&[("headers/host", json!(["a"]))]),
            event(&[("body", "*".into()), ("isBase64Encoded", true.into())]),
            event(&[("body", "YQ".into()), ("isBase64Encoded", true.into())]),
            event(&[("body", json!({}))]),
        ] {
            let text = String::from_utf8_lossy(&event);
            assert_eq!(
                error_of(&event).await,
                (400, "malformed_request".to_owned(), vec![]),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn the_optional_fields_of_an_event_default_to_empty() {
        for event in [
            json!({"rawPath": "/", "requestContext": {"http": {"method": "GET"}}}),
            json!({"rawPath": "/", "requestContext": {"http": {"method": "GET"}}, "headers": null, "body": null,
                "cookies": null, "rawQueryString": null, "isBase64Encoded": false}),
        ] {
            assert_eq!(response_to(event.to_string().as_bytes()).await.2, "GET /\n\n");
        }
    }
}
