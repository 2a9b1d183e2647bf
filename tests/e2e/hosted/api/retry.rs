//! Retries of a delivery when the log or the queue fails.

use harness::fixtures::{BODY, DELIVERIES, TENANT, webhook_with};
use harness::{FakeAws, Hosted, Reply, item};
use serde_json::{Value, json};

use super::{api, lines, sample, send};

const RETRY: &str = include_str!("../../../../events/api-retry.json");
const WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";
const DELIVERY: &str = "019ae3c3-0440-7000-8000-000000000000";

/// The row of the sample's delivery with these fields, in DynamoDB's format.
fn row(fields: &[(&str, Value)]) -> Value {
    let webhook = format!("{TENANT}/{WEBHOOK}");
    let mut row = json!({
        "webhook": webhook,
        "undelivered": webhook,
        "delivery_id": DELIVERY,
        "event_id": "019ae3c3-0440-7f00-8a11-0f1e2d3c4b5a",
        "event": "document.uploaded",
        "status": "failed",
        "chain": 1,
        "attempt_count": 1,
        "last_attempt": 1,
        "last_error": "the endpoint answered 500",
        "occurred_at": "2025-12-03T10:30:00Z",
        "body": BODY,
        "attempts": [],
        "ttl": 1_900_000_000,
    });
    for (name, value) in fields {
        row[*name] = value.clone();
    }
    item(&row)
}

fn started(claim: &str) -> Value {
    row(&[
        ("status", json!("pending")),
        ("chain", json!(2)),
        ("last_attempt", json!(0)),
        ("next_attempt_at", json!("2099-12-03T10:30:00Z")),
        ("claim", json!(claim)),
    ])
}

fn is_of_the_log(input: &Value) -> bool {
    input["Key"]["delivery_id"].is_object()
}

/// The function, and a log with the sample's delivery, which has failed. `update` answers the log's updates; it takes the
/// request and the number of earlier ones.
async fn failed(
    update: impl Fn(&Value, usize) -> Option<Reply> + Send + 'static,
) -> (FakeAws, Hosted) {
    let (aws, api) = api().await;
    let id = json!({"webhook_config_id": WEBHOOK});
    aws.put_webhook(item(&webhook_with("https://hooks.invalid/", id)));
    aws.on("GetItem", |input, _| {
        is_of_the_log(input).then(|| Reply::Body(json!({"Item": row(&[])})))
    });
    // Each request first counts a change of the tenant.
    aws.on(
        "UpdateItem",
        move |input, before| {
            if is_of_the_log(input) { update(input, before - 1) } else { None }
        },
    );
    (aws, api)
}

/// The mark that an update puts into the row to recognise its own chain.
fn claim(input: &Value) -> &str {
    input["ExpressionAttributeValues"][":claim"]["S"].as_str().unwrap_or_default()
}

/// Every chain is started.
fn start(input: &Value, _before: usize) -> Option<Reply> {
    let attributes = started(claim(input));
    input["ExpressionAttributeValues"][":claim"]
        .is_object()
        .then(|| Reply::Body(json!({"Attributes": attributes})))
}

/// The values of each update of the log.
fn updates(aws: &FakeAws) -> Vec<Value> {
    let updates = aws.calls_of("UpdateItem").into_iter().map(|call| call.input);
    let values = |input: Value| input["ExpressionAttributeValues"].clone();
    updates.filter(is_of_the_log).map(values).collect()
}

