//! The posted request, the AWS calls of a batch, and connections.

use std::sync::Arc;
use std::time::SystemTime;

use harness::fixtures::{
    BODY, DEAD_LETTERS, DELIVERIES, FAULTS, SECRET, batch, delivery_id, id_of, message, text,
    webhook, webhook_with,
};
use harness::{
    ACCOUNT, Act, Arrival, FakeAws, REQUEST_ID_PREFIX, Receiver, Reply, answer, assert_contains,
    assert_lacks, log_lines, status,
};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::{deliver, one_webhook, sender};

/// True if both signatures are valid: the guide's and Standard Webhooks'.
fn is_signed_with(arrival: &Arrival, secret: &str) -> bool {
    arrival.is_signed_with(secret) && arrival.passes_standard_webhooks(secret)
}

#[tokio::test]
async fn a_delivery_has_exactly_the_expected_headers_and_the_queued_body() {
    let (receiver, hook, _aws, sender) =
        one_webhook(answer(200, &[("Set-Cookie", "a=b")], b"{}")).await;
    let now = || SystemTime::UNIX_EPOCH.elapsed().expect("the clock is after 1970").as_secs();
    let before = now();
    for number in 1..=2 {
        assert_eq!(deliver(&sender, &[message(&hook, number)]).await, [""; 0]);
    }
    let during = before..=now();
    let arrivals = receiver.arrivals();
    for (arrival, number) in arrivals.iter().zip(1..) {
        let mut headers: Vec<_> = arrival.headers().collect();
        headers.sort_unstable();
        let sent_at: u64 = arrival.header("webhook-timestamp").parse().expect("it is a number");
        assert!(during.contains(&sent_at), "{sent_at} is not in {during:?}");
        assert!(is_signed_with(arrival, SECRET));
        let expected = [
            ("accept", "*/*"),
            ("content-length", &BODY.len().to_string()),
            ("content-type", "application/json"),
            ("host", &receiver.address().to_string()),
            ("user-agent", concat!("DocIntell-Webhooks/", env!("CARGO_PKG_VERSION"))),
            ("webhook-id", &format!("019ae3c0-0000-7000-9000-{number:012}")),
            ("webhook-signature", arrival.header("webhook-signature")),
            ("webhook-timestamp", &sent_at.to_string()),
            ("x-docintell-delivery", &delivery_id(number)),
            ("x-docintell-event", "document.processing.completed"),
            ("x-docintell-signature", arrival.header("x-docintell-signature")),
            ("x-docintell-timestamp", "1764757847"),
        ];
        assert_eq!(headers, expected);
        assert_eq!(arrival.request_line(), "POST /webhooks/docintell HTTP/1.1");
        assert_eq!(arrival.body, BODY.as_bytes());
    }
    assert_eq!(arrivals.len(), 2);
    for arrival in arrivals {
        let head = String::from_utf8_lossy(&arrival.head);
        assert_lacks(&head, ACCOUNT);
        assert_lacks(&head, REQUEST_ID_PREFIX);
    }
}

#[tokio::test]
async fn a_successful_batch_costs_one_read_and_one_write_and_each_secret_is_read_once() {
    let receiver = Receiver::start(status(204)).await;
    let hooks = [webhook(&receiver.url()), webhook(&receiver.url())];
    let (aws, sender) = sender(&hooks).await;
    let messages: Vec<_> = (0..10).map(|number| message(&hooks[number % 2], number)).collect();
    let operations =
        |aws: &FakeAws| aws.calls().into_iter().map(|call| call.operation).collect::<Vec<_>>();
    assert_eq!(deliver(&sender, &messages).await, [""; 0]);
    let first = ["BatchGetItem", "GetSecretValue", "GetSecretValue", "BatchWriteItem"];
    assert_eq!(operations(&aws), first);
    assert_eq!(deliver(&sender, &messages).await, [""; 0]);
    assert_eq!(operations(&aws)[4..], ["BatchGetItem", "BatchWriteItem"]);

    let read = &aws.calls_of("BatchGetItem")[0].input["RequestItems"]["WebhookConfigs"];
    assert_eq!(
        (&read["ConsistentRead"], read["Keys"].as_array().map(Vec::len)),
        (&json!(true), Some(2))
    );
    assert_eq!(receiver.arrivals().len(), 20);
    assert_eq!(aws.logged().len(), 20);
    assert!(aws.logged().iter().all(|row| row["status"] == "delivered"));
}

#[tokio::test]
async fn ten_posts_run_concurrently() {
    let all_ten = Arc::new(Barrier::new(10));
    let script = [vec![Act::Meet(all_ten)], status(200)].concat();
    let (receiver, hook, _aws, sender) = one_webhook(script).await;
    let messages: Vec<_> = (0..10).map(|number| message(&hook, number)).collect();
    assert_eq!(deliver(&sender, &messages).await, [""; 0]);
    assert_eq!(receiver.arrivals().len(), 10);
}

