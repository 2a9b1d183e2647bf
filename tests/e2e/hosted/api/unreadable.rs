//! Events that cannot become HTTP requests.

use serde_json::{Value, json};

use super::{GET, api, lines, sample, send};

#[tokio::test]
async fn an_unreadable_request_gets_a_json_error_and_is_logged() {
    let (aws, api) = api().await;
    let with_header = |name: &str, value: &str| {
        let mut event = sample(GET);
        event["headers"][name] = value.into();
        event
    };
    let with = |name: &str, value: Value| {
        let mut event = sample(GET);
        event[name] = value;
        event
    };
    let mut bad_method = sample(GET);
    bad_method["requestContext"]["http"]["method"] = "GET /".into();
    let mut statuses = Vec::new();
    for (event, status, code) in [
        (with_header("user-agent", "a\u{1}b"), 400, "malformed_header"),
        (with_header("user-agent", "é"), 400, "malformed_header"),
        (with_header("a b", "c"), 400, "malformed_header"),
        (with_header("host", "\u{7f}"), 400, "malformed_header"),
        (with("cookies", json!(["a=\n"])), 400, "malformed_header"),
        (with("rawQueryString", "x".repeat(8 * 1024 + 1).into()), 414, "query_too_long"),
        (with("rawPath", format!("/{}", "x".repeat(70_000)).into()), 404, "route_not_found"),
        (with("rawPath", Value::Null), 400, "malformed_request"),
        (with("requestContext", Value::Null), 400, "malformed_request"),
        (bad_method, 400, "malformed_request"),
        (json!({}), 400, "malformed_request"),
        // The same process still handles a valid request.
        (with_header("host", "x.execute-api.127.0.0.1"), 404, "webhook_not_found"),
    ] {
        let response = send(&api, event).await;
        assert_eq!(
            (&response["statusCode"], &response["body"]["error"]),
            (&json!(status), &json!(code))
        );
        assert!(response["body"]["message"].is_string() && response["body"]["details"].is_object());
        assert_eq!(response["headers"]["content-type"], "application/json", "{code}");
        assert_eq!(response["headers"]["x-content-type-options"], "nosniff", "{code}");
        statuses.push(json!(status));
    }
    assert_eq!(aws.calls().len(), 2, "only the valid request reads its key and its webhook");
    let lines = lines(&api.finish().await, "request answered");
    let logged: Vec<_> = lines.iter().map(|line| line["fields"]["http.status"].clone()).collect();
    assert_eq!(logged, statuses);
}
