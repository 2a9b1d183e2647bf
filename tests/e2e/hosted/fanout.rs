//! Fanout when calls to the queue or the table fail, and when a record cannot be read.

use std::collections::BTreeSet;

mod jobs;
mod skipped;

use harness::fixtures::{
    DELIVERIES, FAULTS, TENANT, id_of, job_change, job_change_with, rows, sequence_number, webhook,
    webhook_with,
};
use harness::{FakeAws, Hosted, Queued, Reply, assert_contains, sent_but};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryMessage;

const URL: &str = "https://example.com/webhooks/docintell";
const OTHER_TENANT: &str = "770e8400-e29b-41d4-a716-000000000009";

/// A fake AWS with one webhook, and the function.
pub(super) async fn one_webhook() -> (FakeAws, Hosted) {
    fanout(&[webhook(URL)]).await
}

/// A fake AWS with these webhooks, and the function.
async fn fanout(webhooks: &[Value]) -> (FakeAws, Hosted) {
    let aws = FakeAws::with_webhooks(webhooks).await;
    let fanout = Hosted::start("fanout", &aws.environment()).await;
    (aws, fanout)
}

/// Ten uploads, records 0 to 9.
pub(super) fn ten_uploads() -> Vec<Value> {
    (0..10).map(|number| job_change(number, "queued")).collect()
}

/// Invokes the function with these records. Returns the sequence numbers that it reports.
async fn dispatch(fanout: &Hosted, records: &[Value]) -> Vec<String> {
    fanout.report(json!({"Records": records})).await
}

/// The document id of record `number`, which only its own messages contain.
fn document_id(number: usize) -> String {
    format!("660e8400-e29b-41d4-a716-{number:012}")
}

/// The numbers of the records that these messages are about.
fn record_numbers(messages: &[Queued]) -> Vec<usize> {
    (0..100)
        .filter(|&it| messages.iter().any(|queued| queued.body.contains(&document_id(it))))
        .collect()
}

/// Parses a queued delivery message.
fn parse(queued: &Queued) -> DeliveryMessage {
    serde_json::from_str(&queued.body).expect("it is a delivery message")
}

/// The webhook id of each message.
fn webhooks_of(messages: &[Queued]) -> Vec<String> {
    messages.iter().map(|queued| parse(queued).webhook_config_id.to_string()).collect()
}

/// The parked record or message of a fault, and its reason.
fn fault(queued: &Queued) -> (String, String) {
    let body: Value = serde_json::from_str(&queued.body).expect("a fault is JSON");
    assert_eq!(body["source"], "fanout");
    assert_eq!(queued.attributes["source"], "fanout");
    assert_eq!(body["reason"], queued.attributes["reason"].as_str());
    let field = |name: &str| body[name].as_str().expect("it is text").to_owned();
    (field("record"), field("reason"))
}

#[tokio::test]
async fn entries_that_fail_once_are_sent_again_and_not_reported() {
    let (aws, fanout) = one_webhook().await;
    aws.on("SendMessageBatch", |input, before| {
        let is_refused =
            |body: &str| body.contains(&document_id(3)) || body.contains(&document_id(7));
        (before == 0).then(|| Reply::Body(sent_but(input, false, is_refused)))
    });
    assert_eq!(dispatch(&fanout, &ten_uploads()).await, [""; 0]);
    assert_eq!(aws.queued(DELIVERIES).len(), 10);
    let sizes: Vec<_> = entries_per_call(&aws);
    assert_eq!(sizes, [10, 2]);
}

fn entries_per_call(aws: &FakeAws) -> Vec<usize> {
    let entries = |input: &Value| input["Entries"].as_array().map_or(0, Vec::len);
    aws.calls_of("SendMessageBatch").iter().map(|call| entries(&call.input)).collect()
}

#[tokio::test]
async fn the_lowest_failed_record_is_reported_and_those_before_it_are_queued() {
    let (aws, fanout) = one_webhook().await;
    aws.on("SendMessageBatch", |input, _| {
        let is_refused =
            |body: &str| body.contains(&document_id(4)) || body.contains(&document_id(7));
        Some(Reply::Body(sent_but(input, false, is_refused)))
    });
    assert_eq!(dispatch(&fanout, &ten_uploads()).await, [sequence_number(4)]);
    assert_eq!(record_numbers(&aws.queued(DELIVERIES))[..4], [0, 1, 2, 3]);
    assert_eq!(aws.queued(FAULTS).len(), 0);
}

