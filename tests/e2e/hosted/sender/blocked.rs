//! Internal errors before an attempt. They cost the tenant no attempt, and each is logged.

use std::time::{Duration, Instant};

use harness::fixtures::{
    BODY, DEAD_LETTERS, DELIVERIES, FAULTS, SECRET, TENANT, batch, delivery_id, id_of, message,
    rows, text, webhook, webhook_with,
};
use harness::{FakeAws, Receiver, Reply, assert_contains, status};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use webhooks::timestamp::Timestamp;

use super::{
    deliver, delivery, log_attempts, one_webhook, one_webhook_with, redeliver, sender, visibilities,
};

/// An internal error, and the text that the log has for it.
struct InternalError {
    cause: fn(&FakeAws),
    row: Value,
    time_limit: Duration,
    logged: &'static str,
}

fn internal_errors() -> Vec<InternalError> {
    let time_limit = Duration::from_secs(20);
    let error = |logged, cause| InternalError { cause, row: json!({}), time_limit, logged };
    vec![
        error("the webhooks cannot be read", |aws| aws.always("BatchGetItem", Reply::Broken)),
        error("the webhooks cannot be read", |aws| {
            aws.always("BatchGetItem", Reply::Refused("ProvisionedThroughputExceededException"));
        }),
        error("the webhooks cannot be read", |aws| aws.always("BatchGetItem", Reply::Late)),
        error("unprocessed", |aws| {
            aws.on("BatchGetItem", |input, _| {
                let keys = json!({"Responses": {}, "UnprocessedKeys": input["RequestItems"]});
                Some(Reply::Body(keys))
            });
        }),
        error("the secret cannot be read", |aws| aws.always("GetSecretValue", Reply::Broken)),
        error("the secret cannot be read", |aws| {
            aws.always("GetSecretValue", Reply::Refused("ResourceNotFoundException"));
        }),
        error("the secret cannot be read", |aws| {
            aws.always("GetSecretValue", Reply::Body(json!({"SecretString": "no JSON"})));
        }),
        InternalError {
            row: json!({"max_retries": "five"}),
            ..error("the webhook cannot be read", |_| {})
        },
        InternalError {
            time_limit: Duration::from_secs(12),
            ..error("too little time is left in the invocation", |_| {})
        },
    ]
}

#[tokio::test]
async fn an_internal_error_requeues_a_copy_after_30_seconds_without_an_attempt() {
    let mut tests = JoinSet::new();
    for error in internal_errors() {
        tests.spawn(async move {
            let (receiver, hook, aws, sender) = one_webhook_with(status(200), error.row).await;
            (error.cause)(&aws);
            let mut message = message(&hook, 1);
            message["attempts_before"] = json!(5);
            log_attempts(&aws, &message, 7);
            let text = text(&message);
            let third_receive = batch([(text.as_str(), 3)]);
            let before = Timestamp::now();
            let response = sender.invoke_within(error.time_limit, third_receive).await;
            assert_eq!(response, Ok(json!({"batchItemFailures": []})), "{}", error.logged);

            let copy = &aws.queued(DELIVERIES)[0];
            let queued = delivery(copy);
            let since = queued.blocked_since.expect("the copy has a time");
            assert!(since >= before && since <= Timestamp::now());
            assert_eq!((copy.delay, copy.group.as_deref()), (Some(30), Some(TENANT)));
            assert_eq!((queued.attempts_before, queued.body.get()), (7, BODY));
            assert_eq!(queued.delivery_id.to_string(), delivery_id(1));
            assert_eq!(receiver.connections(), 0);
            // The row of the earlier attempts says when the next one is due.
            let logged = aws.logged();
            assert_eq!((logged.len(), &logged[0]["status"]), (1, &json!("pending")));
            assert_eq!(logged[0]["attempts"], json!([]));
            let log = sender.finish().await;
            assert_contains(&log, error.logged);
        });
    }
    tests.join_all().await;
}

#[tokio::test]
async fn a_hanging_secret_read_delays_a_batch_by_only_one_call() {
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    aws.always("GetSecretValue", Reply::Late);
    let messages: Vec<_> = (0..10).map(|number| message(&hook, number)).collect();
    let start = Instant::now();
    assert_eq!(deliver(&sender, &messages).await, [""; 0]);
    // Ten calls in sequence would take 30 seconds.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!((aws.queued(DELIVERIES).len(), receiver.connections()), (10, 0));
}

