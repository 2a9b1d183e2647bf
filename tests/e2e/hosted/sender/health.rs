//! The health that the sender notes on a webhook's row, and the events that it publishes.

use std::time::Duration;

use harness::fixtures::{
    DEAD_LETTERS, DELIVERIES, FAULTS, TENANT, batch, id_of, message, text, webhook, webhook_with,
};
use harness::{
    FakeAws, Receiver, Reply, after, answer, assert_contains, assert_lacks, by_number, status,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use webhooks::timestamp::Timestamp;

use super::{deliver, one_webhook, one_webhook_with, redeliver, sender, sender_with};

const UNPUBLISHED: &str = "cannot publish that the health of a webhook changed";
const UNWRITTEN: &str = "cannot write that the health of a webhook changed";

fn days_ago(days: u64) -> String {
    let now = Timestamp::now().unix_millis();
    Timestamp::from_unix_millis(now - days * 86_400_000).to_string()
}

/// The detail type, the health and the reason of each published event, after checks of all other fields.
fn events(aws: &FakeAws, hook: &Value) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().expect("it is a string").to_owned();
    let event = |event: Value| {
        let detail = &event["Detail"];
        assert_eq!(event["Source"], "docintell.webhooks");
        assert!(event.get("EventBusName").is_none(), "the default bus");
        assert_eq!(
            (&detail["tenant_id"], &detail["webhook_config_id"]),
            (&json!(TENANT), &hook["webhook_config_id"])
        );
        assert!(detail["at"].as_str().is_some_and(|at| Timestamp::parse(at).is_ok()), "{detail}");
        (text(&event["DetailType"]), text(&detail["health"]), detail["reason"].clone())
    };
    aws.events().into_iter().map(event).collect()
}

fn failing(reason: &str) -> (String, String, Value) {
    ("Webhook Failing".into(), "failing".into(), reason.into())
}

fn recovered() -> (String, String, Value) {
    ("Webhook Recovered".into(), "ok".into(), Value::Null)
}

fn disabled(reason: &str) -> (String, String, Value) {
    ("Webhook Disabled".into(), "disabled".into(), reason.into())
}

/// The names of the attributes that each update of a webhook's row changes.
fn updated(aws: &FakeAws) -> Vec<Vec<String>> {
    let names = |update: Value| update.as_object().expect("an object").keys().cloned().collect();
    aws.webhook_updates().into_iter().map(names).collect()
}

/// Answers updates of webhooks, not of the log.
fn on_webhook_updates(aws: &FakeAws, reply: Reply) {
    aws.on("UpdateItem", move |input, _| {
        (input["TableName"] == "WebhookConfigs").then(|| reply.clone())
    });
}

#[tokio::test]
async fn the_first_dead_letter_notes_and_publishes_that_the_webhook_is_failing() {
    let (_receiver, hook, aws, sender) = one_webhook(status(404)).await;
    let before = Timestamp::now();
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!(updated(&aws), [["failing_since", "health_change"]]);
    let since = aws.webhook_updates()[0]["failing_since"].as_str().map(Timestamp::parse);
    let since = since.expect("it is a string").expect("it is a time");
    assert!((before..=Timestamp::now()).contains(&since), "{since}");
    assert_eq!(events(&aws, &hook), [failing("the endpoint answered 404")]);
    assert_eq!(aws.events()[0]["Detail"]["at"], since.to_string());

    let mut order: Vec<_> = aws.calls().into_iter().map(|call| call.operation).collect();
    order.retain(|operation| !operation.contains("Get"));
    assert_eq!(order, ["SendMessage", "UpdateItem", "UpdateItem", "PutEvents"]);
    assert_eq!(aws.calls_of("UpdateItem")[0].input["TableName"], "Deliveries", "the log is first");
}

#[tokio::test]
async fn a_delivery_that_the_queue_moves_is_a_dead_letter_too_but_a_failed_attempt_is_not() {
    let (_receiver, hook, aws, sender) = one_webhook(status(500)).await;
    for receive in 1..=4 {
        redeliver(&aws, &sender, &message(&hook, 1), receive).await;
    }
    assert_eq!((updated(&aws).len(), aws.events().len()), (0, 0));
    assert_eq!(redeliver(&aws, &sender, &message(&hook, 1), 5).await, ["m0"]);
    assert_eq!(events(&aws, &hook), [failing("the endpoint answered 500")]);
}