#[tokio::test]
async fn a_batch_that_fails_entirely_is_reported_from_its_first_record() {
    for reply in [Reply::Broken, Reply::Refused("RequestThrottled")] {
        let (aws, fanout) = one_webhook().await;
        aws.always("SendMessageBatch", reply);
        assert_eq!(dispatch(&fanout, &ten_uploads()).await, [sequence_number(0)]);
    }
}

#[tokio::test]
async fn an_entry_that_the_queue_refuses_is_parked_with_its_body_and_acknowledged() {
    let (aws, fanout) = one_webhook().await;
    aws.on("SendMessageBatch", |input, _| {
        let is_refused = |body: &str| body.contains(&document_id(5));
        (input["QueueUrl"] == DELIVERIES).then(|| Reply::Body(sent_but(input, true, is_refused)))
    });
    assert_eq!(dispatch(&fanout, &ten_uploads()).await, [""; 0]);
    assert_eq!(aws.queued(DELIVERIES).len(), 9);
    let (record, reason) = fault(&aws.queued(FAULTS)[0]);
    let parked: DeliveryMessage = serde_json::from_str(&record).expect("it is the whole message");
    assert!(parked.body.get().contains(&document_id(5)));
    assert!(reason.contains("the queue refused the message: InvalidMessageContents"), "{reason}");
}

#[tokio::test]
async fn a_poison_record_is_parked_with_its_reason_and_the_ten_others_are_queued() {
    let poisons = [
        (job_change_with(10, "completed", json!({"document_id": null})), "`document_id`"),
        (job_change_with(10, "queued", json!({"tenant_id": "acme"})), "not a UUID"),
        (job_change_with(10, "completed", json!({"ir_version": "x".repeat(70_000)})), "65536"),
        (job_change_with(10, "completed", json!({"status": null})), "`status`"),
        (json!({"eventID": "1", "dynamodb": {"SequenceNumber": "10"}}), "not a DynamoDB stream"),
    ];
    for (poison, reason) in poisons {
        let (aws, fanout) = one_webhook().await;
        let mut records = ten_uploads();
        records.insert(5, poison.clone());
        assert_eq!(dispatch(&fanout, &records).await, [""; 0]);
        assert_eq!(record_numbers(&aws.queued(DELIVERIES)), (0..10).collect::<Vec<_>>());
        let (record, parked_reason) = fault(&aws.queued(FAULTS)[0]);
        let is_whole = serde_json::from_str::<Value>(&record).is_ok_and(|record| record == poison);
        assert!(is_whole, "the record with {reason}");
        assert!(parked_reason.contains(reason), "{parked_reason}");
    }
}

