//! Deliveries interrupted by the invocation's deadline.

use std::time::Duration;

use harness::fixtures::{
    TENANT, delivery_id, first_receives, id_of, message, webhook, webhook_with,
};
use harness::{Act, Receiver, Reply, status};
use serde_json::{Value, json};

use super::sender;

/// Just enough time for an attempt of 10 s and one AWS call of 3 s.
const TIME_LIMIT: Duration = Duration::from_millis(14_500);

#[tokio::test]
async fn a_delivery_interrupted_by_the_deadline_is_reported_and_named_in_the_log() {
    let hanging = Receiver::start(vec![Act::Wait(Duration::from_secs(30))]).await;
    let good = Receiver::start(status(200)).await;
    let hook = webhook_with(&hanging.url(), json!({"retry_enabled": false}));
    let hooks = [hook, webhook(&good.url())];
    let (aws, sender) = sender(&hooks).await;
    // Sending the dead letter takes the remaining time; hiding the message would take more.
    aws.always("SendMessage", Reply::Late);
    aws.always("ChangeMessageVisibility", Reply::Late);
    let batch = first_receives(&[message(&hooks[0], 1), message(&hooks[1], 2)]);
    assert_eq!(sender.report_within(TIME_LIMIT, batch).await, ["m0"]);
    assert_eq!((hanging.arrivals().len(), good.arrivals().len()), (1, 1));
    let logged: Vec<_> = aws
        .logged()
        .iter()
        .map(|row| [&row["delivery_id"], &row["status"]].map(Value::clone))
        .collect();
    assert_eq!(
        logged,
        [[json!(delivery_id(2)), json!("delivered")]],
        "the other delivery is logged"
    );

    let log = sender.finish().await;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut lines = lines.map(|line| line["fields"].clone());
    let sentence = "message handling interrupted; the queue will deliver the message again";
    let line = lines.find(|line| line["message"] == sentence).expect("there is a line");
    let expected = json!({
        "message.id": "m0",
        "delivery.id": delivery_id(1),
        "webhook.id": id_of(&hooks[0]),
        "tenant.id": TENANT,
        "event.name": "document.processing.completed",
        "attempt.number": 1,
        "reason": "the invocation's deadline was reached",
    });
    for (field, value) in expected.as_object().expect("it is an object") {
        assert_eq!(&line[field], value, "{field}");
    }
}
