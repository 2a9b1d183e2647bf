//! Tests of webhooks: the sender's answer to a direct invocation by api.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use harness::fixtures::{
    DEAD_LETTERS, DELIVERIES, FAULTS, SECRET, TENANT, id_of, webhook, webhook_with,
};
use harness::{
    Act, Arrival, ClosedPort, FakeAws, Hosted, Receiver, Reply, answer, assert_lacks, status,
};
use serde_json::{Value, json};
use webhooks::event_type::EventType;
use webhooks::timestamp::Timestamp;

use super::{ms, one_webhook, one_webhook_with, sender, sender_with};

/// The payload of a test of `hook`, with these fields replaced or added.
fn request(hook: &Value, fields: &Value) -> Value {
    let mut test = json!({"tenant_id": TENANT, "webhook_config_id": id_of(hook)});
    for (name, value) in fields.as_object().expect("fields are an object") {
        test[name] = value.clone();
    }
    json!({"test": test})
}

/// Tests the webhook. Returns the result of the POST.
async fn test(sender: &Hosted, hook: &Value, fields: Value) -> Value {
    let mut answer = sender.invoke(request(hook, &fields)).await.expect("the sender answers");
    assert!(answer["tested"].is_object(), "{answer}");
    answer["tested"].take()
}

/// Asserts that the only AWS calls are these many reads of the webhook, and one of its secret.
fn assert_only_read(aws: &FakeAws, webhook_reads: usize) {
    let calls: Vec<_> = aws.calls().into_iter().map(|call| call.operation).collect();
    let of = |operation| calls.iter().filter(|it| *it == operation).count();
    assert_eq!((of("BatchGetItem"), of("GetSecretValue")), (webhook_reads, 1));
    assert_eq!(calls.len(), webhook_reads + 1, "{calls:?}");
    assert_eq!(aws.logged().len(), 0);
    assert!([DELIVERIES, DEAD_LETTERS, FAULTS].iter().all(|url| aws.queued(url).is_empty()));
}

