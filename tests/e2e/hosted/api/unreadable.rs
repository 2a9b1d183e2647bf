//! Events that the router never sees.

use serde_json::{Value, json};

use super::{GET, answer, api, lines, sample};

#[tokio::test]
async fn an_unreadable_request_gets_a_json_error_and_is_logged() {
    let (aws, api) = api().await;
    let headers = |name: &str, value: &str| {
        let mut event = sample(GET);
        event["headers"][name] = value.into();
        event
    };
    let with = |name: &str, value: Value| {
        let mut event = sample(GET);
        event[name] = value;
        event
    };
    let mut method = sample(GET);
    method["requestContext"]["http"]["method"] = "GET /".into();
    let mut statuses = Vec::new();
    for (event, status, code) in [
        (headers("user-agent", "a\u{1}b"), 400, "malformed_header"),
        (headers("user-agent", "é"), 400, "malformed_header"),
        (headers("a b", "c"), 400, "malformed_header"),
        (headers("host", "\u{7f}"), 400, "malformed_header"),
        (with("cookies", json!(["a=\n"])), 400, "malformed_header"),
        (with("rawQueryString", "x".repeat(8 * 1024 + 1).into()), 414, "query_too_long"),
        (with("rawPath", format!("/{}", "x".repeat(70_000)).into()), 404, "route_not_found"),
        (with("rawPath", Value::Null), 400, "malformed_request"),
        (with("requestContext", Value::Null), 400, "malformed_request"),
        (method, 400, "malformed_request"),
        (json!({}), 400, "malformed_request"),
        // The same environment still answers requests that can be read.
        (headers("host", "x.execute-api.127.0.0.1"), 404, "webhook_not_found"),
    ] {
        let answer = answer(&api, event).await;
        assert_eq!(
            (&answer["statusCode"], &answer["body"]["error"]),
            (&json!(status), &json!(code))
        );
        assert!(answer["body"]["message"].is_string() && answer["body"]["details"].is_object());
        assert_eq!(answer["headers"]["content-type"], "application/json", "{code}");
        assert_eq!(answer["headers"]["x-content-type-options"], "nosniff", "{code}");
        statuses.push(json!(status));
    }
    assert_eq!(aws.calls().len(), 2, "only the last request looks for its key and webhook");
    let lines = lines(&api.finish().await, "request answered");
    let logged: Vec<_> = lines.iter().map(|line| line["fields"]["http.status"].clone()).collect();
    assert_eq!(logged, statuses);
}
