//! The delivery log: what it stores, and that a failed write of the log never changes a delivery.

use harness::fixtures::{
    DEAD_LETTERS, DELIVERIES, FAULTS, GUIDES_BODY, TENANT, batch, delivery_id, id_of, message,
};
use harness::{FakeAws, Reply, Unit, answer, assert_contains_times, assert_lacks, status};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use webhooks::timestamp::Timestamp;

use super::{deliver, one_webhook, redeliver, visibilities};

const WARNING: &str = "cannot write the delivery log";

/// Ways in which the write of a row fails.
fn failures() -> [fn(&FakeAws); 4] {
    [
        |aws| aws.always("BatchWriteItem", Reply::Broken),
        |aws| aws.always("BatchWriteItem", Reply::Refused("ResourceNotFoundException")),
        |aws| aws.always("BatchWriteItem", Reply::Late),
        |aws| {
            aws.on("BatchWriteItem", |input, _| {
                Some(Reply::Body(json!({"UnprocessedItems": input["RequestItems"]})))
            });
        },
    ]
}

#[tokio::test]
async fn a_success_that_cannot_be_logged_is_acknowledged_and_not_posted_again() {
    let mut tests = JoinSet::new();
    for fail in failures() {
        tests.spawn(async move {
            let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
            fail(&aws);
            let messages = [message(&hook, 1), message(&hook, 2)];
            assert_eq!(deliver(&sender, &messages).await, [""; 0]);
            assert_eq!(receiver.arrivals().len(), 2);
            let queued = [DELIVERIES, DEAD_LETTERS, FAULTS].map(|url| aws.queued(url).len());
            assert_eq!((queued, visibilities(&aws).len()), ([0, 0, 0], 0));
            let log = sender.finish().await;
            assert_contains_times(&log, WARNING, 2);
        });
    }
    tests.join_all().await;
}

#[tokio::test]
async fn a_failure_that_cannot_be_logged_is_retried_like_any_other() {
    let (receiver, hook, aws, sender) = one_webhook(status(500)).await;
    aws.always("UpdateItem", Reply::Broken);
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 1)]);
    assert_eq!(receiver.arrivals().len(), 1);
    let log = sender.finish().await;
    assert_contains_times(&log, WARNING, 1);
}

#[tokio::test]
async fn only_unprocessed_rows_are_written_again() {
    let (_receiver, hook, aws, sender) = one_webhook(status(200)).await;
    aws.on("BatchWriteItem", |input, before| {
        let left = json!({"Deliveries": [input["RequestItems"]["Deliveries"][1]]});
        (before == 0).then(|| Reply::Body(json!({"UnprocessedItems": left})))
    });
    deliver(&sender, &[message(&hook, 1), message(&hook, 2), message(&hook, 3)]).await;
    let logged: Vec<Value> = aws.logged().iter().map(|row| row["delivery_id"].clone()).collect();
    assert_eq!(logged, [1, 2, 3, 2].map(delivery_id));
}

#[tokio::test]
async fn an_attempt_that_is_already_in_its_row_is_skipped_without_a_warning() {
    let (_receiver, hook, aws, sender) = one_webhook(status(500)).await;
    aws.always("UpdateItem", Reply::Refused("ConditionalCheckFailedException"));
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    assert_eq!(aws.calls_of("UpdateItem").len(), 1);
    let log = sender.finish().await;
    assert_lacks(&log, WARNING);
}