#[tokio::test]
async fn a_new_secret_version_signs_the_next_delivery() {
    const NEW: &str = "whsec_YW5vdGhlciB0aGlydHkgYnl0ZXMgZm9yIGEgdGVz";
    let (receiver, mut hook, aws, sender) = one_webhook(status(200)).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    hook["secret_version"] = json!("next");
    aws.keep_secret("next", NEW);
    aws.replace_webhooks([&hook]);
    deliver(&sender, &[message(&hook, 2)]).await;
    let arrivals = receiver.arrivals();
    assert!(is_signed_with(&arrivals[0], SECRET) && !is_signed_with(&arrivals[0], NEW));
    assert!(is_signed_with(&arrivals[1], NEW) && !is_signed_with(&arrivals[1], SECRET));
    let asked = &aws.calls_of("GetSecretValue")[1].input;
    let name = format!(
        "docintell-webhooks/{}/{}",
        hook["tenant_id"].as_str().expect("the row has a tenant id"),
        id_of(&hook)
    );
    assert_eq!((&asked["VersionId"], &asked["SecretId"]), (&json!("next"), &json!(name)));
}

#[tokio::test]
async fn deliveries_to_a_switched_off_untested_or_deleted_webhook_are_cancelled() {
    let receiver = Receiver::start(status(200)).await;
    let untested = json!({"needs_test_since": "2025-12-03T10:00:00Z"});
    let off = webhook_with(&receiver.url(), json!({"is_active": false}));
    let untested = webhook_with(&receiver.url(), untested);
    let gone = webhook(&receiver.url());
    let (aws, sender) = sender([&off, &untested]).await;
    let batch = [message(&off, 1), message(&gone, 2), message(&untested, 3)];
    assert_eq!(deliver(&sender, &batch).await, [""; 0]);
    let mut logged: Vec<_> = aws.logged();
    logged.sort_by_key(|row| row["delivery_id"].to_string());
    let outcome = |row: &Value| (row["status"].clone(), row["last_error"].clone());
    assert_eq!(outcome(&logged[0]), (json!("cancelled"), json!("the webhook is switched off")));
    assert_eq!(outcome(&logged[1]), (json!("cancelled"), json!("the webhook was deleted")));
    let needs_test = json!("the webhook needs a successful test first");
    assert_eq!(outcome(&logged[2]), (json!("cancelled"), needs_test));
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn another_tenants_message_does_not_reach_a_webhook() {
    let (receiver, hook, _aws, sender) = one_webhook(status(200)).await;
    let mut foreign = message(&hook, 1);
    foreign["tenant_id"] = json!("770e8400-e29b-41d4-a716-000000000009");
    assert_eq!(deliver(&sender, &[foreign.clone()]).await, [""; 0]);
    assert_eq!(receiver.connections(), 0);
    // Nor in a batch with the owner's message, for which the sender reads the webhook.
    assert_eq!(deliver(&sender, &[message(&hook, 2), foreign]).await, [""; 0]);
    assert_eq!(receiver.arrivals().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_is_in_a_batch_twice_never_repeats_a_key_in_one_batch_write() {
    let (_receiver, hook, aws, sender) = one_webhook(status(200)).await;
    let twice = [message(&hook, 1), message(&hook, 1), message(&hook, 2)];
    assert_eq!(deliver(&sender, &twice).await, [""; 0]);
    let writes = aws.calls_of("BatchWriteItem");
    let puts = writes[0].input["RequestItems"]["Deliveries"].as_array().map(Vec::len);
    assert_eq!((writes.len(), puts, aws.calls_of("UpdateItem").len()), (1, Some(2), 1));
}

#[tokio::test]
async fn an_unreadable_message_is_parked_with_its_text_and_the_others_are_delivered() {
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    let newer = text(&message(&hook, 1)).replace(r#""v":1"#, r#""v":2"#);
    let unreadable = ["", "no JSON", "{}", newer.as_str()];
    let good = text(&message(&hook, 2));
    let all = unreadable.iter().copied().chain([good.as_str()]).map(|text| (text, 1));
    assert_eq!(sender.report(batch(all)).await, [""; 0]);
    let parked = aws.queued(FAULTS);
    let bodies: Vec<Value> =
        parked.iter().map(|it| serde_json::from_str(&it.body).expect("a fault is JSON")).collect();
    let mut records: Vec<_> =
        bodies.iter().map(|it| it["record"].as_str().expect("text")).collect();
    records.sort_unstable();
    let mut expected = unreadable;
    expected.sort_unstable();
    assert_eq!(records, expected);
    assert!(bodies.iter().all(|it| it["source"] == "sender"));
    let reasons = bodies.iter().map(|it| it["reason"].as_str().expect("text"));
    assert!(reasons.clone().all(|it| it.starts_with("not a delivery message: ")));
    assert_eq!(receiver.arrivals().len(), 1);
}

#[tokio::test]
async fn a_payload_that_is_not_a_batch_fails_the_invocation() {
    let (aws, sender) = sender(&[]).await;
    let error = sender.invoke(json!({"hello": "world"})).await.expect_err("it is not a batch");
    let message = error["errorMessage"].as_str().expect("an error has a message");
    assert!(message.contains("missing field `Records`"), "{message}");
    assert_eq!(sender.report(json!({"Records": []})).await, [""; 0]);
    assert_eq!(aws.calls().len(), 0);
}

#[tokio::test]
async fn a_pooled_connection_that_breaks_after_the_request_costs_one_attempt_and_one_post() {
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    receiver.now(vec![Act::HangUp]);
    assert_eq!(deliver(&sender, &[message(&hook, 2)]).await, ["m0"]);
    assert_eq!((receiver.connections(), receiver.arrivals().len()), (1, 2));
    assert_eq!(aws.logged()[1]["status"], "pending");
}

#[tokio::test]
async fn an_idle_connection_is_dropped_before_common_servers_close_it() {
    let (receiver, hook, _aws, sender) = one_webhook(status(200)).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    // Node and Apache close a connection that is idle for five seconds.
    tokio::time::sleep(super::ms(4500)).await;
    deliver(&sender, &[message(&hook, 2)]).await;
    assert_eq!((receiver.connections(), receiver.arrivals().len()), (2, 2));
}

#[tokio::test]
async fn a_pooled_connection_that_the_endpoint_closed_is_replaced() {
    let script = [status(200), vec![Act::HangUp]].concat();
    let (receiver, hook, aws, sender) = one_webhook(script).await;
    for number in 1..=3 {
        assert_eq!(deliver(&sender, &[message(&hook, number)]).await, [""; 0]);
    }
    assert_eq!((receiver.connections(), receiver.arrivals().len()), (3, 3));
    assert_eq!(aws.logged().len(), 3);
}

#[tokio::test]
async fn no_log_or_queue_contains_a_secret_and_no_log_contains_a_payload() {
    let good = Receiver::start(status(200)).await;
    let bad = Receiver::start(answer(500, &[], b"response of the endpoint")).await;
    let hooks = [
        webhook(&good.url()),
        webhook(&format!("{}?token=in-the-query", bad.url())),
        webhook_with(&bad.url(), json!({"secret_version": "malformed"})),
        webhook_with(&bad.url(), json!({"retry_enabled": false})),
        webhook_with("http://10.0.0.1/token-in-the-path", json!({})),
    ];
    let environment = [("LOG_LEVEL", "DEBUG")];
    let (aws, sender) = super::sender_with(&hooks, &environment).await;
    aws.keep_secret("malformed", "whsec_malformed!");
    let messages: Vec<_> = (0..5).map(|at| message(&hooks[at], at)).collect();
    deliver(&sender, &messages).await;
    let queues = [DELIVERIES, DEAD_LETTERS, FAULTS].map(|url| aws.queued(url));
    let (queues, log) = (format!("{queues:?} {:?}", aws.logged()), sender.finish().await);
    assert_contains(&log, "attempt failed");
    for secret in [
        SECRET,
        &SECRET[6..],
        "whsec_",
        "aws-secret-access-key-of-the-test",
        "aws-session-token-of-the-test",
        "in-the-query",
    ] {
        assert_lacks(&log, secret);
        assert_lacks(&queues, secret);
    }
    // The payload contains `: 1.50,` with a space; the log's JSON has no space after a colon.
    for payload in [": 1.50,", "response of the endpoint", "token-in-the-path"] {
        assert_lacks(&log, payload);
    }
}

#[tokio::test]
async fn reads_and_log_writes_that_fail_at_first_are_retried_without_a_log_line() {
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    for operation in ["BatchGetItem", "BatchWriteItem"] {
        aws.on(operation, |_, before| match before {
            0 => Some(Reply::Broken),
            1 => Some(Reply::Refused("ProvisionedThroughputExceededException")),
            _ => None,
        });
    }
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!(receiver.arrivals().len(), 1);
    for operation in ["BatchGetItem", "BatchWriteItem"] {
        assert_eq!(aws.calls_of(operation).len(), 3, "{operation}");
    }
    assert_eq!(log_lines(&sender.finish().await), [json!(null); 0]);
}
