//! Events of webhooks that are switched off or need a test: their rows in the delivery log, and what follows when a row
//! cannot be written.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::fixtures::{
    DELIVERIES, FAULTS, TENANT, id_of, job_change, sequence_number, webhook, webhook_with,
};
use harness::{FakeAws, Hosted, Operation, Reply, Requests, assert_contains};
use serde_json::{Value, json};
use webhooks::delivery::{DeliveryMessage, DeliveryStatus};
use webhooks::store::deliveries::DeliveryRow;
use webhooks::timestamp::Timestamp;

use super::{URL, dispatch, document_id, fanout, fault, ten_uploads, webhooks_of};

fn days_ago(days: u64) -> String {
    let millis = Timestamp::now().unix_millis() - days * 24 * 60 * 60 * 1000;
    Timestamp::from_unix_millis(millis).to_string()
}

/// A webhook that was switched off some days ago.
fn off_for(days: u64) -> Value {
    off_with(json!({"disabled_at": days_ago(days)}))
}

/// A webhook that its owner switched off a day ago, with these fields replaced or added.
fn off_with(fields: Value) -> Value {
    let off = json!({"is_active": false, "disabled_at": days_ago(1), "disabled_reason": "owner"});
    let mut off = webhook_with(URL, off);
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    off.as_object_mut().expect("a row is an object").extend(fields);
    off
}

/// A fake AWS with a webhook that is switched off, and the function.
async fn one_off() -> (FakeAws, Hosted) {
    fanout(&[off_for(1)]).await
}

/// The rows that the function asked DynamoDB to put, repetitions included.
fn rows(aws: &FakeAws) -> Vec<DeliveryRow> {
    let row = |row: Value| serde_json::from_value(row).expect("it is a row of the log");
    aws.logged().into_iter().map(row).collect()
}

/// The numbers of the records whose rows DynamoDB was asked to put.
fn put(aws: &FakeAws) -> BTreeSet<usize> {
    let rows = rows(aws);
    (0..100).filter(|&it| rows.iter().any(|row| row.body.contains(&document_id(it)))).collect()
}

/// From now on, answers the puts of this record's rows with `reply`.
fn answer_put_of(aws: &FakeAws, number: usize, reply: Reply) {
    aws.on("PutItem", move |input, _| {
        input.to_string().contains(&document_id(number)).then(|| reply.clone())
    });
}

#[tokio::test]
async fn an_event_of_a_webhook_that_is_off_has_a_skipped_row_and_no_message() {
    let on = webhook(URL);
    let off = [
        off_for(29),
        off_with(json!({"disabled_reason": "gone"})),
        off_with(json!({"disabled_reason": "failing_too_long"})),
        // Rows of version 0.1.0 do not say when and why.
        webhook_with(URL, json!({"is_active": false, "updated_at": days_ago(1)})),
    ];
    let others = [
        on.clone(),
        off_with(json!({"events": ["document.processing.failed"]})),
        off_with(json!({"tenant_id": "770e8400-e29b-41d4-a716-000000000009"})),
        off_with(json!({"url": "not a URL"})),
    ];
    let webhooks = [&off[..], &others].concat();
    let (aws, fanout) = fanout(&webhooks).await;
    assert_eq!(dispatch(&fanout, &[job_change(0, "queued")]).await, [""; 0]);
    assert_eq!(webhooks_of(&aws.queued(DELIVERIES)), [id_of(&on)]);
    assert_eq!(aws.queued(FAULTS).len(), 1, "the corrupt webhook is parked");

    let rows = rows(&aws);
    let skipped: BTreeSet<_> = rows.iter().map(|row| row.summary.webhook.to_string()).collect();
    let expected = off.each_ref().map(|webhook| format!("{TENANT}/{}", id_of(webhook)));
    assert_eq!((rows.len(), skipped), (4, BTreeSet::from(expected)));
    for DeliveryRow { summary, attempts, ttl, .. } in rows {
        assert_eq!(
            (summary.status, summary.undelivered),
            (DeliveryStatus::Skipped, Some(summary.webhook))
        );
        assert_eq!((summary.chain, summary.attempt_count, summary.last_attempt), (1, 0, 0));
        assert_eq!(summary.last_error.as_deref(), Some("the webhook is switched off"));
        assert_eq!((attempts.len(), summary.next_attempt_at), (0, None));
        assert_eq!(summary.document_id.as_deref(), Some(document_id(0).as_str()));
        let completed = summary.completed_at.expect("nothing more happens on its own");
        assert_eq!(ttl - completed.unix_seconds(), 30 * 24 * 60 * 60);
    }
    for call in aws.calls_of("PutItem") {
        assert_eq!(call.input["ConditionExpression"], "attribute_not_exists(delivery_id)");
    }
}

