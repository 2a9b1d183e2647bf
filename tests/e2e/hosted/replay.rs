//! The replay function when calls fail, when another function has its slice, and when a message cannot be read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::fixtures::{
    BODY, DELIVERIES, FAULTS, REPLAY, REPLAYS, TENANT, WebhookKey, id_of, running_replay, webhook,
    webhook_with,
};
use harness::{FakeAws, Hosted, Reply, assert_contains, item, metric_lines, sent_but};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryMessage;
use webhooks::id::DeliveryId;
use webhooks::timestamp::Timestamp;

const URL: &str = "https://example.com/webhooks/docintell";

/// Rows in DynamoDB's format. Conditions always hold, unless a test refuses an update.
#[derive(Debug)]
struct Tables {
    replay: Value,
    deliveries: Vec<Value>,
    /// Updates of the replay whose condition does not hold, by a text in their update expression.
    refused: Option<&'static str>,
}

struct Fake {
    aws: FakeAws,
    function: Hosted,
    tables: Arc<Mutex<Tables>>,
    webhook: Value,
}

impl Fake {
    /// A running replay of `count` failed deliveries.
    async fn of(count: u64) -> Self {
        Self::with(count, webhook(URL), json!({})).await
    }

    async fn with(count: u64, webhook: Value, fields: Value) -> Self {
        let aws = FakeAws::with_webhooks([&webhook]).await;
        let partition = format!("{TENANT}/{}", id_of(&webhook));
        let key = WebhookKey {
            tenant: TENANT.parse().expect("it is an id"),
            webhook: id_of(&webhook).parse().expect("it is an id"),
        };
        let mut replay = running_replay(key, 50);
        replay["filter"]["since"] = "2025-12-03T10:00:00Z".into();
        replay["filter"]["until"] = "2025-12-03T11:00:00Z".into();
        replay["counted"] = count.into();
        for (name, value) in fields.as_object().expect("fields are an object") {
            replay[name] = value.clone();
        }
        let tables = Arc::new(Mutex::new(Tables {
            replay: item(&replay),
            deliveries: (0..count).map(|number| delivery(&partition, number)).collect(),
            refused: None,
        }));
        let shared = |answer: fn(&mut Tables, &Value) -> Option<Reply>| {
            let tables = Arc::clone(&tables);
            move |input: &Value, _| {
                answer(&mut tables.lock().unwrap_or_else(PoisonError::into_inner), input)
            }
        };
        aws.on("GetItem", shared(Tables::get));
        aws.on("Query", shared(Tables::query));
        aws.on("UpdateItem", shared(Tables::update));
        let function = Hosted::start("replay", &aws.environment()).await;
        Self { aws, function, tables, webhook }
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Invokes the function with the message of `slice`. Returns the ids that it reports.
    async fn drive(&self, slice: u32) -> Vec<String> {
        self.report(&self.message(slice).to_string()).await
    }

    fn message(&self, slice: u32) -> Value {
        json!({"v": 1, "tenant_id": TENANT, "webhook_config_id": id_of(&self.webhook),
            "replay_id": REPLAY, "slice": slice})
    }

    async fn report(&self, body: &str) -> Vec<String> {
        self.function.report(harness::fixtures::batch([(body, 1)])).await
    }

    /// An attribute of the replay's row: a string or a number as text.
    fn replay(&self, name: &str) -> Option<String> {
        let value = self.tables().replay[name].clone();
        value["S"].as_str().or(value["N"].as_str()).map(str::to_owned)
    }

    /// The numbers of the queued deliveries.
    fn queued(&self) -> Vec<u64> {
        let parse = |body: &str| serde_json::from_str(body).expect("it is a delivery message");
        let messages = self.aws.queued(DELIVERIES).into_iter();
        messages.map(|it| number_of(parse(&it.body))).collect()
    }

    /// The slices whose messages are queued.
    fn next(&self) -> Vec<Value> {
        let parse = |body: &str| serde_json::from_str(body).expect("it is JSON");
        self.aws.queued(REPLAYS).iter().map(|it| parse(&it.body)).collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it maps parsed messages")]
fn number_of(message: DeliveryMessage) -> u64 {
    assert_eq!(message.body.get(), BODY);
    assert_eq!((message.chain, message.attempts_before), (2, 0));
    (message.delivery_id.created_at().unix_millis() - first().unix_millis()) / 1000
}

fn first() -> Timestamp {
    Timestamp::parse("2025-12-03T10:00:00Z").expect("it is a time")
}

fn delivery_id(number: u64) -> String {
    DeliveryId::first_at(first().plus(Duration::from_secs(number))).to_string()
}

fn delivery(partition: &str, number: u64) -> Value {
    item(&json!({
        "webhook": partition,
        "delivery_id": delivery_id(number),
        "undelivered": partition,
        "event": "document.uploaded",
        "event_id": "019ae3c0-0000-7000-9000-000000000001",
        "status": "failed",
        "chain": 1,
        "attempt_count": 5,
        "last_attempt": 5,
        "completed_at": "2025-12-03T10:30:00Z",
        "occurred_at": "2025-12-03T10:00:00Z",
        "body": BODY,
        "attempts": [],
        "ttl": 4_000_000_000_u64,
    }))
}

impl Tables {
    fn row(&mut self, key: &Value) -> &mut Value {
        let id = key["delivery_id"].clone();
        let delivery = self.deliveries.iter_mut().find(|row| row["delivery_id"] == id);
        delivery.unwrap_or(&mut self.replay)
    }

    fn get(&mut self, input: &Value) -> Option<Reply> {
        if input["TableName"] == "WebhookConfigs" {
            return None;
        }
        Some(Reply::Body(json!({"Item": self.row(&input["Key"])})))
    }

    /// Deliveries between the bounds, at most the limit.
    fn query(&mut self, input: &Value) -> Option<Reply> {
        assert_eq!(input["IndexName"], "undelivered-index");
        let text = |value: &Value| value["S"].as_str().unwrap_or_default().to_owned();
        let values = &input["ExpressionAttributeValues"];
        let (lowest, highest) = (text(&values[":lowest"]), text(&values[":highest"]));
        let rows = self.deliveries.iter().filter(|row| {
            let id = text(&row["delivery_id"]);
            lowest <= id && id <= highest && row.get("undelivered").is_some()
        });
        let limit = usize::try_from(input["Limit"].as_u64()?).ok()?;
        let rows: Vec<_> = rows.take(limit).collect();
        let mut answer = json!({"Items": rows, "Count": rows.len()});
        if rows.len() == limit {
            answer["LastEvaluatedKey"] = json!({"delivery_id": rows[limit - 1]["delivery_id"]});
        }
        Some(Reply::Body(answer))
    }

    fn update(&mut self, input: &Value) -> Option<Reply> {
        let expression = input["UpdateExpression"].as_str()?;
        let is_replay = input["TableName"] == "Replays";
        if is_replay && self.refused.is_some_and(|part| expression.contains(part)) {
            return Some(Reply::ConditionFailed(self.replay.clone()));
        }
        let name = |alias: &str| {
            input["ExpressionAttributeNames"][alias].as_str().unwrap_or(alias).to_owned()
        };
        let (set, remove) = expression.split_once(" REMOVE ").unwrap_or((expression, ""));
        let row = self.row(&input["Key"]);
        for assignment in set.trim_start_matches("SET ").split(", ") {
            let (attribute, value) = assignment.split_once(" = ")?;
            row[name(attribute)] = input["ExpressionAttributeValues"][value].clone();
        }
        for attribute in remove.split(", ") {
            row.as_object_mut()?.remove(&name(attribute));
        }
        Some(Reply::Body(json!({"Attributes": row})))
    }
}

#[tokio::test]
async fn a_slice_sends_every_delivery_in_batches_of_ten_and_completes_the_replay() {
    let fake = Fake::of(25).await;
    assert_eq!(fake.drive(1).await, [""; 0]);
    assert_eq!(fake.queued(), (0..25).collect::<Vec<_>>());
    let groups: Vec<_> = fake.aws.queued(DELIVERIES).into_iter().map(|it| it.group).collect();
    assert!(groups.iter().all(|group| group.as_deref() == Some(TENANT)));
    assert_eq!(fake.aws.calls_of("SendMessageBatch").len(), 3);
    assert_eq!(fake.replay("state").as_deref(), Some("completed"));
    assert_eq!(
        (fake.replay("sent").as_deref(), fake.replay("slice").as_deref()),
        (Some("25"), Some("2"))
    );
    assert_eq!((fake.replay("claimed_by"), fake.next()), (None, vec![]));
    for row in &fake.tables().deliveries {
        assert_eq!((&row["chain"]["N"], &row["replay_id"]["S"]), (&json!("2"), &json!(REPLAY)));
    }
}

#[tokio::test]
async fn a_slice_ends_in_time_and_queues_the_next_one() {
    let fake = Fake::with(30, webhook(URL), json!({"rate_per_second": 2})).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(fake.drive(1).await, [""; 0]);
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
    let sent = fake.queued().len();
    assert!((1..=24).contains(&sent), "two a second: {sent}");
    assert_eq!(fake.next(), [fake.message(2)]);
    assert_eq!(fake.replay("state").as_deref(), Some("running"));
    assert_eq!(fake.replay("sent"), Some(sent.to_string()));

    assert_eq!(fake.drive(1).await, [""; 0]);
    assert_eq!(fake.next(), [fake.message(2), fake.message(2)], "its message may be lost");
    assert_eq!(fake.queued().len(), sent);
}

#[tokio::test]
async fn the_cursor_stays_before_a_delivery_that_the_queue_does_not_take() {
    let fake = Fake::of(20).await;
    let refuse = |input: &Value, id: &str| {
        let is_refused = |body: &str| body.contains(id);
        (input["QueueUrl"] == DELIVERIES).then(|| Reply::Body(sent_but(input, false, is_refused)))
    };
    let fifth = delivery_id(4);
    fake.aws.on("SendMessageBatch", move |input, _| refuse(input, &fifth));
    assert_eq!(fake.drive(1).await, ["m0"], "the message comes back");
    assert_eq!(fake.replay("cursor"), Some(delivery_id(3)));
    assert_eq!(fake.replay("sent").as_deref(), Some("4"));
    assert_eq!((fake.replay("slice").as_deref(), fake.replay("claimed_by")), (Some("1"), None));
    assert_eq!(fake.next(), [json!(null); 0]);

    fake.aws.on("SendMessageBatch", |_, _| None);
    assert_eq!(fake.drive(1).await, [""; 0]);
    let mut queued = fake.queued();
    queued.sort_unstable();
    queued.dedup();
    assert_eq!(queued, (0..20).collect::<Vec<_>>());
    assert_eq!(fake.replay("sent").as_deref(), Some("20"), "each is counted once");
    let metrics = metric_lines(&fake.function.finish().await);
    let interrupted = json!({"Replayed": 4, "SlicesInterrupted": 1});
    assert_eq!(metrics, [interrupted, json!({"Replayed": 16})]);
}

#[tokio::test]
async fn a_delivery_that_the_queue_will_never_take_fails_and_the_others_are_sent() {
    let fake = Fake::of(12).await;
    let fifth = delivery_id(4);
    fake.aws.on("SendMessageBatch", move |input, _| {
        let is_refused = |body: &str| body.contains(&fifth);
        (input["QueueUrl"] == DELIVERIES).then(|| Reply::Body(sent_but(input, true, is_refused)))
    });
    assert_eq!(fake.drive(1).await, [""; 0]);
    assert_eq!(fake.queued().len(), 11);
    assert_eq!(fake.replay("state").as_deref(), Some("completed"));
    assert_eq!(fake.replay("sent").as_deref(), Some("11"));
    let row = fake.tables().deliveries[4].clone();
    assert_eq!(row["status"]["S"], "failed");
    assert_eq!(row["last_error"]["S"], "the delivery could not be queued");
}

#[tokio::test]
async fn a_repeated_slice_queues_only_what_may_not_be_queued() {
    let fake = Fake::of(4).await;
    {
        let mut tables = fake.tables();
        let started = |row: &mut Value, status: &str, attempts: &str| {
            row["replay_id"] = json!({"S": REPLAY});
            row["chain"] = json!({"N": "2"});
            row["status"] = json!({"S": status});
            row["last_attempt"] = json!({"N": attempts});
        };
        started(&mut tables.deliveries[0], "pending", "0");
        started(&mut tables.deliveries[1], "pending", "1");
        started(&mut tables.deliveries[2], "failed", "5");
    }
    assert_eq!(fake.drive(1).await, [""; 0]);
    assert_eq!(fake.queued(), [0, 3]);
    assert_eq!(fake.replay("sent").as_deref(), Some("4"), "those that were sent are counted");
}

#[tokio::test]
async fn a_slice_that_another_function_holds_is_left_alone_for_a_minute() {
    let claim = |seconds: u64| {
        let at = Timestamp::from_unix_millis(Timestamp::now().unix_millis() - seconds * 1000);
        json!({"claimed_by": "019ae3c0-0000-4000-8000-000000000001", "claimed_at": at})
    };
    let fake = Fake::with(1, webhook(URL), claim(50)).await;
    assert_eq!(fake.drive(1).await, ["m0"]);
    assert_eq!((fake.aws.calls_of("UpdateItem").len(), fake.queued().len()), (0, 0));
    let fake = Fake::with(1, webhook(URL), claim(61)).await;
    assert_eq!(fake.drive(1).await, [""; 0]);
    assert_eq!(fake.queued(), [0]);
}

#[tokio::test]
async fn a_function_that_loses_its_claim_stops_and_a_lost_race_waits() {
    let fake = Fake::with(30, webhook(URL), json!({"rate_per_second": 5})).await;
    fake.tables().refused = Some("#sent");
    assert_eq!(fake.drive(1).await, [""; 0]);
    assert!(fake.queued().len() < 15, "{:?}", fake.queued());
    assert_eq!(fake.next(), [json!(null); 0], "whoever took over goes on");
    let fake = Fake::of(3).await;
    fake.tables().refused = Some("#claimed_by = :claimed_by");
    assert_eq!(fake.drive(1).await, ["m0"]);
    assert_eq!(fake.queued().len(), 0);
}

#[tokio::test]
async fn messages_of_a_replay_that_has_ended_are_acknowledged() {
    for state in ["paused", "cancelled", "completed", "failed"] {
        let fake = Fake::with(3, webhook(URL), json!({"state": state})).await;
        assert_eq!(fake.drive(1).await, [""; 0], "{state}");
        assert_eq!((fake.aws.calls_of("UpdateItem").len(), fake.queued().len()), (0, 0));
    }
}

#[tokio::test]
async fn a_webhook_that_is_off_or_untested_cancels_the_replay_before_anything_is_sent() {
    for (fields, reason) in [
        (json!({"is_active": false}), "the webhook is switched off"),
        (
            json!({"needs_test_since": "2025-12-03T10:00:00Z"}),
            "the webhook needs a successful test first",
        ),
    ] {
        let fake = Fake::with(3, webhook_with(URL, fields), json!({})).await;
        assert_eq!(fake.drive(1).await, [""; 0]);
        assert_eq!(fake.replay("state").as_deref(), Some("cancelled"));
        assert_eq!(fake.replay("reason").as_deref(), Some(reason));
        assert_eq!((fake.queued().len(), fake.next().len()), (0, 0));
    }
}

#[tokio::test]
async fn a_message_is_kept_while_aws_fails_and_the_claim_is_given_up() {
    for operation in ["GetItem", "Query", "UpdateItem", "SendMessageBatch"] {
        let fake = Fake::of(3).await;
        fake.aws.always(operation, Reply::Broken);
        assert_eq!(fake.drive(1).await, ["m0"], "{operation}");
        assert_eq!((fake.replay("claimed_by"), fake.next().len()), (None, 0), "{operation}");
        assert_eq!(fake.replay("sent").as_deref(), Some("0"), "{operation}");
    }
}

#[tokio::test]
async fn a_message_is_kept_if_the_next_one_cannot_be_queued() {
    let fake = Fake::with(1, webhook(URL), json!({"slice": 2})).await;
    fake.aws.always("SendMessage", Reply::Broken);
    assert_eq!(fake.drive(1).await, ["m0"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_parked_with_its_reason() {
    let fake = Fake::of(1).await;
    for body in ["{}", "no JSON", r#"{"v":2}"#] {
        assert_eq!(fake.report(body).await, [""; 0], "{body}");
        let parked = fake.aws.take_queued(FAULTS).remove(0);
        let fault: Value = serde_json::from_str(&parked.body).expect("a fault is JSON");
        assert_eq!((&fault["source"], &fault["record"]), (&json!("replay"), &json!(body)));
        assert_contains(fault["reason"].as_str().expect("it is text"), "not a replay message");
        assert_eq!(
            (parked.attributes["source"].as_str(), &fault["message_id"]),
            ("replay", &json!("m0"))
        );
    }
    fake.aws.break_queue("SendMessage", FAULTS);
    assert_eq!(fake.report("{}").await, ["m0"], "it comes back");
    assert_eq!(fake.queued().len(), 0);
}

#[tokio::test]
async fn a_delivery_whose_row_changed_since_it_was_listed_is_left_out() {
    let fake = Fake::of(3).await;
    let id = delivery_id(1);
    let tables = Arc::clone(&fake.tables);
    fake.aws.on("UpdateItem", move |input, _| {
        let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        if input["Key"]["delivery_id"]["S"] == id {
            tables.deliveries[1]["status"] = json!({"S": "delivered"});
            return Some(Reply::ConditionFailed(json!({})));
        }
        tables.update(input)
    });
    assert_eq!(fake.drive(1).await, [""; 0]);
    assert_eq!(fake.queued(), [0, 2]);
    assert_eq!(fake.replay("sent").as_deref(), Some("2"));
}