#[tokio::test]
async fn a_failing_webhook_recovers_at_the_next_success() {
    // At the first attempt, and at a later one.
    for receive in [1, 3] {
        let row = json!({"failing_since": days_ago(6)});
        let (_receiver, hook, aws, sender) = one_webhook_with(status(200), row).await;
        assert_eq!(redeliver(&aws, &sender, &message(&hook, 1), receive).await, [""; 0]);
        assert_eq!(updated(&aws), [["failing_since", "health_change"]]);
        assert_eq!(aws.webhook_updates()[0]["failing_since"], Value::Null, "it is removed");
        let update = aws.calls_of("UpdateItem").pop().expect("the row is updated").input;
        let operands = &update["ExpressionAttributeValues"];
        assert_eq!(operands[":failing_since"], json!({"S": hook["failing_since"]}));
        assert_eq!(events(&aws, &hook), [recovered()]);
    }
}

#[tokio::test]
async fn ten_dead_letters_in_a_batch_are_one_update_and_one_event() {
    let (receiver, hook, aws, sender) = one_webhook(status(400)).await;
    let messages: Vec<_> = (0..10).map(|number| message(&hook, number)).collect();
    assert_eq!(deliver(&sender, &messages).await, [""; 0]);
    assert_eq!((receiver.arrivals().len(), aws.queued(DEAD_LETTERS).len()), (10, 10));
    assert_eq!((updated(&aws).len(), aws.calls_of("PutEvents").len()), (1, 1));
}

#[tokio::test]
async fn each_webhook_of_a_batch_has_its_own_health() {
    let (good, bad) = (Receiver::start(status(200)).await, Receiver::start(status(400)).await);
    let hooks = [
        webhook(&good.url()),
        webhook(&bad.url()),
        webhook_with(&good.url(), json!({"failing_since": days_ago(1)})),
    ];
    let (aws, sender) = sender(&hooks).await;
    let messages: Vec<_> = (0..9).map(|number| message(&hooks[number % 3], number)).collect();
    deliver(&sender, &messages).await;
    let mut found: Vec<_> = aws
        .events()
        .into_iter()
        .map(|event| {
            let id =
                event["Detail"]["webhook_config_id"].as_str().expect("there is an id").to_owned();
            (event["DetailType"].as_str().expect("it is a string").to_owned(), id)
        })
        .collect();
    found.sort();
    let id = |at: usize| id_of(&hooks[at]).to_owned();
    assert_eq!(
        found,
        [("Webhook Failing".to_owned(), id(1)), ("Webhook Recovered".to_owned(), id(2))]
    );
}

#[tokio::test]
async fn a_success_in_the_same_batch_outweighs_dead_letters() {
    for (failing_since, expected) in
        [(Value::Null, vec![]), (json!(days_ago(6)), vec![recovered()])]
    {
        let script = by_number(|number| status(if number % 2 == 0 { 200 } else { 400 }));
        let row = match failing_since {
            Value::Null => json!({}),
            since => json!({"failing_since": since}),
        };
        let (_receiver, hook, aws, sender) = one_webhook_with(script, row).await;
        let messages: Vec<_> = (0..10).map(|number| message(&hook, number)).collect();
        deliver(&sender, &messages).await;
        assert_eq!(aws.queued(DEAD_LETTERS).len(), 5);
        assert_eq!(events(&aws, &hook), expected);
    }
}

#[tokio::test]
async fn unchanged_health_makes_no_further_aws_request() {
    let of_success = ["BatchGetItem", "GetSecretValue", "BatchWriteItem"];
    let of_dead_letter = ["BatchGetItem", "GetSecretValue", "SendMessage", "UpdateItem"];
    for (code, row, expected) in [
        (200, json!({}), of_success.as_slice()),
        (400, json!({"failing_since": days_ago(4)}), of_dead_letter.as_slice()),
    ] {
        let (_receiver, hook, aws, sender) = one_webhook_with(status(code), row).await;
        deliver(&sender, &[message(&hook, 1)]).await;
        let calls: Vec<_> = aws.calls().into_iter().map(|call| call.operation).collect();
        assert_eq!(calls, expected, "{code}");
    }
}