#[tokio::test]
async fn an_event_of_a_webhook_that_needs_a_test_has_a_skipped_row_that_says_so() {
    let untested = webhook_with(URL, json!({"needs_test_since": days_ago(29)}));
    let for_too_long = webhook_with(URL, json!({"needs_test_since": days_ago(30)}));
    let (aws, fanout) = fanout(&[untested.clone(), for_too_long]).await;
    assert_eq!(dispatch(&fanout, &[job_change(0, "queued")]).await, [""; 0]);
    let rows = rows(&aws);
    let [DeliveryRow { summary, .. }] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(summary.webhook.webhook_id.to_string(), id_of(&untested));
    assert_eq!(summary.status, DeliveryStatus::Skipped);
    let reason = "the webhook needs a successful test first";
    assert_eq!(summary.last_error.as_deref(), Some(reason));
    assert_eq!((aws.queued(DELIVERIES).len(), aws.queued(FAULTS).len()), (0, 0));
}

#[tokio::test]
async fn a_skipped_row_has_the_exact_message_that_an_active_webhook_gets() {
    let off = off_for(1);
    let (aws, fanout) = fanout(std::slice::from_ref(&off)).await;
    dispatch(&fanout, &ten_uploads()).await;
    let mut on = off;
    on["is_active"] = json!(true);
    aws.replace_webhooks([&on]);
    dispatch(&fanout, &ten_uploads()).await;

    let sent: BTreeSet<_> = aws.queued(DELIVERIES).into_iter().map(|queued| queued.body).collect();
    let message = |row: &DeliveryRow| row.message().map(|it| it.to_json().expect("JSON"));
    let skipped: BTreeSet<_> = rows(&aws)
        .iter()
        .map(|row| String::from(message(row).expect("the row has its message")))
        .collect();
    assert_eq!((skipped.len(), skipped), (10, sent));
}

#[tokio::test]
async fn the_first_record_without_its_row_is_reported_and_those_before_it_are_logged() {
    for reply in [Reply::Broken, Reply::Refused("ProvisionedThroughputExceededException")] {
        let (aws, fanout) = fanout(&[off_for(1), webhook(URL)]).await;
        answer_put_of(&aws, 4, reply);
        assert_eq!(dispatch(&fanout, &ten_uploads()).await, [sequence_number(4)]);
        assert!(put(&aws).is_superset(&(0..4).collect()), "{:?}", put(&aws));
        assert_eq!(aws.queued(FAULTS).len(), 0);
        assert_contains(&fanout.finish().await, "cannot log a skipped delivery");
    }
}

#[tokio::test]
async fn a_table_that_throttles_once_is_asked_again() {
    let (aws, fanout) = one_off().await;
    aws.on("PutItem", |_, before| (before == 0).then_some(Reply::Refused("ThrottlingException")));
    assert_eq!(dispatch(&fanout, &ten_uploads()).await, [""; 0]);
    assert_eq!((put(&aws).len(), aws.calls_of("PutItem").len()), (10, 11));
}

#[tokio::test]
async fn a_record_whose_delivery_has_a_row_is_acknowledged() {
    let (aws, fanout) = one_off().await;
    aws.always("PutItem", Reply::ConditionFailed(json!({})));
    assert_eq!(dispatch(&fanout, &ten_uploads()).await, [""; 0]);
    assert_eq!((aws.calls_of("PutItem").len(), aws.queued(FAULTS).len()), (10, 0));
}

#[tokio::test]
async fn a_row_that_dynamodb_refuses_is_parked_with_its_message_and_the_others_are_logged() {
    let (aws, fanout) = one_off().await;
    answer_put_of(&aws, 5, Reply::Refused("ValidationException"));
    assert_eq!(dispatch(&fanout, &ten_uploads()).await, [""; 0]);
    assert_eq!(put(&aws).len(), 10);
    let faults = aws.queued(FAULTS);
    let (record, reason) = fault(&faults[0]);
    let parked: DeliveryMessage = serde_json::from_str(&record).expect("it is the whole message");
    assert!(parked.body.get().contains(&document_id(5)));
    assert_contains(&reason, "the delivery log refused the row: PutItem failed");
    assert_eq!((faults.len(), aws.queued(DELIVERIES).len()), (1, 0));
}

#[tokio::test]
async fn a_refused_row_that_cannot_be_parked_is_reported() {
    let (aws, fanout) = one_off().await;
    answer_put_of(&aws, 5, Reply::Refused("ValidationException"));
    aws.break_queue("SendMessageBatch", FAULTS);
    assert_eq!(dispatch(&fanout, &ten_uploads()).await, [sequence_number(5)]);
}

