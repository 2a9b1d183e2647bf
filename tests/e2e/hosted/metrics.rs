//! The line of metrics that each invocation writes: what it counts, and that it is one short line at every log level.

use std::time::Duration;

use harness::fixtures::{
    FAULTS, batch, first_receives, job_change, job_change_with, message, text, webhook,
    webhook_with,
};
use harness::{
    FakeAws, Hosted, Receiver, Reply, Script, after, answer, json_lines, log_lines, metric_lines,
    sent_but, status,
};
use serde_json::{Value, json};
use webhooks::timestamp::Timestamp;

use super::fanout::ten_uploads;
use super::sender::{log_attempts, one_webhook, sender};

/// The only line of metrics of a function's log.
#[track_caller]
fn only(log: &str) -> Value {
    let [line] = &metric_lines(log)[..] else { panic!("not one line of metrics: {log}") };
    line.clone()
}

/// A metric with one value per attempt, removed from the line.
fn values(line: &mut Value, metric: &str) -> Vec<u64> {
    let values = line.as_object_mut().and_then(|line| line.remove(metric));
    serde_json::from_value(values.unwrap_or(json!([]))).expect("a metric has a list of numbers")
}

/// Messages in the sample batches were sent in 2025.
const OLD: u64 = 1_000_000_000;

#[tokio::test]
async fn a_batch_is_one_line_that_counts_each_delivery_by_its_outcome() {
    let receiver = Receiver::start(status(200)).await;
    let [failing, rejecting] =
        [Receiver::start(status(500)).await, Receiver::start(status(404)).await];
    let hooks = [
        webhook(&receiver.url()),
        webhook(&failing.url()),
        webhook_with(&failing.url(), json!({"retry_enabled": false})),
        webhook(&rejecting.url()),
        webhook("http://10.0.0.1/"),
        webhook_with(&receiver.url(), json!({"is_active": false})),
        webhook_with(&receiver.url(), json!({"secret_version": "malformed"})),
    ];
    let (aws, sender) = sender(&hooks).await;
    aws.keep_secret("malformed", "whsec_malformed!");
    let mut texts: Vec<String> =
        (1..).zip(&hooks).map(|(number, hook)| text(&message(hook, number))).collect();
    let failed_once = message(&hooks[0], 8);
    log_attempts(&aws, &failed_once, 1);
    texts.extend([text(&failed_once), "not a delivery".to_owned()]);
    let counts = [1, 1, 1, 1, 1, 1, 1, 2, 1];
    let batch = batch(texts.iter().map(String::as_str).zip(counts));
    assert_eq!(sender.report(batch).await, ["m1"], "the one that is retried");

    let mut line = only(&sender.finish().await);
    assert_eq!(values(&mut line, "AttemptDuration").len(), 6);
    let delays = values(&mut line, "FirstAttemptDelay");
    assert_eq!(delays.len(), 5, "all but the second attempt");
    assert!(delays.iter().chain(&values(&mut line, "OldestMessageAge")).all(|it| *it > OLD));
    let expected = json!({
        "Received": 9,
        "Delivered": 2,
        "DeliveredAfterRetry": 1,
        "RetriesScheduled": 1,
        "DeadLetters": 3,
        "DeadLettersExhausted": 1,
        "DeadLettersRejected": 1,
        "DeadLettersForbidden": 1,
        "Cancelled": 1,
        "Blocked": 2,
        "Parked": 1,
    });
    assert_eq!(line, expected);
}

#[tokio::test]
async fn the_metrics_of_a_batch_have_the_time_at_which_it_was_received() {
    let slow = after(Duration::from_secs(1), status(200));
    let (_receiver, hook, _aws, sender) = one_webhook(slow).await;
    sender.report(first_receives(&[message(&hook, 1)])).await;
    let answered_at = Timestamp::now().unix_millis();
    let log = sender.finish().await;
    let times = json_lines(&log).filter_map(|line| line["_aws"]["Timestamp"].as_u64());
    let times: Vec<u64> = times.collect();
    assert!(times.len() == 1 && times[0] + 1000 <= answered_at, "{times:?}, {answered_at}");
}

#[tokio::test]
async fn every_level_logs_metrics_and_no_other_line_about_a_success() {
    for level in ["INFO", "WARN", "ERROR"] {
        let receiver = Receiver::start(status(200)).await;
        let hook = webhook(&receiver.url());
        let aws = FakeAws::with_webhooks([&hook]).await;
        let environment = aws.environment_with(&[("LOG_LEVEL", level)]);
        let sender = Hosted::start("sender", &environment).await;
        for number in [1, 2] {
            sender.report(first_receives(&[message(&hook, number)])).await;
        }
        let log = sender.finish().await;
        assert_eq!((metric_lines(&log).len(), log.lines().count()), (2, 2), "{log}");
    }
}

