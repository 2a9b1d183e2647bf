//! The AWS calls of a delivery in full batches, from the job's change to the delivery log.
//!
//! The tests count calls and do not measure time, so that the figures are the same on every machine. Lambda's
//! pollers add a receive and a delete for each batch.

use harness::Operation;

use super::account::Account;

/// The calls and the charged units of each operation for 200 deliveries.
async fn usage_with(webhooks: usize) -> Vec<(Operation, u64, u64)> {
    let mut account = Account::with(webhooks, 1).await;
    let usage = account.fan_out_and_deliver(200 / webhooks).await;
    usage.iter().map(|(operation, used)| (operation, used.calls, used.units)).collect()
}

#[tokio::test]
async fn a_delivery_in_a_full_batch_costs_a_tenth_of_each_call_and_one_write() {
    let expected = [
        // One for each batch from the stream.
        (Operation::Query, 2, 2),
        (Operation::BatchGetItem, 20, 20),
        (Operation::BatchWriteItem, 20, 200),
        (Operation::SendMessageBatch, 20, 20),
        (Operation::GetSecretValue, 1, 1),
    ];
    assert_eq!(usage_with(1).await, expected);
}

#[tokio::test]
async fn an_event_for_ten_webhooks_still_fills_batches_of_ten() {
    let expected = [
        (Operation::Query, 1, 1),
        // Ten rows in each call; AWS charges for each row.
        (Operation::BatchGetItem, 20, 200),
        (Operation::BatchWriteItem, 20, 200),
        (Operation::SendMessageBatch, 20, 20),
        (Operation::GetSecretValue, 10, 10),
    ];
    assert_eq!(usage_with(10).await, expected);
}
