//! Bodies of the requests that take no fields.

use serde_json::json;

use super::{api, sample, send};

const RETRY: &str = include_str!("../../../../events/api-retry.json");
const WEBHOOK: &str = "/v1/webhooks/550e8400-e29b-41d4-a716-446655440000";
const OTHER: &str = "019ae3c3-0440-7c1e-9d2f-1a2b3c4d5e6f";

#[tokio::test]
async fn a_post_that_takes_no_fields_refuses_them_and_changes_nothing() {
    let (aws, api) = api().await;
    for route in ["deliveries/{}/retry", "replays/{}/pause", "replays/{}/resume"] {
        let path = format!("{WEBHOOK}/{}", route.replace("{}", OTHER));
        for (content_type, body, status, details) in [
            // There is no such webhook.
            ("", "", 404, json!({})),
            ("application/json", "", 404, json!({})),
            ("application/json", " {} ", 404, json!({})),
            (
                "application/json",
                r#"{"chain": 1, "dry_run": null}"#,
                422,
                json!({"chain": "is not a known field", "dry_run": "is not a known field"}),
            ),
            ("application/json", "[]", 422, json!({})),
            ("application/json", "{", 400, json!({})),
            ("application/x-www-form-urlencoded", "chain=1", 415, json!({})),
        ] {
            let mut event = sample(RETRY);
            event["rawPath"] = path.clone().into();
            event["headers"]["content-type"] = content_type.into();
            event["body"] = body.into();
            let calls = aws.calls().len();
            let response = send(&api, event).await;
            assert_eq!(
                (&response["statusCode"], &response["body"]["details"]),
                (&json!(status), &details),
                "{path} {content_type} {body}"
            );
            // The key, the count of the tenant's changes and, with a valid body, the webhook.
            let expected = if status == 404 { 3 } else { 2 };
            assert_eq!(aws.calls().len() - calls, expected, "{path} {content_type} {body}");
        }
    }
}