#[tokio::test]
async fn failed_writes_of_the_log_and_of_health_are_counted() {
    let script: Script = answer(410, &[], b"").into();
    let (_receiver, hook, aws, sender) = one_webhook(script).await;
    sender.report(first_receives(&[message(&hook, 1)])).await;
    aws.always("PutEvents", Reply::Broken);
    sender.report(first_receives(&[message(&hook, 2)])).await;
    // The log's write, and the one that switches the webhook off.
    aws.always("UpdateItem", Reply::Broken);
    aws.always("TransactWriteItems", Reply::Broken);
    sender.report(first_receives(&[message(&hook, 3)])).await;
    let lines = metric_lines(&sender.finish().await);
    let counts: Vec<_> = lines
        .iter()
        .map(|line| {
            ["WebhooksDisabled", "HealthUnwritten", "LogWritesFailed"]
                .map(|metric| line[metric].as_u64().unwrap_or(0))
        })
        .collect();
    assert_eq!(counts, [[1, 0, 0], [1, 1, 0], [0, 1, 1]]);
}

#[tokio::test]
async fn a_message_that_cannot_be_replaced_counts_as_blocked() {
    let (_receiver, hook, aws, sender) = one_webhook(status(404)).await;
    aws.always("SendMessage", Reply::Broken);
    assert_eq!(sender.report(first_receives(&[message(&hook, 1)])).await, ["m0"]);
    let mut line = only(&sender.finish().await);
    assert_eq!(values(&mut line, "AttemptDuration").len(), 1);
    assert_eq!((&line["Blocked"], &line["DeadLetters"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn the_test_of_a_webhook_is_no_delivery() {
    let (_receiver, hook, _aws, sender) = one_webhook(status(200)).await;
    let test = json!({"test": {
        "tenant_id": hook["tenant_id"],
        "webhook_config_id": hook["webhook_config_id"],
    }});
    assert!(sender.invoke(test).await.is_ok());
    assert_eq!(metric_lines(&sender.finish().await), [Value::Null; 0]);
}

#[tokio::test]
async fn fanout_counts_events_what_follows_from_them_and_the_age_of_the_first_record() {
    let switched_off = json!({
        "is_active": false,
        "disabled_at": Timestamp::now(),
        "disabled_reason": "owner",
    });
    let url = "https://example.com/";
    let hooks = [webhook(url), webhook_with(url, switched_off)];
    let aws = FakeAws::with_webhooks(&hooks).await;
    let fanout = Hosted::start("fanout", &aws.environment()).await;
    let mut records = ten_uploads();
    records.push(job_change(10, "processing"));
    records.push(job_change_with(11, "queued", json!({"tenant_id": "acme"})));
    fanout.report(json!({"Records": records})).await;
    let mut line = only(&fanout.finish().await);
    assert!(values(&mut line, "OldestRecordAge")[0] > OLD);
    assert_eq!(line, json!({"Events": 10, "Queued": 10, "Skipped": 10, "Parked": 1}));
    assert_eq!(aws.queued(FAULTS).len(), 1);
}

#[tokio::test]
async fn fanout_counts_the_records_that_the_stream_delivers_again() {
    let (aws, fanout) = super::fanout::one_webhook().await;
    aws.on("SendMessageBatch", |input, _| {
        Some(Reply::Body(sent_but(input, false, |body| body.contains("a716-000000000007"))))
    });
    fanout.report(json!({"Records": ten_uploads()})).await;
    let line = only(&fanout.finish().await);
    let counts = ["Events", "Queued", "RecordsReturned"].map(|metric| line[metric].clone());
    assert_eq!(counts, [10, 9, 3].map(Value::from), "{line}");
}

#[tokio::test]
async fn the_api_counts_requests_by_the_class_of_their_status() {
    let aws = FakeAws::with_webhooks([]).await;
    aws.always("GetItem", Reply::Broken);
    let api = Hosted::start("api", &aws.environment()).await;
    let mut request: Value = serde_json::from_str(include_str!("../../../events/api-list.json"))
        .expect("a sample is JSON");
    for authorization in [request["headers"]["authorization"].clone(), json!("Bearer wrong")] {
        request["headers"]["authorization"] = authorization;
        api.invoke(request.clone()).await.expect("the function succeeds");
    }
    api.invoke(json!("not a request")).await.expect("the function succeeds");
    let log = api.finish().await;
    let refused = json!({"Requests": 1, "Refused": 1});
    let expected = [json!({"Requests": 1, "Failures": 1}), refused.clone(), refused];
    assert_eq!(metric_lines(&log), expected);
    let answered = |line: &&Value| line["fields"]["message"] == "request answered";
    assert_eq!(log_lines(&log).iter().filter(answered).count(), 3);
}