fn headers(arrival: &Arrival) -> BTreeMap<String, String> {
    arrival.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn a_test_posts_an_example_like_a_delivery_and_returns_exactly_what_arrived() {
    let (receiver, hook, aws, sender) = one_webhook(answer(201, &[], b"thank you")).await;
    let now = || SystemTime::UNIX_EPOCH.elapsed().expect("the clock is after 1970").as_secs();
    for event in EventType::ALL {
        let before = now();
        let result = test(&sender, &hook, json!({"event": event})).await;
        let during = before..=now();
        let arrivals = receiver.arrivals();
        let arrival = arrivals.last().expect("the post has arrived");
        assert!(arrival.is_signed_with(SECRET) && arrival.passes_standard_webhooks(SECRET));
        assert_eq!(arrival.header("x-docintell-event"), event.as_str());
        assert_eq!((headers(arrival).len(), arrival.headers().count()), (12, 12));
        assert_eq!(result["request"], json!({"headers": headers(arrival), "body": arrival.text()}));

        let body: Value = serde_json::from_str(arrival.text()).expect("it is JSON");
        let time = body["timestamp"].as_str().expect("it is text");
        let time = Timestamp::parse(time).expect("it is a time").unix_seconds();
        assert_eq!(arrival.header("x-docintell-timestamp"), time.to_string());
        assert!(during.contains(&u64::try_from(time).expect("it is after 1970")), "{body}");
        assert_eq!((&body["event"], &body["data"]["tenant_id"]), (&json!(event), &json!(TENANT)));

        let tested_at = result["tested_at"].as_str().expect("it is text");
        let tested_at = Timestamp::parse(tested_at).expect("it is a time").unix_seconds();
        assert_eq!(arrival.header("webhook-timestamp"), tested_at.to_string());
        assert!(result["response_time_ms"].is_u64(), "{result}");
        assert_eq!(
            (&result["success"], &result["status_code"], &result["error"]),
            (&json!(true), &json!(201), &Value::Null)
        );
        assert_eq!(result["response_body"], "thank you");
        assert_eq!(result["url"], receiver.url());
        assert_eq!(result["webhook_config_id"], id_of(&hook));
    }
    let ids: BTreeSet<_> = receiver
        .arrivals()
        .iter()
        .flat_map(|it| {
            [it.header("webhook-id").to_owned(), it.header("x-docintell-delivery").to_owned()]
        })
        .collect();
    assert_eq!(ids.len(), 2 * EventType::ALL.len(), "every test has its own ids");
    assert_only_read(&aws, EventType::ALL.len());
}

#[tokio::test]
async fn a_test_without_an_event_sends_the_webhooks_first_one_even_while_it_is_switched_off() {
    let events = json!(["document.processing.failed", "document.uploaded"]);
    let fields = json!({"is_active": false, "events": events});
    let (receiver, hook, aws, sender) = one_webhook_with(status(204), fields).await;
    let result = test(&sender, &hook, json!({})).await;
    assert_eq!((&result["success"], &result["response_body"]), (&json!(true), &Value::Null));
    assert_eq!(receiver.arrivals()[0].header("x-docintell-event"), "document.processing.failed");
    assert_only_read(&aws, 1);
}

#[tokio::test]
async fn a_test_without_an_event_sends_a_completed_document_to_a_webhook_for_all_events() {
    let events = EventType::ALL.map(EventType::as_str);
    let fields = json!({"events": events, "all_events": events});
    let (receiver, hook, _aws, sender) = one_webhook_with(status(204), fields).await;
    test(&sender, &hook, json!({})).await;
    let arrival = &receiver.arrivals()[0];
    assert_eq!(arrival.header("x-docintell-event"), "document.processing.completed");
}

#[tokio::test]
async fn a_failed_test_is_posted_once_and_neither_logged_nor_queued() {
    for (code, error) in [
        (500, "the endpoint answered 500"),
        (404, "the endpoint answered 404"),
        (302, "the endpoint answered 302"),
    ] {
        let (receiver, hook, aws, sender) =
            one_webhook(answer(code, &[("Location", "/")], "é".repeat(600).as_bytes())).await;
        let result = test(&sender, &hook, json!({})).await;
        assert_eq!(
            (&result["success"], &result["status_code"], &result["error"]),
            (&json!(false), &json!(code), &json!(error))
        );
        assert_eq!(result["response_body"], "é".repeat(500));
        assert_eq!(receiver.arrivals().len(), 1);
        assert_only_read(&aws, 1);
    }
}

#[tokio::test]
async fn a_test_without_a_response_says_why_and_what_it_would_have_sent() {
    let closed = ClosedPort::new();
    let hooks = [
        webhook(&closed.url()),
        webhook("http://10.0.0.1/"),
        webhook("https://does-not-exist.invalid/"),
    ];
    let errors = [
        "the connection failed: it was refused; nothing listens on this port",
        "the endpoint's address is not allowed",
        "the host name cannot be resolved",
    ];
    let hosts = [closed.url(), "10.0.0.1".to_owned(), "does-not-exist.invalid".to_owned()];
    let (_aws, sender) = sender(&hooks).await;
    for ((hook, error), host) in hooks.iter().zip(errors).zip(hosts) {
        let result = test(&sender, hook, json!({"event": "document.uploaded"})).await;
        assert_eq!((&result["success"], &result["error"]), (&json!(false), &json!(error)));
        assert_eq!(
            (&result["status_code"], &result["response_body"]),
            (&Value::Null, &Value::Null)
        );
        let request = &result["request"];
        assert_eq!(request["headers"].as_object().map(serde_json::Map::len), Some(12));
        let host = host.trim_start_matches("http://").trim_end_matches('/');
        assert_eq!(request["headers"]["host"], host);
        assert!(request["body"].as_str().is_some_and(|it| it.contains("document.uploaded")));
    }
    sender.assert_nobody_else_called();
}

#[tokio::test]
async fn a_hostile_endpoint_costs_a_test_at_most_ten_seconds() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let endless_body =
        vec![Act::Send(head[..].into()), Act::Repeat(b"4\r\nbody\r\n"[..].into(), ms(0))];
    let endless_head = vec![
        Act::Send(b"HTTP/1.1 200 OK\r\n"[..].into()),
        Act::Repeat(b"a: b\r\n"[..].into(), ms(0)),
    ];
    let silent = vec![Act::Wait(ms(30_000))];
    for (script, success, error) in [
        (endless_body, true, None),
        (endless_head, false, Some("the answer has too many headers, or too large ones")),
        (silent, false, Some("no answer within 10 s")),
        (vec![Act::HangUp], false, Some("the endpoint closed the connection without an answer")),
    ] {
        let (receiver, hook, aws, sender) = one_webhook(script).await;
        let result = test(&sender, &hook, json!({})).await;
        assert_eq!((&result["success"], result["error"].as_str()), (&json!(success), error));
        let body = result["response_body"].as_str().unwrap_or_default();
        assert_eq!(body.chars().count(), if success { 500 } else { 0 });
        assert_eq!(receiver.arrivals().len(), 1, "{error:?}");
        assert_only_read(&aws, 1);
    }
}

