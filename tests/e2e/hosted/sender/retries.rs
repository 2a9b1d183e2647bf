//! What the sender does after a failed attempt, and when.

use std::sync::Arc;

use harness::fixtures::{
    BODY, DEAD_LETTERS, DELIVERIES, TENANT, batch, delivery_id, id_of, message, text, webhook,
    webhook_with,
};
use harness::{Act, ClosedPort, Receiver, Reply, answer, status};
use serde_json::json;
use tokio::sync::Barrier;
use tokio::time::sleep;

use super::{
    deliver, delivery, log_attempts, ms, one_webhook, one_webhook_with, redeliver, sender,
    visibilities,
};

#[tokio::test]
async fn a_failed_message_is_reported_and_hidden_for_1_2_4_8_and_0_seconds() {
    let (_receiver, hook, aws, sender) = one_webhook(status(500)).await;
    let messages: Vec<_> = (1..=5).map(|number| message(&hook, number)).collect();
    messages.iter().zip(0..).for_each(|(message, before)| log_attempts(&aws, message, before));
    let texts: Vec<_> = messages.iter().map(text).collect();
    let reported = sender.report(batch(texts.iter().map(String::as_str).zip(1..))).await;
    assert_eq!(reported, ["m0", "m1", "m2", "m3", "m4"]);
    let expected =
        [("handle-0", 1), ("handle-1", 2), ("handle-2", 4), ("handle-3", 8), ("handle-4", 0)];
    assert_eq!(visibilities(&aws), expected.map(|(handle, it)| (handle.to_owned(), it)));
    let logged = aws.logged();
    assert_eq!(logged.len(), 5);
    for row in logged {
        let attempt = &row["attempts"][0];
        let is_last = attempt["number"] == 5;
        assert_eq!(row["status"], if is_last { "failed" } else { "pending" });
        assert_eq!(attempt["error"], "the endpoint answered 500");
    }
    assert_eq!(aws.queued(DEAD_LETTERS).len() + aws.queued(DELIVERIES).len(), 0);
}

#[tokio::test]
async fn attempts_after_the_fifth_receive_use_a_fresh_copy() {
    let (_receiver, hook, aws, sender) =
        one_webhook_with(status(503), json!({"max_retries": 7})).await;
    assert_eq!(redeliver(&aws, &sender, &message(&hook, 1), 5).await, [""; 0]);
    let copy = &aws.queued(DELIVERIES)[0];
    let queued = delivery(copy);
    assert_eq!((copy.delay, copy.group.as_deref()), (Some(16), Some(TENANT)));
    assert_eq!((queued.attempts_before, queued.blocked_since), (5, None));
    assert_eq!((queued.delivery_id.to_string(), queued.body.get()), (delivery_id(1), BODY));

    let sixth = copy.body.as_str();
    assert_eq!(sender.report(batch([(sixth, 1)])).await, ["m0"]);
    assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 32)]);
    assert_eq!(sender.report(batch([(sixth, 2)])).await, [""; 0]);
    assert_eq!(aws.queued(DEAD_LETTERS)[0].attributes["attempts"], "7");
}

