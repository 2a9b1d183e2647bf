//! `RequireTestedEndpoints`: a new or re-addressed webhook gets nothing but tests until one succeeds.
//!
//! The stack that all tests share has the parameter off. So an API that has it on is hosted beside it, on the same tables
//! and with the same sender: only the API reads the parameter.

use std::time::Duration;

use harness::{Hosted, Receiver, after, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::store::deliveries::DeliveryRow;

use crate::samples::host_with;
use crate::support::job;
use crate::support::operator::Operator;
use crate::support::tenant::{Hook, Tenant};

const UPDATE: &str = include_str!("../../events/api-update.json");
const REASON: &str = "the webhook needs a successful test first";

/// A tenant of an API with the parameter on.
struct Strict {
    api: Hosted,
    tenant: Tenant,
}

impl Strict {
    async fn new() -> Self {
        let api = host_with("api", &[("REQUIRE_TESTED_ENDPOINTS", "true")]).await;
        Self { api, tenant: Tenant::new().await }
    }

    /// Sends a request to this API. Requests of `tenant` go to the shared stack's.
    async fn request(&self, method: &str, path: &str, body: Value) -> (u64, Value) {
        let mut event: Value = serde_json::from_str(UPDATE).expect("the sample is JSON");
        event["rawPath"] = path.into();
        event["requestContext"]["http"]["method"] = method.into();
        event["headers"]["authorization"] = format!("Bearer {}", self.tenant.key).into();
        event["body"] = body.to_string().into();
        let response = self.api.invoke(event).await.expect("the function succeeds");
        let status = response["statusCode"].as_u64().expect("there is a status");
        let body = response["body"].as_str().expect("there is a body");
        (status, serde_json::from_str(body).expect("the body is JSON"))
    }

    /// Creates a webhook, which needs a test.
    async fn subscribe(&self, receiver: &Receiver) -> Hook {
        let fields = json!({"url": receiver.url(), "events": ["document.uploaded"]});
        let (status, body) = self.request("POST", "/v1/webhooks", fields).await;
        assert_eq!((status, &body["needs_test"]), (201, &json!(true)), "{body}");
        let text = |name: &str| body[name].as_str().expect("it is a string").to_owned();
        Hook { id: text("webhook_config_id"), secret: text("signing_secret") }
    }

    /// Changes the webhook's URL; returns `needs_test`.
    async fn move_to(&self, hook: &Hook, url: &str) -> Value {
        let (status, body) = self.request("PATCH", &path(hook), json!({"url": url})).await;
        assert_eq!(status, 200, "{body}");
        body["needs_test"].clone()
    }

    /// Tests the webhook; returns `success`.
    async fn test(&self, hook: &Hook) -> Value {
        let (status, body) = self.request("POST", &test(hook), json!({})).await;
        assert_eq!(status, 200, "{body}");
        body["success"].clone()
    }

    /// The webhook's field, as the shared stack's API shows it.
    async fn field(&self, hook: &Hook, name: &str) -> Value {
        self.tenant.request(Method::GET, &path(hook), None).await.body[name].clone()
    }

    /// Causes an event; returns its delivery once it has this status.
    async fn event(&self, hook: &Hook, status: DeliveryStatus) -> DeliveryRow {
        job::upload(self.tenant.id).await;
        self.tenant.delivery(hook, status).await
    }
}

fn path(hook: &Hook) -> String {
    format!("/v1/webhooks/{}", hook.id)
}

fn test(hook: &Hook) -> String {
    format!("{}/test", path(hook))
}

#[tokio::test]
async fn a_new_webhook_gets_only_tests_until_one_succeeds_and_then_what_it_missed() {
    let strict = Strict::new().await;
    let receiver = Receiver::start(status(500)).await;
    let hook = strict.subscribe(&receiver).await;
    let row = strict.event(&hook, DeliveryStatus::Skipped).await;
    assert_eq!(row.summary.last_error.as_deref(), Some(REASON));
    assert_eq!(receiver.arrivals().len(), 0);

    let retry = format!("{}/deliveries/{}/retry", path(&hook), row.summary.delivery_id);
    let replays = format!("{}/replays", path(&hook));
    let since = json!({"since": "2025-01-01T00:00:00Z"});
    for (path, body) in [(&retry, None), (&replays, Some(since.clone()))] {
        let refused = strict.tenant.request(Method::POST, path, body).await;
        assert_eq!((refused.status, &refused.body["error"]), (409, &json!("webhook_needs_test")));
    }
    let dry_run = json!({"since": "2025-01-01T00:00:00Z", "dry_run": true});
    let dry_run = strict.tenant.request(Method::POST, &replays, Some(dry_run)).await;
    assert_eq!((dry_run.status, &dry_run.body["count"]), (200, &json!(1)));

    assert_eq!(strict.test(&hook).await, false);
    assert_eq!(strict.field(&hook, "needs_test").await, true);
    assert_eq!(strict.field(&hook, "health").await, "ok", "a test says nothing about health");
    receiver.now(status(204));
    assert_eq!(strict.test(&hook).await, true);
    assert_eq!(strict.field(&hook, "needs_test").await, false);

    let history = strict.tenant.request(Method::GET, &format!("{}/audit", path(&hook)), None).await;
    let changes = history.body["changes"].as_array().expect("there are changes");
    let actions: Vec<_> = changes.iter().map(|change| change["action"].as_str()).collect();
    assert_eq!(actions, [Some("verify"), Some("create")]);
    let shown = |needs_test| json!({"needs_test": needs_test});
    assert_eq!((&changes[0]["before"], &changes[0]["after"]), (&shown(true), &shown(false)));
    assert_eq!(changes[0]["key_id"], changes[1]["key_id"]);

    let replay = strict.tenant.request(Method::POST, &replays, Some(since)).await;
    assert_eq!(replay.status, 201, "{}", replay.body);
    let sent = strict.tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(sent.summary.delivery_id, row.summary.delivery_id);
    assert_eq!(receiver.wait_for(3).await[2].text(), row.body);
}

#[tokio::test]
async fn another_url_cancels_what_is_queued_for_the_old_one_and_needs_a_test() {
    let strict = Strict::new().await;
    let (old, new) = (Receiver::start(status(200)).await, Receiver::start(status(200)).await);
    let hook = strict.subscribe(&old).await;
    assert_eq!(strict.test(&hook).await, true);
    old.now(status(500));
    strict.event(&hook, DeliveryStatus::Pending).await;
    let same = old.url().replace("http://127.0.0.1", "HTTP://127.1");
    assert_eq!(strict.move_to(&hook, &same).await, false, "the same URL, spelled differently");
    assert_eq!(strict.move_to(&hook, &new.url()).await, true);

    let row = strict.tenant.delivery(&hook, DeliveryStatus::Cancelled).await;
    assert_eq!(row.summary.last_error.as_deref(), Some(REASON));
    assert_eq!(new.arrivals().len(), 0);
    assert_eq!(strict.test(&hook).await, true);
    strict.event(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(new.wait_for(2).await.len(), 2);
}

#[tokio::test]
async fn without_the_parameter_the_next_test_or_url_is_enough() {
    let strict = Strict::new().await;
    let receiver = Receiver::start(status(200)).await;
    let (tested, moved) = (strict.subscribe(&receiver).await, strict.subscribe(&receiver).await);
    // The shared stack has the parameter off.
    let response = strict.tenant.request(Method::POST, &test(&tested), None).await;
    assert_eq!((response.status, &response.body["success"]), (200, &json!(true)));
    assert_eq!(strict.field(&tested, "needs_test").await, false);

    strict.tenant.change(&moved, json!({"max_retries": 1})).await;
    assert_eq!(strict.field(&moved, "needs_test").await, true, "the URL is the same");
    strict.tenant.change(&moved, json!({"url": format!("{}/2", receiver.url())})).await;
    assert_eq!(strict.field(&moved, "needs_test").await, false);
    strict.tenant.subscribe(&receiver).await;
    strict.event(&moved, DeliveryStatus::Delivered).await;
}

#[tokio::test]
async fn a_test_of_a_url_that_is_changed_meanwhile_does_not_count_even_if_it_is_changed_back() {
    let strict = Strict::new().await;
    let receiver = Receiver::start(after(Duration::from_secs(6), status(200))).await;
    let hook = strict.subscribe(&receiver).await;
    // Through the shared stack's API, because a hosted one serves one request at a time.
    let (path, url) = (test(&hook), receiver.url());
    let testing = strict.tenant.request(Method::POST, &path, None);
    let moving = async {
        receiver.wait_for(1).await;
        strict.move_to(&hook, &format!("{url}/2")).await;
        strict.move_to(&hook, &url).await
    };
    let (tested, needs_test) = tokio::join!(testing, moving);
    assert_eq!((&tested.body["success"], needs_test), (&json!(true), json!(true)));
    assert_eq!(strict.field(&hook, "needs_test").await, true);
    receiver.now(status(200));
    assert_eq!(strict.test(&hook).await, true);
    assert_eq!(strict.field(&hook, "needs_test").await, false);
}

#[tokio::test]
async fn a_webhook_that_is_off_can_be_tested_and_stays_off() {
    let strict = Strict::new().await;
    let receiver = Receiver::start(status(200)).await;
    let hook = strict.subscribe(&receiver).await;
    strict.tenant.change(&hook, json!({"is_active": false})).await;
    assert_eq!(strict.test(&hook).await, true);
    assert_eq!(strict.field(&hook, "needs_test").await, false);
    assert_eq!(strict.field(&hook, "is_active").await, false);
}

#[tokio::test]
async fn an_operator_sees_that_a_webhook_needs_a_test_and_sends_nothing_again() {
    let strict = Strict::new().await;
    let hook = strict.subscribe(&Receiver::start(status(200)).await).await;
    let row = strict.event(&hook, DeliveryStatus::Skipped).await;
    let (operator, tenant) = (Operator::new().await, strict.tenant.id.to_string());
    let run = async |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        operator.run(&[words.as_slice(), &["--tenant-id", &tenant]].concat()).await
    };
    let list = run("webhooks list").await.succeeded();
    assert!(list.printed.contains("ok, needs test"), "{list:?}");
    let shown = run(&format!("webhooks show {} --json", hook.id)).await.succeeded().objects();
    assert_eq!(shown[0]["needs_test"], true);
    let delivery = row.summary.delivery_id;
    for command in [
        format!("deliveries retry {delivery}"),
        format!("replay start --webhook-id {} --since 2h", hook.id),
    ] {
        let refused = run(&command).await.failed();
        let output = format!("{}{}", refused.printed, refused.noted);
        assert!(output.contains("needs a successful test first"), "{output}");
    }
    run(&format!("webhooks disable {}", hook.id)).await.succeeded();
    let on = run(&format!("webhooks enable {}", hook.id)).await.succeeded();
    assert!(on.printed.contains("Next: its owner tests it."), "{on:?}");
}