#[tokio::test]
async fn a_410_switches_the_webhook_off_and_parks_the_delivery() {
    let (receiver, hook, aws, sender) = one_webhook(answer(410, &[], b"gone away")).await;
    assert_eq!(deliver(&sender, &[message(&hook, 1), message(&hook, 2)]).await, [""; 0]);
    assert_eq!(updated(&aws), [["disabled_at", "disabled_reason", "is_active"]]);
    let update = &aws.webhook_updates()[0];
    assert_eq!((&update["is_active"], &update["disabled_reason"]), (&json!(false), &json!("gone")));
    assert_eq!(events(&aws, &hook), [disabled("gone")]);
    let [row] = aws.audited().try_into().expect("one row of the history");
    assert_eq!((&row["actor"], &row["key_id"]), (&json!("service"), &Value::Null));
    assert_eq!(row["action"], "disable");
    assert_eq!(row["before"], json!({"is_active": true, "disabled_reason": null}));
    assert_eq!(row["after"], json!({"is_active": false, "disabled_reason": "gone"}));
    assert_eq!(row["at"], update["disabled_at"]);
    assert_eq!(row["at"], aws.events()[0]["Detail"]["at"]);
    for (parked, row) in aws.queued(DEAD_LETTERS).iter().zip(aws.logged()) {
        assert_eq!(parked.attributes["reason"], "the endpoint answered 410");
        assert_eq!(
            (&row["status"], &row["attempts"][0]["status_code"]),
            (&json!("failed"), &json!(410))
        );
    }

    // The deliveries behind it find the webhook switched off.
    let off = json!({"is_active": false, "disabled_at": days_ago(0), "disabled_reason": "gone"});
    let mut row = hook.clone();
    row.as_object_mut().expect("an object").extend(off.as_object().expect("an object").clone());
    aws.replace_webhooks([&row]);
    assert_eq!(deliver(&sender, &[message(&hook, 3)]).await, [""; 0]);
    let last = aws.logged().pop().expect("it is logged");
    assert_eq!(
        (&last["status"], &last["last_error"]),
        (&json!("cancelled"), &json!("the webhook is switched off"))
    );
    assert_eq!((receiver.arrivals().len(), aws.events().len()), (2, 1));
}