#[tokio::test]
async fn a_delivery_is_parked_with_its_reason_after_the_last_allowed_attempt() {
    let receiver = Receiver::start(answer(500, &[], b"out of order")).await;
    for (policy, receive) in [
        (json!({"retry_enabled": false}), 1),
        (json!({"max_retries": 0}), 1),
        (json!({"max_retries": 1}), 1),
        (json!({"max_retries": 3}), 3),
    ] {
        let hook = webhook_with(&receiver.url(), policy);
        let (aws, sender) = sender([&hook]).await;
        assert_eq!(redeliver(&aws, &sender, &message(&hook, 1), receive).await, [""; 0]);
        let parked = &aws.queued(DEAD_LETTERS)[0];
        let (delivery_id, attempts) = (delivery_id(1), receive.to_string());
        let expected = [
            ("reason", "the endpoint answered 500"),
            ("status_code", "500"),
            ("attempts", attempts.as_str()),
            ("delivery_id", delivery_id.as_str()),
            ("event_id", "019ae3c0-0000-7000-9000-000000000001"),
            ("event", "document.processing.completed"),
            ("webhook_config_id", id_of(&hook)),
            ("tenant_id", TENANT),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(parked.attributes, expected);
        assert_eq!((delivery(parked).body.get(), parked.group.as_deref()), (BODY, Some(TENANT)));
        assert_eq!(aws.logged()[0]["status"], "failed");
        assert_eq!(aws.logged()[0]["attempts"][0]["response_body"], "out of order");
    }
}

#[tokio::test]
async fn a_client_error_is_parked_at_once() {
    for code in [400, 401, 404, 410, 422, 429, 499] {
        let (receiver, hook, aws, sender) = one_webhook(status(code)).await;
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
        let attributes = &aws.queued(DEAD_LETTERS)[0].attributes;
        assert_eq!(attributes["reason"], format!("the endpoint answered {code}"));
        assert_eq!(
            (attributes["status_code"].as_str(), attributes["attempts"].as_str()),
            (code.to_string().as_str(), "1")
        );
        assert_eq!(aws.logged()[0]["status"], "failed");
        assert_eq!(
            (receiver.arrivals().len(), aws.calls_of("ChangeMessageVisibility").len()),
            (1, 0)
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_is_retried() {
    let elsewhere = Receiver::start(status(200)).await;
    let location = elsewhere.url();
    for code in [300, 301, 302, 303, 304, 307, 308] {
        let (_receiver, hook, aws, sender) =
            one_webhook(answer(code, &[("Location", &location)], b"")).await;
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"], "{code}");
        assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 1)]);
        assert_eq!(aws.logged()[0]["attempts"][0]["status_code"], code);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_unreachable_endpoint_is_retried_and_the_log_says_why() {
    let closed = ClosedPort::new();
    for (url, error) in [
        (closed.url(), "the connection failed: it was refused; nothing listens on this port"),
        // Names under `invalid` never resolve (RFC 6761).
        ("http://nowhere.invalid/".to_owned(), "the host name cannot be resolved"),
    ] {
        let hook = webhook(&url);
        let (aws, sender) = sender([&hook]).await;
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
        assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 1)]);
        assert_eq!(aws.logged()[0]["attempts"][0]["error"], error);
    }
}

#[tokio::test]
async fn a_failed_attempt_is_retried_and_logged_before_a_slower_post_ends() {
    let failing = Receiver::start(status(500)).await;
    let gate = Arc::new(Barrier::new(2));
    let slow = Receiver::start([vec![Act::Meet(Arc::clone(&gate))], status(200)].concat()).await;
    let hooks = [webhook(&failing.url()), webhook(&slow.url())];
    let (aws, sender) = sender(&hooks).await;
    let messages = [message(&hooks[0], 1), message(&hooks[1], 2)];
    let release = async {
        // The log is written last.
        while aws.calls_of("UpdateItem").is_empty() {
            sleep(ms(20)).await;
        }
        gate.wait().await;
    };
    // If the sender waited for the slow post, that post would time out after ten seconds.
    let (reported, ()) = tokio::join!(deliver(&sender, &messages), release);
    assert_eq!(reported, ["m0"]);
    let mut order: Vec<_> = aws.calls().into_iter().map(|call| call.operation).collect();
    order.retain(|operation| !operation.contains("Get"));
    assert_eq!(order, ["ChangeMessageVisibility", "UpdateItem", "BatchWriteItem"]);
}

#[tokio::test]
async fn a_failing_webhook_does_not_affect_the_rest_of_its_batch() {
    let (good, bad) = (Receiver::start(status(200)).await, Receiver::start(status(500)).await);
    let hooks = [webhook(&good.url()), webhook(&bad.url())];
    let (aws, sender) = sender(&hooks).await;
    let messages: Vec<_> = (0..10).map(|number| message(&hooks[number % 2], number)).collect();
    assert_eq!(deliver(&sender, &messages).await, ["m1", "m3", "m5", "m7", "m9"]);
    assert_eq!(visibilities(&aws).len(), 5);
    let delivered = aws.logged().iter().filter(|row| row["status"] == "delivered").count();
    assert_eq!((good.arrivals().len(), delivered), (5, 5));
}

#[tokio::test]
async fn a_message_whose_dead_letter_cannot_be_sent_is_hidden_for_a_minute_and_reported() {
    let receiver = Receiver::start(status(400)).await;
    let hook = webhook(&receiver.url());
    for (operation, hidden) in [("SendMessage", 1), ("ChangeMessageVisibility", 3)] {
        let (aws, sender) = sender([&hook]).await;
        aws.always("SendMessage", Reply::Broken);
        aws.always(operation, Reply::Broken);
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
        assert_eq!(visibilities(&aws), vec![("handle-0".to_owned(), 60); hidden]);
    }
}