#[tokio::test]
async fn a_retry_queues_the_rows_message_as_the_next_chain() {
    let (aws, api) = failed(start).await;
    let response = send(&api, sample(RETRY)).await;
    assert_eq!(response["statusCode"], 202, "{response}");
    assert_eq!(response["body"]["status"], "pending");
    let queued = aws.queued(DELIVERIES);
    let [message] = queued.as_slice() else { panic!("{queued:?}") };
    assert_eq!((message.group.as_deref(), message.delay), (Some(TENANT), None));
    let text = &message.body;
    assert!(text.ends_with(&format!("\"body\":{BODY}}}")), "{text}");
    let body: Value = serde_json::from_str(text).expect("it is JSON");
    assert_eq!((&body["chain"], &body["attempts_before"]), (&json!(2), &json!(0)));
    assert_eq!(body["delivery_id"], DELIVERY);
    let line = lines(&api.finish().await, "delivery queued again").remove(0);
    assert_eq!(line["fields"]["delivery.id"], DELIVERY);
    for (name, field) in [
        ("webhook.id", "webhook_config_id"),
        ("tenant.id", "tenant_id"),
        ("event.id", "event_id"),
        ("delivery.chain", "chain"),
    ] {
        assert_eq!(line["fields"][name], body[field], "{name}");
    }
}

#[tokio::test]
async fn a_chain_whose_message_the_queue_refuses_is_failed_and_can_be_retried() {
    for reply in [Reply::Broken, Reply::Refused("InvalidMessageContents")] {
        let (aws, api) = failed(start).await;
        aws.always("SendMessage", reply);
        let response = send(&api, sample(RETRY)).await;
        assert_eq!(response["statusCode"], 503, "{response}");
        assert_eq!(response["body"]["error"], "service_unavailable");
        let updates = updates(&aws);
        let [start, end] = updates.as_slice() else { panic!("{updates:?}") };
        assert_eq!(start[":chain"], json!({"N": "2"}));
        assert_eq!(end[":chain"], json!({"N": "2"}));
        assert_eq!(end[":status"], json!({"S": "failed"}));
        assert_eq!(end[":last_error"], json!({"S": "the delivery could not be queued"}));

        aws.on("SendMessage", |_, _| None);
        assert_eq!(send(&api, sample(RETRY)).await["statusCode"], 202);
        assert_eq!(aws.queued(DELIVERIES).len(), 1);
    }
}

#[tokio::test]
async fn a_chain_that_cannot_be_failed_is_logged() {
    let (aws, api) = failed(
        |input, before| {
            if before == 0 { start(input, before) } else { Some(Reply::Broken) }
        },
    )
    .await;
    aws.always("SendMessage", Reply::Broken);
    assert_eq!(send(&api, sample(RETRY)).await["statusCode"], 503);
    let log = api.finish().await;
    let line = lines(&log, "a chain of attempts without a message stays pending for 15 minutes");
    assert_eq!(line[0]["fields"]["delivery.id"], DELIVERY);
}

#[tokio::test]
async fn a_log_that_fails_is_a_503_and_nothing_is_queued() {
    let (aws, api) = failed(|_, _| Some(Reply::Broken)).await;
    assert_eq!(send(&api, sample(RETRY)).await["statusCode"], 503);
    aws.on("GetItem", |input, _| is_of_the_log(input).then_some(Reply::Broken));
    assert_eq!(send(&api, sample(RETRY)).await["statusCode"], 503);
    assert!(aws.calls_of("SendMessage").is_empty());
}

#[tokio::test]
async fn a_chain_is_started_even_if_the_answer_to_its_first_update_is_lost() {
    let (aws, api) = failed(|input, before| {
        let row = started(claim(input));
        Some(if before == 0 { Reply::Broken } else { Reply::ConditionFailed(row) })
    })
    .await;
    let response = send(&api, sample(RETRY)).await;
    assert_eq!(response["statusCode"], 202, "{response}");
    assert_eq!(aws.queued(DELIVERIES).len(), 1);
}

#[tokio::test]
async fn a_chain_that_another_request_has_started_is_a_409() {
    let (aws, api) = failed(|_, _| Some(Reply::ConditionFailed(started("of another")))).await;
    let response = send(&api, sample(RETRY)).await;
    assert_eq!(
        (&response["statusCode"], &response["body"]["error"]),
        (&json!(409), &json!("delivery_pending"))
    );
    assert!(aws.calls_of("SendMessage").is_empty());
}
