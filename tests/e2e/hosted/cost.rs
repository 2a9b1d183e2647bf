//! How often the functions ask AWS for a delivery.
//!
//! The rule: requests are counted and nothing is timed, so that the figures are the same on every machine.

use harness::fixtures::{
    DELIVERIES, Message, NOTHING_FAILED, WebhookKey, batch_of, numbered_job_changes,
};
use harness::{FakeAws, Function, Operation, Program, Receiver, bootstrap, place, status};

/// Two full batches of the stream, or twenty of the queue.
const COUNT: usize = 200;
const STREAM_BATCH: usize = 100;
const QUEUE_BATCH: usize = 10;

/// Calls and units of each operation for 200 deliveries to a tenant's webhooks, from the job to the log.
async fn used(webhooks: usize) -> Vec<(Operation, u64, u64)> {
    let _place = place().await;
    let (aws, receiver) = (FakeAws::start().await, Receiver::counting(status(200), None).await);
    aws.charge();
    aws.record();
    let keys = WebhookKey::several(webhooks);
    for key in &keys {
        aws.put_webhook(key.row(&receiver.url()));
    }
    let start = async |name| {
        let program = Program::new(bootstrap(name).await, aws.environment());
        Function::start(&program, None).await.expect("the function starts")
    };

    let (mut fanout, events) = (start("fanout").await, COUNT / webhooks);
    for first in (0..events).step_by(STREAM_BATCH) {
        let numbers = first..events.min(first + STREAM_BATCH);
        let changes = numbered_job_changes(&[keys[0].tenant], numbers).expect("there is a tenant");
        fanout.invoke_expecting(changes, NOTHING_FAILED).await.expect("nothing fails");
    }
    let queued = aws.take_queued(DELIVERIES).into_iter().zip(1..);
    let messages: Vec<_> = queued.map(|(it, number)| Message::queued(number, it.body)).collect();
    let mut sender = start("sender").await;
    for batch in messages.chunks(QUEUE_BATCH) {
        let batch = batch_of(batch);
        sender.invoke_expecting(batch, NOTHING_FAILED).await.expect("nothing fails");
    }
    receiver.take_posts(COUNT as u64).expect("every delivery is made once");
    assert_eq!(aws.stored_deliveries().rows, COUNT as u64);
    aws.take_usage().iter().map(|(operation, it)| (operation, it.calls, it.units)).collect()
}

#[tokio::test]
async fn a_delivery_costs_a_tenth_of_each_request_and_one_write() {
    let expected = [
        (Operation::Query, 2, 2),
        (Operation::BatchGetItem, 20, 20),
        (Operation::BatchWriteItem, 20, 200),
        (Operation::SendMessageBatch, 20, 20),
        (Operation::GetSecretValue, 1, 1),
    ];
    assert_eq!(used(1).await, expected);
}

#[tokio::test]
async fn an_event_for_ten_webhooks_costs_as_little_for_each_delivery() {
    let expected = [
        (Operation::Query, 1, 1),
        (Operation::BatchGetItem, 20, 200),
        (Operation::BatchWriteItem, 20, 200),
        (Operation::SendMessageBatch, 20, 20),
        (Operation::GetSecretValue, 10, 10),
    ];
    assert_eq!(used(10).await, expected);
}