#[tokio::test]
async fn a_webhook_that_fails_for_too_long_is_switched_off() {
    for (days, parameter, is_off) in [(5, "5", true), (4, "5", false), (4, "3", true)] {
        let receiver = Receiver::start(status(400)).await;
        let hook = webhook_with(&receiver.url(), json!({"failing_since": days_ago(days)}));
        let (aws, sender) = sender_with([&hook], &[("DISABLE_AFTER_DAYS", parameter)]).await;
        assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
        let expected = if is_off { vec![disabled("failing_too_long")] } else { vec![] };
        assert_eq!(events(&aws, &hook), expected, "{days} of {parameter} days");
        assert_eq!(updated(&aws).len(), usize::from(is_off));
        assert_eq!(aws.queued(DEAD_LETTERS).len(), 1);
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_counts() {
    let hook = webhook("http://169.254.169.254/");
    let (aws, sender) = sender([&hook]).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    assert_eq!(events(&aws, &hook), [failing("the endpoint's address is not allowed")]);
}

#[tokio::test]
async fn internal_errors_do_not_count() {
    let long_failing = json!({"failing_since": days_ago(9)});
    let errors: [fn(&FakeAws); 4] = [
        |aws| aws.always("GetSecretValue", Reply::Broken),
        |aws| aws.always("BatchGetItem", Reply::Broken),
        // The delivery is parked in `PipelineFaultsQueue` instead of the dead-letter queue.
        |aws| {
            aws.on("SendMessage", |input, _| {
                (input["QueueUrl"] == DEAD_LETTERS)
                    .then_some(Reply::Refused("InvalidMessageContents"))
            });
        },
        // It becomes a dead letter later.
        |aws| aws.break_queue("SendMessage", DEAD_LETTERS),
    ];
    for (cause, row) in
        errors.into_iter().flat_map(|it| [(it, json!({})), (it, long_failing.clone())])
    {
        let (_receiver, hook, aws, sender) = one_webhook_with(status(400), row).await;
        cause(&aws);
        let mut blocked = message(&hook, 1);
        blocked["blocked_since"] = json!(days_ago(1));
        deliver(&sender, &[blocked, message(&hook, 2)]).await;
        assert_eq!((updated(&aws).len(), aws.events().len()), (0, 0));
        let queued = [DELIVERIES, FAULTS].map(|url| aws.queued(url).len());
        assert!(
            queued != [0, 0] || aws.calls_of("ChangeMessageVisibility").len() == 2,
            "{queued:?}"
        );
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_published_is_an_error_and_never_a_failed_delivery() {
    let refused = json!({
        "FailedEntryCount": 1,
        "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}],
    });
    let mut tests = JoinSet::new();
    for (reply, reason) in [
        (Reply::Refused("AccessDeniedException"), "AccessDeniedException"),
        (Reply::Broken, "InternalFailure"),
        (Reply::Body(refused), "EventBridge refused the event: InternalFailure try again"),
        (Reply::Late, ""),
    ] {
        tests.spawn(async move {
            let (_receiver, hook, aws, sender) = one_webhook(status(400)).await;
            aws.always("PutEvents", reply);
            assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
            assert_eq!((aws.queued(DEAD_LETTERS).len(), aws.queued(FAULTS).len()), (1, 0));
            assert_eq!(aws.logged()[0]["status"], "failed");
            let log = sender.finish().await;
            let line = log.lines().find(|line| line.contains(UNPUBLISHED)).expect("it is logged");
            let line: Value = serde_json::from_str(line).expect("it is JSON");
            assert_eq!(
                (&line["level"], &line["fields"]["health.unpublished"]),
                (&json!("ERROR"), &json!(1))
            );
            assert_eq!(line["fields"]["webhook.id"], hook["webhook_config_id"]);
            assert_contains(&line["fields"]["error"].to_string(), reason);
        });
    }
    tests.join_all().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_written_is_not_published_and_never_a_failed_delivery() {
    let mut tests = JoinSet::new();
    for reply in [Reply::Refused("AccessDeniedException"), Reply::Broken, Reply::Late] {
        tests.spawn(async move {
            let (_receiver, hook, aws, sender) = one_webhook(status(410)).await;
            aws.always("TransactWriteItems", reply);
            assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
            assert_eq!((aws.queued(DEAD_LETTERS).len(), aws.events().len()), (1, 0));
            assert_eq!(aws.logged()[0]["status"], "failed");
            assert_contains(&sender.finish().await, UNWRITTEN);
        });
    }
    tests.join_all().await;
}

#[tokio::test]
async fn a_change_that_another_sender_has_written_is_not_published_again() {
    let (_receiver, hook, aws, sender) = one_webhook(status(400)).await;
    on_webhook_updates(&aws, Reply::Refused("ConditionalCheckFailedException"));
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    assert_eq!((updated(&aws).len(), aws.events().len()), (1, 0));
    let log = sender.finish().await;
    assert_lacks(&log, UNWRITTEN);
    assert_lacks(&log, UNPUBLISHED);
}

#[tokio::test]
async fn a_write_whose_response_was_lost_recognises_its_own_change() {
    let (_receiver, hook, aws, sender) = one_webhook(status(400)).await;
    aws.on("UpdateItem", |input, before| {
        // The first update is the log's.
        (input["TableName"] == "WebhookConfigs" && before == 1).then_some(Reply::Broken)
    });
    deliver(&sender, &[message(&hook, 1)]).await;
    let updates: Vec<_> = aws.calls_of("UpdateItem").into_iter().map(|it| it.input).collect();
    let [_log, first, repeated] = updates.as_slice() else { panic!("{updates:?}") };
    assert_eq!(first, repeated, "the mark is the same");
    let condition = first["ConditionExpression"].as_str().expect("there is a condition");
    assert!(condition.ends_with(") OR #health_change = :health_change"), "{condition}");
    assert_eq!(events(&aws, &hook), [failing("the endpoint answered 400")]);
}

#[tokio::test]
async fn health_is_given_up_before_the_deadline() {
    let slow = after(Duration::from_millis(9_500), status(400));
    let (_receiver, hook, aws, sender) = one_webhook(slow).await;
    // The log and the health would each wait for 3 s.
    aws.always("UpdateItem", Reply::Late);
    let text = text(&message(&hook, 1));
    let first = batch([(text.as_str(), 1)]);
    // Fails if there is no response by the deadline.
    let response = sender.invoke_within(Duration::from_secs(15), first).await;
    assert_eq!(response, Ok(json!({"batchItemFailures": []})));
    assert_eq!(aws.queued(DEAD_LETTERS).len(), 1);
    assert_contains(&sender.finish().await, "there was no time left");
}