#[tokio::test]
async fn a_message_whose_copy_cannot_be_sent_is_hidden_for_a_minute_and_reported() {
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    aws.always("BatchGetItem", Reply::Broken);
    aws.always("SendMessage", Reply::Broken);
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 60)]);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_copy_that_cannot_be_sent_at_the_last_receive_becomes_a_pipeline_fault() {
    // With an internal error before the attempt, and after an attempt that another one should follow.
    for (blocked, attempts) in [(true, 0), (false, 1)] {
        let (receiver, hook, aws, sender) =
            one_webhook_with(status(500), json!({"max_retries": 10})).await;
        if blocked {
            aws.always("BatchGetItem", Reply::Broken);
        }
        aws.break_queue("SendMessage", DELIVERIES);
        assert_eq!(redeliver(&aws, &sender, &message(&hook, 1), 5).await, [""; 0]);
        let fault = &aws.queued(FAULTS)[0];
        assert!(fault.attributes["reason"].starts_with("a copy cannot be queued"), "{fault:?}");
        assert_eq!((aws.queued(DEAD_LETTERS).len(), receiver.arrivals().len()), (0, attempts));
        let logged: Vec<_> = aws
            .logged()
            .iter()
            .map(|row| (row["status"].clone(), row["attempts"].as_array().map_or(0, Vec::len)))
            .collect();
        assert_eq!(logged, [(json!("failed"), attempts)], "blocked: {blocked}");
    }
}

#[tokio::test]
async fn a_delivery_blocked_for_12_hours_becomes_a_pipeline_fault() {
    let hour = 3_600_000;
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    aws.always("GetSecretValue", Reply::Broken);
    let blocked_for = |number, hours: u64| {
        let since = Timestamp::from_unix_millis(Timestamp::now().unix_millis() - hours * hour);
        let mut message = message(&hook, number);
        message["blocked_since"] = json!(since);
        (message, since)
    };
    let ((still, since), (over, _)) = (blocked_for(1, 11), blocked_for(2, 13));
    assert_eq!(deliver(&sender, &[still, over.clone()]).await, [""; 0]);
    let copies = aws.queued(DELIVERIES);
    assert_eq!((copies.len(), delivery(&copies[0]).blocked_since), (1, Some(since)));

    let faults = aws.queued(FAULTS);
    let fault: Value = serde_json::from_str(&faults[0].body).expect("a fault is JSON");
    let record = fault["record"].as_str().expect("it is text");
    let record: Value = serde_json::from_str(record).expect("it is the message");
    assert_eq!((faults.len(), &fault["source"]), (1, &json!("sender")));
    assert_eq!(record["delivery_id"], over["delivery_id"]);
    assert!(faults[0].attributes["reason"].starts_with("the secret cannot be read"));
    assert_eq!((aws.logged().len(), &aws.logged()[0]["status"]), (1, &json!("failed")));
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn an_attempt_clears_blocked_since() {
    let (_receiver, hook, aws, sender) =
        one_webhook_with(status(500), json!({"max_retries": 10})).await;
    let mut message = message(&hook, 1);
    message["blocked_since"] = json!("2025-12-03T10:30:47Z");
    assert_eq!(redeliver(&aws, &sender, &message, 5).await, [""; 0]);
    let copy = delivery(&aws.queued(DELIVERIES)[0]);
    assert_eq!((copy.attempts_before, copy.blocked_since), (5, None));
}

#[tokio::test]
async fn an_unreadable_secret_blocks_only_its_own_webhook() {
    let receiver = Receiver::start(status(200)).await;
    let bad = webhook_with(&receiver.url(), json!({"secret_version": "unknown"}));
    let good = webhook(&receiver.url());
    let (aws, sender) = sender(&[bad.clone(), good.clone()]).await;
    assert_eq!(deliver(&sender, &[message(&bad, 1), message(&good, 2)]).await, [""; 0]);
    assert_eq!(aws.queued(DELIVERIES).len(), 1);
    assert_eq!(receiver.arrivals()[0].header("X-DocIntell-Delivery"), delivery_id(2));

    aws.keep_secret("unknown", SECRET);
    assert_eq!(deliver(&sender, &[message(&bad, 1)]).await, [""; 0]);
    assert_eq!(receiver.arrivals().len(), 2, "a failed read is not cached");
}

#[tokio::test]
async fn only_unprocessed_keys_are_read_again() {
    let receiver = Receiver::start(status(200)).await;
    let hooks = [webhook(&receiver.url()), webhook(&receiver.url())];
    let (aws, sender) = sender(&hooks).await;
    let answered = rows(&hooks[..1]);
    let second = id_of(&hooks[1]).to_owned();
    aws.on("BatchGetItem", move |input, before| {
        let keys = input["RequestItems"]["WebhookConfigs"]["Keys"].as_array().into_iter().flatten();
        let left: Vec<_> = keys.filter(|key| key["webhook_config_id"]["S"] == second).collect();
        (before == 0).then(|| {
            Reply::Body(json!({
                "Responses": {"WebhookConfigs": answered},
                "UnprocessedKeys": {"WebhookConfigs": {"Keys": left, "ConsistentRead": true}},
            }))
        })
    });
    assert_eq!(deliver(&sender, &[message(&hooks[0], 1), message(&hooks[1], 2)]).await, [""; 0]);
    let reads = aws.calls_of("BatchGetItem");
    let again = &reads[1].input["RequestItems"]["WebhookConfigs"];
    assert_eq!((reads.len(), again["Keys"].as_array().map(Vec::len)), (2, Some(1)));
    assert_eq!(again["ConsistentRead"], true);
    assert_eq!(receiver.arrivals().len(), 2);
}