#[tokio::test]
async fn skipped_deliveries_count_in_a_wave_and_the_first_failure_ends_the_batch() {
    let (aws, fanout) = fanout(&[off_for(1), off_for(1)]).await;
    answer_put_of(&aws, 49, Reply::Broken);
    let records: Vec<_> = (0..60).map(|number| job_change(number, "queued")).collect();
    assert_eq!(dispatch(&fanout, &records).await, [sequence_number(49)]);
    // A wave has 100 deliveries: two of each of the first 50 records.
    assert_eq!(put(&aws), (0..50).collect());
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_not_asked_for_the_rest_of_the_batch() {
    let (aws, fanout) = one_off().await;
    aws.always("PutItem", Reply::Late);
    let records: Vec<_> = (0..60).map(|number| job_change(number, "queued")).collect();
    assert_eq!(dispatch(&fanout, &records).await, [sequence_number(0)]);
    // Ten rows at a time, each tried three times.
    let calls = aws.calls_of("PutItem").len();
    assert!((1..=30).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn nothing_is_logged_and_everything_is_reported_when_too_little_time_is_left() {
    let (aws, fanout) = one_off().await;
    let (time, batch) = (Duration::from_secs(3), json!({"Records": ten_uploads()}));
    assert_eq!(fanout.report_within(time, batch).await, [sequence_number(0)]);
    assert_eq!(aws.calls_of("PutItem").len(), 0);
}

#[tokio::test]
async fn no_write_begins_after_the_time_for_it_and_the_rest_is_reported() {
    let (aws, fanout) = one_off().await;
    // Ten writes at a time take 10 × 200 ms, and only about a second is left for the first ones.
    aws.answer_after(Duration::from_millis(200));
    let records: Vec<_> = (0..99).map(|number| job_change(number, "queued")).collect();
    let time = Duration::from_secs(5);
    let reported = fanout.report_within(time, json!({"Records": records})).await;
    let written = put(&aws).len();
    assert!(written < 99 && reported.len() == 1, "{written} rows, {reported:?}");
    let first: usize = (0..99).find(|&it| sequence_number(it) == reported[0]).expect("a record");
    assert!(put(&aws).is_superset(&(0..first).collect()), "{first}: {:?}", put(&aws));
}

#[tokio::test]
async fn after_the_limit_of_days_nothing_is_written() {
    let old_row = webhook_with(URL, json!({"is_active": false, "updated_at": days_ago(31)}));
    for (days, webhook) in [("30", off_for(31)), ("30", old_row), ("0", off_for(0))] {
        let aws = FakeAws::with_webhooks([&webhook]).await;
        let own = [("SKIPPED_EVENT_DAYS", days), ("LOG_LEVEL", "DEBUG")];
        let fanout = Hosted::start("fanout", &aws.environment_with(&own)).await;
        assert_eq!(dispatch(&fanout, &ten_uploads()).await, [""; 0]);
        let operations: Vec<_> = aws.calls().into_iter().map(|call| call.operation).collect();
        assert_eq!(operations, ["Query"]);
        assert_contains(&fanout.finish().await, r#""skipped":0,"dropped":10"#);
    }
}

#[tokio::test]
async fn skipped_rows_sort_by_the_time_of_their_records() {
    let (aws, fanout) = one_off().await;
    let mut records = ten_uploads();
    for (record, second) in records.iter_mut().zip(0_u32..) {
        let time = 1_764_757_847.0 + f64::from(second);
        record["dynamodb"]["ApproximateCreationDateTime"] = json!(time);
    }
    dispatch(&fanout, &records).await;
    let mut rows = rows(&aws);
    rows.sort_by_key(|row| row.summary.delivery_id);
    let documents: Vec<_> = rows.into_iter().filter_map(|row| row.summary.document_id).collect();
    assert_eq!(documents, (0..10).map(document_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_skipped_event_costs_one_write_of_its_row_and_one_of_its_index_entry() {
    let (aws, fanout) = one_off().await;
    dispatch(&fanout, &ten_uploads()).await;
    let Requests { calls, units, .. } = aws.take_usage().of(Operation::PutItem);
    assert_eq!((calls, units), (10, 20));
}

#[tokio::test]
async fn a_record_that_is_read_twice_puts_the_same_row() {
    let (aws, fanout) = one_off().await;
    for _ in 0..2 {
        dispatch(&fanout, &ten_uploads()).await;
    }
    let ids: Vec<_> = rows(&aws).into_iter().map(|row| row.summary.delivery_id).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (20, 10));
}
