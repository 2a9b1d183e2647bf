//! How often the functions ask AWS for a delivery, from the job's change to the log, with full batches.
//!
//! The rule: requests are counted and nothing is timed, so that the figures are the same on every machine.
//! Lambda's pollers add a receive and a delete for each batch.

use harness::Operation;

use super::account::Account;

/// What 200 deliveries ask for, each operation with its calls and the units that AWS charges.
async fn asked_for(webhooks: usize) -> Vec<(Operation, u64, u64)> {
    let mut account = Account::with(webhooks, 1).await;
    let usage = account.fan_out_and_deliver(200 / webhooks).await;
    usage.iter().map(|(operation, used)| (operation, used.calls, used.units)).collect()
}

#[tokio::test]
async fn a_delivery_in_a_full_batch_costs_a_tenth_of_each_call_and_one_write() {
    let expected = [
        // One for each batch of the stream.
        (Operation::Query, 2, 2),
        (Operation::BatchGetItem, 20, 20),
        (Operation::BatchWriteItem, 20, 200),
        (Operation::SendMessageBatch, 20, 20),
        (Operation::GetSecretValue, 1, 1),
    ];
    assert_eq!(asked_for(1).await, expected);
}

#[tokio::test]
async fn an_event_for_ten_webhooks_still_fills_batches_of_ten() {
    let expected = [
        (Operation::Query, 1, 1),
        // Ten rows, each read on its own.
        (Operation::BatchGetItem, 20, 200),
        (Operation::BatchWriteItem, 20, 200),
        (Operation::SendMessageBatch, 20, 20),
        (Operation::GetSecretValue, 10, 10),
    ];
    assert_eq!(asked_for(10).await, expected);
}