#[tokio::test]
async fn each_event_of_the_guide_is_one_write_of_less_than_1_kb() {
    let (_receiver, hook, aws, sender) = one_webhook(status(200)).await;
    aws.charge();
    let uploaded = GUIDES_BODY.replace("processing.completed", "uploaded");
    let failed = GUIDES_BODY.replace(
        r#""page_count":10,"ir_version":"1.0.0""#,
        r#""error_message":"Failed to parse the document: the file is corrupted or encrypted""#,
    );
    for (number, body) in (1..).zip([GUIDES_BODY, &uploaded, &failed]) {
        let before = aws.stored_deliveries();
        drop(aws.take_usage());
        let text = message(&hook, number).to_string().replace(r#""BODY""#, body);
        sender.invoke(batch([(text.as_str(), 1)])).await.expect("the batch is read");
        let stored = aws.stored_deliveries();
        assert_eq!((stored.rows - before.rows, aws.take_usage().units(Unit::Write)), (1, 1));
        assert!(
            stored.bytes - before.bytes < 1024,
            "{} bytes: {body}",
            stored.bytes - before.bytes
        );
    }
}

#[tokio::test]
async fn a_success_at_the_first_attempt_is_one_complete_row() {
    let (_receiver, hook, aws, sender) = one_webhook(answer(202, &[], b"thank you")).await;
    let days_from_now = || Timestamp::now().unix_seconds() + 30 * 86_400;
    let earliest = days_from_now();
    let text = message(&hook, 1).to_string().replace(r#""BODY""#, GUIDES_BODY);
    sender.invoke(batch([(text.as_str(), 1)])).await.expect("the batch is read");
    let mut row = aws.logged().remove(0);
    let ttl = row["ttl"].as_i64().expect("it is a number");
    assert!((earliest..=days_from_now()).contains(&ttl), "{ttl} is before {earliest} or too late");
    for varying in ["ttl", "completed_at"] {
        assert!(!row[varying].take().is_null(), "{varying} is set");
    }
    for varying in ["at", "duration_ms", "phases"] {
        assert!(!row["attempts"][0][varying].take().is_null(), "{varying} is set");
    }
    let expected = json!({
        "webhook": format!("{TENANT}/{}", id_of(&hook)),
        "delivery_id": delivery_id(1),
        "event": "document.processing.completed",
        "event_id": "019ae3c0-0000-7000-9000-000000000001",
        "document_id": "660e8400-e29b-41d4-a716-446655440001",
        "job_id": "550e8400-e29b-41d4-a716-446655440000",
        "occurred_at": "2025-12-03T10:30:47Z",
        "body": GUIDES_BODY,
        "status": "delivered",
        "chain": 1,
        "attempts": [{"number": 1, "at": null, "duration_ms": null, "phases": null, "status_code": 202}],
        "attempt_count": 1,
        "last_attempt": 1,
        "last_status_code": 202,
        "completed_at": null,
        "ttl": null,
    });
    assert_eq!(row, expected);
}

#[tokio::test]
async fn a_success_at_a_later_attempt_is_added_to_the_existing_row() {
    let (_receiver, hook, aws, sender) = one_webhook(status(200)).await;
    assert_eq!(redeliver(&aws, &sender, &message(&hook, 1), 3).await, [""; 0]);
    let row = &aws.logged()[0];
    assert_eq!((&row["status"], &row["attempts"][0]["number"]), (&json!("delivered"), &json!(3)));
    assert_eq!((aws.calls_of("UpdateItem").len(), aws.calls_of("BatchWriteItem").len()), (1, 0));
}

#[tokio::test]
async fn a_failed_attempts_response_is_cut_to_500_characters() {
    let (_receiver, hook, aws, sender) =
        one_webhook(answer(500, &[], "é".repeat(600).as_bytes())).await;
    deliver(&sender, &[message(&hook, 1)]).await;
    assert_eq!(aws.logged()[0]["attempts"][0]["response_body"], "é".repeat(500));
}

/// The clause about the list of attempts in the sender's `UpdateItem` call number `number`, from 0.
fn list_clause(aws: &FakeAws, number: usize) -> String {
    let calls = aws.calls_of("UpdateItem");
    let expression =
        calls[number].input["UpdateExpression"].as_str().expect("there is an expression");
    let (set, _) = expression.split_once(" REMOVE ").unwrap_or((expression, ""));
    set.split(", ").find(|it| it.contains("attempts")).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_attempt_replaces_the_50th_once_the_row_is_full() {
    let (_receiver, hook, aws, sender) = one_webhook(status(500)).await;
    aws.on("UpdateItem", |_, before| {
        let attempts = json!({"L": vec![json!({"M": {}}); 50]});
        (before == 0).then(|| Reply::ConditionFailed(json!({"attempts": attempts})))
    });
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, ["m0"]);
    assert_eq!(aws.calls_of("UpdateItem").len(), 2);
    assert_eq!(list_clause(&aws, 1), "attempts[49] = :attempt");
    let condition = &aws.calls_of("UpdateItem")[1].input["ConditionExpression"];
    let condition = condition.as_str().expect("there is an expression");
    assert!(condition.contains("#status <> :delivered"), "{condition}");
    assert!(condition.contains("size(attempts) >= :most"), "{condition}");
}

#[tokio::test]
async fn a_row_too_large_for_another_attempt_still_gets_the_status() {
    let (_receiver, hook, aws, sender) = one_webhook(status(404)).await;
    // DynamoDB's error for an item above 400 KB.
    aws.on("UpdateItem", |_, before| {
        (before == 0).then_some(Reply::Refused("ValidationException"))
    });
    assert_eq!(deliver(&sender, &[message(&hook, 1)]).await, [""; 0]);
    let rows = aws.logged();
    let updates: Vec<_> =
        rows.iter().map(|row| (row["status"].as_str(), &row["attempts"])).collect();
    assert_eq!((updates[1].0, updates[1].1), (Some("failed"), &json!([])));
    assert_eq!(rows[1]["last_error"], "the endpoint answered 404");
    assert!(!sender.finish().await.contains(WARNING));
}