#[tokio::test]
async fn a_webhook_that_is_unknown_or_another_tenants_is_not_found_and_gets_nothing() {
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    let stranger = json!({"tenant_id": "770e8400-e29b-41d4-a716-000000000009"});
    let unknown = json!({"webhook_config_id": TENANT});
    for fields in [stranger, unknown] {
        let answer = sender.invoke(request(&hook, &fields)).await;
        assert_eq!(answer, Ok(json!("webhook_not_found")), "{fields}");
    }
    assert_eq!((receiver.connections(), aws.calls_of("GetSecretValue").len()), (0, 0));
}

#[tokio::test]
async fn a_test_that_aws_prevents_is_unavailable_and_one_that_we_prevent_is_an_error() {
    for (operation, reply) in [
        ("BatchGetItem", Reply::Broken),
        ("BatchGetItem", Reply::Late),
        ("GetSecretValue", Reply::Refused("AccessDeniedException")),
        ("GetSecretValue", Reply::Late),
    ] {
        let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
        aws.always(operation, reply);
        let answer = sender.invoke(request(&hook, &json!({}))).await;
        assert_eq!(answer, Ok(json!("unavailable")), "{operation}");
        assert_eq!(receiver.connections(), 0);
        let log = sender.finish().await;
        assert!(log.contains("a webhook cannot be tested"), "{log}");
    }
    for (fields, reason) in [
        (json!({"secret_version": "malformed"}), "the secret cannot be read"),
        (json!({"events": []}), "the webhook cannot be read"),
    ] {
        let (receiver, hook, aws, sender) = one_webhook_with(status(200), fields).await;
        aws.keep_secret("malformed", "whsec_malformed!");
        let error = sender.invoke(request(&hook, &json!({}))).await.expect_err("it fails");
        let message = error["errorMessage"].as_str().expect("an error has a message");
        assert!(message.contains(reason) && !message.contains("whsec_"), "{message}");
        assert_eq!(receiver.connections(), 0);
    }
}

#[tokio::test]
async fn the_log_of_a_test_contains_neither_secret_nor_payload_nor_query() {
    let receiver = Receiver::start(answer(500, &[], b"response of the endpoint")).await;
    let hook = webhook_with(&format!("{}?token=in-the-query", receiver.url()), json!({}));
    let (_aws, sender) = sender_with([&hook], &[("LOG_LEVEL", "DEBUG")]).await;
    let result = test(&sender, &hook, json!({})).await;
    let log = sender.finish().await;
    assert!(log.contains("webhook tested"), "{log}");
    let body: Value = serde_json::from_str(result["request"]["body"].as_str().expect("it is text"))
        .expect("it is JSON");
    let signature = result["request"]["headers"]["webhook-signature"].as_str().expect("it is text");
    for secret in [
        SECRET,
        "whsec_",
        "in-the-query",
        "response of the endpoint",
        signature,
        body["data"]["document_id"].as_str().expect("it is text"),
    ] {
        assert_lacks(&log, secret);
    }
}

#[tokio::test]
async fn a_malformed_test_is_an_error() {
    let (aws, sender) = sender(&[]).await;
    for test in [json!({}), json!({"tenant_id": TENANT, "webhook_config_id": "x"}), json!(null)] {
        let error = sender.invoke(json!({"test": test})).await.expect_err("it is malformed");
        assert!(error["errorMessage"].is_string(), "{error}");
    }
    assert_eq!(aws.calls().len(), 0);
}