#[tokio::test]
async fn a_poison_record_that_cannot_be_parked_is_reported() {
    let (aws, fanout) = one_webhook().await;
    aws.break_queue("SendMessageBatch", FAULTS);
    let mut records = ten_uploads();
    records.insert(5, job_change_with(77, "queued", json!({"tenant_id": "acme"})));
    assert_eq!(dispatch(&fanout, &records).await, [sequence_number(77)]);
    assert_eq!(record_numbers(&aws.queued(DELIVERIES))[..5], [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn the_tenants_first_record_is_reported_when_its_webhooks_cannot_be_read() {
    for reply in [Reply::Broken, Reply::Refused("ProvisionedThroughputExceededException")] {
        let (aws, fanout) = one_webhook().await;
        aws.on("Query", move |input, _| {
            let tenant = &input["ExpressionAttributeValues"][":tenant"]["S"];
            (tenant == OTHER_TENANT).then(|| reply.clone())
        });
        let mut records = ten_uploads();
        records[6] = job_change_with(6, "queued", json!({"tenant_id": OTHER_TENANT}));
        assert_eq!(dispatch(&fanout, &records).await, [sequence_number(6)]);
        assert_eq!(record_numbers(&aws.queued(DELIVERIES)), [0, 1, 2, 3, 4, 5]);
    }
}

#[tokio::test]
async fn a_record_that_is_read_twice_produces_identical_messages() {
    let aws = FakeAws::with_webhooks([&webhook(URL), &webhook(URL)]).await;
    for _ in 0..2 {
        let fanout = Hosted::start("fanout", &aws.environment()).await;
        dispatch(&fanout, &ten_uploads()).await;
    }
    let bodies: Vec<_> = aws.queued(DELIVERIES).into_iter().map(|queued| queued.body).collect();
    // Batches are sent concurrently and arrive in any order.
    let [first, second] = [&bodies[..20], &bodies[20..]].map(BTreeSet::from_iter);
    assert_eq!((bodies.len(), first.len()), (40, 20));
    assert_eq!(first.symmetric_difference(&second).collect::<Vec<_>>(), [&&""; 0]);
}

#[tokio::test]
async fn each_event_body_equals_the_guides_json() {
    const UPLOADED: &str = r#"{"event":"document.uploaded","timestamp":"2025-12-03T10:30:00Z","data":{"document_id":"660e8400-e29b-41d4-a716-446655440001","job_id":"550e8400-e29b-41d4-a716-446655440000","tenant_id":"770e8400-e29b-41d4-a716-446655440002","status":"queued"}}"#;
    const COMPLETED: &str = r#"{"event":"document.processing.completed","timestamp":"2025-12-03T10:30:47Z","data":{"document_id":"660e8400-e29b-41d4-a716-446655440001","job_id":"550e8400-e29b-41d4-a716-446655440000","tenant_id":"770e8400-e29b-41d4-a716-446655440002","status":"completed","processing_time_seconds":45.2,"page_count":12,"ir_version":"v001"}}"#;
    const FAILED: &str = r#"{"event":"document.processing.failed","timestamp":"2025-12-03T10:31:00Z","data":{"document_id":"660e8400-e29b-41d4-a716-446655440001","job_id":"550e8400-e29b-41d4-a716-446655440000","tenant_id":"770e8400-e29b-41d4-a716-446655440002","status":"failed","error_message":"File is corrupted or password protected"}}"#;
    let completed = json!({
        "updated_at": "2025-12-03T10:30:47Z",
        "processing_time_seconds": 45.2,
        "page_count": 12,
        "ir_version": "v001",
    });
    let failed = json!({
        "updated_at": "2025-12-03T10:31:00Z",
        "error_message": "File is corrupted or password protected",
    });
    let (aws, fanout) = one_webhook().await;
    let records = [
        job_change(446_655_440_001, "queued"),
        job_change(446_655_440_001, "pending"),
        job_change_with(446_655_440_001, "completed", completed),
        job_change_with(446_655_440_001, "failed", failed),
    ];
    dispatch(&fanout, &records).await;
    let messages: Vec<_> = aws.queued(DELIVERIES).iter().map(parse).collect();
    let bodies: Vec<_> = messages.iter().map(|message| message.body.get()).collect();
    assert_eq!(bodies, [UPLOADED, UPLOADED, COMPLETED, FAILED]);
}

#[tokio::test]
async fn only_the_tenants_active_subscribed_webhooks_get_a_message_in_its_group() {
    // As a later version stores a webhook for all events.
    let all = ["document.uploaded", "document.shredded"];
    let mut wanted = [
        webhook(URL),
        webhook_with(URL, json!({"events": ["document.uploaded"]})),
        webhook_with(URL, json!({"events": all, "all_events": all})),
    ];
    // The table returns them sorted by id.
    wanted.sort_by(|one, other| id_of(one).cmp(id_of(other)));
    let others = [
        webhook_with(URL, json!({"is_active": false})),
        webhook_with(URL, json!({"events": ["document.processing.failed"]})),
        webhook_with(URL, json!({"tenant_id": OTHER_TENANT})),
    ];
    let (aws, fanout) = fanout(&[&wanted[..], &others].concat()).await;
    dispatch(&fanout, &[job_change(0, "queued")]).await;
    let queued = aws.queued(DELIVERIES);
    assert_eq!(webhooks_of(&queued), wanted.each_ref().map(id_of));
    for queued in queued {
        assert_eq!(queued.group.as_deref(), Some(TENANT));
        assert_eq!(parse(&queued).tenant_id.to_string(), TENANT);
    }
}

#[tokio::test]
async fn a_corrupt_webhook_is_parked_and_the_others_get_their_messages() {
    for corruption in [
        json!({"url": "not a URL"}),
        json!({"events": ["document.shredded"]}),
        json!({"max_retries": "five"}),
        json!({"secret_version": null}),
    ] {
        let webhooks = [webhook(URL), webhook_with(URL, corruption), webhook(URL)];
        let (aws, fanout) = fanout(&webhooks).await;
        assert_eq!(dispatch(&fanout, &[job_change(0, "queued")]).await, [""; 0]);
        assert_eq!(aws.queued(DELIVERIES).len(), 2);
        let (record, reason) = fault(&aws.queued(FAULTS)[0]);
        assert!(record.contains(&document_id(0)), "{record}");
        assert!(reason.contains(id_of(&webhooks[1])), "{reason}");
    }
}

#[tokio::test]
async fn messages_are_sent_ten_at_a_time_and_the_webhooks_are_read_once() {
    let webhooks: Vec<_> = (0..3).map(|_| webhook(URL)).collect();
    let (aws, fanout) = fanout(&webhooks).await;
    dispatch(&fanout, &ten_uploads()).await;
    assert_eq!(entries_per_call(&aws), [10, 10, 10]);
    assert_eq!(aws.calls_of("Query").len(), 1);
    assert_eq!(aws.calls_of("Query")[0].input["ConsistentRead"], true);
}

#[tokio::test]
async fn a_tenants_webhooks_are_read_page_by_page() {
    let (first, second) = (webhook(URL), webhook(URL));
    let pages = [rows([&first]), rows([&second])];
    let (aws, fanout) = one_webhook().await;
    aws.on("Query", move |input, _| {
        let is_second = input["ExclusiveStartKey"].is_object();
        let mut page = json!({"Items": pages[usize::from(is_second)], "Count": 1});
        if !is_second {
            page["LastEvaluatedKey"] = json!({"tenant_id": {"S": TENANT}});
        }
        Some(Reply::Body(page))
    });
    dispatch(&fanout, &[job_change(0, "queued")]).await;
    assert_eq!(webhooks_of(&aws.queued(DELIVERIES)), [id_of(&first), id_of(&second)]);
}

#[tokio::test]
async fn a_batch_without_events_makes_no_aws_calls() {
    let (aws, fanout) = one_webhook().await;
    for records in [vec![], vec![job_change(0, "processing"), job_change(1, "archived")]] {
        assert_eq!(dispatch(&fanout, &records).await, [""; 0]);
    }
    assert_eq!(aws.calls().len(), 0);
}

#[tokio::test]
async fn a_payload_that_is_not_a_batch_fails_the_invocation() {
    let (aws, fanout) = one_webhook().await;
    let error = fanout.invoke(json!({"hello": "world"})).await.expect_err("it is not a batch");
    assert_eq!(error["errorMessage"], "the payload is not a batch of stream records");
    assert_eq!(aws.calls().len(), 0);
}

#[tokio::test]
async fn nothing_is_queued_and_everything_is_reported_when_too_little_time_is_left() {
    let (aws, fanout) = one_webhook().await;
    let time = std::time::Duration::from_secs(3);
    let reported = fanout.report_within(time, json!({"Records": ten_uploads()})).await;
    assert_eq!(reported, [sequence_number(0)]);
    assert_eq!(aws.queued(DELIVERIES).len(), 0);
}

#[tokio::test]
async fn a_function_without_a_required_variable_names_it_and_exits() {
    for function in ["fanout", "replay", "sender"] {
        let aws = FakeAws::with_webhooks([]).await;
        let mut environment = aws.environment();
        environment.retain(|(name, _)| *name != "DELIVERY_QUEUE_URL");
        let mut hosted = Hosted::start(function, &environment).await;
        let log = hosted.ended().await;
        let sentence = "environment variable DELIVERY_QUEUE_URL is not set";
        assert_contains(&log, sentence);
    }
}
