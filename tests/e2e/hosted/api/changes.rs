//! Responses and log lines of requests that change a webhook.

use harness::fixtures::TENANT;
use serde_json::{Value, json};

use super::{CREATE, DELETE, KEY_ID, ROTATE, UPDATE, WEBHOOK};
use super::{api, fake_updates, lines, row, sample, send};

/// The sample, with a host name that does not resolve if it has a body.
fn change(text: &str) -> Value {
    let mut event = sample(text);
    if let Some(body) = event.get_mut("body") {
        *body = json!({"url": "https://new.hooks.invalid/"}).to_string().into();
    }
    event
}

/// The fields of the request's span, which are on every log line of the request.
fn context(line: &Value) -> Value {
    let spans = line["spans"].as_array().expect("a line has spans");
    spans.iter().find(|span| span["name"] == "request").cloned().unwrap_or_default()
}

#[tokio::test]
async fn every_change_and_its_request_are_logged_with_tenant_key_and_webhook() {
    let (aws, api) = api().await;
    aws.replace_webhooks([&row(json!({}))]);
    let mut expected = Vec::new();
    for (text, message) in [
        (CREATE, "webhook created"),
        (UPDATE, "webhook changed"),
        (ROTATE, "signing secret rotated"),
        (DELETE, "webhook deleted"),
    ] {
        let response = send(&api, change(text)).await;
        assert!(response["statusCode"].as_u64().is_some_and(|status| status < 300), "{response}");
        let id = match text {
            CREATE => response["body"]["webhook_config_id"].clone(),
            _ => json!(WEBHOOK),
        };
        expected.push((message, id));
    }
    let log = api.finish().await;
    let requests = lines(&log, "request answered");
    assert_eq!(requests.len(), expected.len());
    for ((message, id), request) in expected.iter().zip(&requests) {
        let changes = lines(&log, message);
        let [change] = changes.as_slice() else { panic!("{message}: {changes:?}") };
        for line in [change, request] {
            let context = context(line);
            assert_eq!(context["tenant.id"], TENANT, "{line}");
            assert_eq!(context["key.id"], KEY_ID, "{line}");
            assert_eq!(context["webhook.id"], *id, "{line}");
        }
    }
}

#[tokio::test]
async fn a_refused_request_is_logged_with_key_and_webhook() {
    let (aws, api) = api().await;
    fake_updates(&aws, |_| true);
    let mut parameter = sample(UPDATE);
    parameter["rawQueryString"] = "x=1".into();
    let mut unknown = sample(UPDATE);
    unknown["requestContext"]["http"]["method"] = "GET".into();
    for event in [sample(ROTATE), parameter, unknown] {
        let status = send(&api, event).await["statusCode"].clone();
        assert!([json!(429), json!(404)].contains(&status), "{status}");
    }
    let lines = lines(&api.finish().await, "request answered");
    assert_eq!(lines.len(), 3);
    for line in lines {
        assert_eq!(context(&line)["webhook.id"], WEBHOOK, "{line}");
        assert_eq!(context(&line)["key.id"], KEY_ID, "{line}");
    }
}

#[tokio::test]
async fn only_responses_with_a_secret_forbid_caching() {
    let (aws, api) = api().await;
    aws.replace_webhooks([&row(json!({}))]);
    for (text, is_secret) in [(CREATE, true), (ROTATE, true), (UPDATE, false), (DELETE, false)] {
        let response = send(&api, change(text)).await;
        assert_eq!(response["body"].get("signing_secret").is_some(), is_secret, "{text}");
        assert_eq!(
            response["headers"].get("cache-control"),
            is_secret.then(|| json!("no-store")).as_ref()
        );
        assert_eq!(response["headers"]["x-content-type-options"], "nosniff", "{text}");
    }
}
