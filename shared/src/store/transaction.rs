//! Writes to DynamoDB that happen together or not at all.
//!
//! The rule: a transaction that met another one on the same item did nothing, so it is tried again.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use tokio::time::sleep;

use super::backoff;
use crate::aws::{AwsError, random_part};

/// How often a transaction is tried while others get in its way; the waits add up to 3 s at most.
const MAX_CALLS: u32 = 6;

/// A transaction that did not take place, or may not have.
#[derive(Debug)]
pub(super) struct TransactionError {
    /// The first write, counted from 0, whose condition did not hold, if that is the reason.
    pub(super) failed_condition: Option<usize>,
    /// The SDK's own error.
    pub(super) source: AwsError,
}

/// Makes `writes`, all of them or none.
///
/// The SDK repeats a call that got no answer, with a token that keeps it from being carried out twice.
/// It does not repeat one that DynamoDB called off because another was under way.
pub(super) async fn transact(
    client: &Client,
    writes: &[TransactWriteItem],
) -> Result<(), TransactionError> {
    let mut call = 1;
    loop {
        let request = client.transact_write_items().set_transact_items(Some(writes.to_vec()));
        let Err(error) = request.send().await else { return Ok(()) };
        let reasons = error.as_service_error().map(reasons).unwrap_or_default();
        let failed_condition = reasons.iter().position(|code| *code == "ConditionalCheckFailed");
        let met_another = reasons.contains(&"TransactionConflict");
        if failed_condition.is_some() || !met_another || call == MAX_CALLS {
            let source = AwsError::of("TransactWriteItems")(error);
            return Err(TransactionError { failed_condition, source });
        }
        sleep(random_part(backoff(call))).await;
        call += 1;
    }
}

/// What DynamoDB says of each write of a transaction that it called off.
fn reasons(error: &TransactWriteItemsError) -> Vec<&str> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return Vec::new();
    };
    cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect()
}
