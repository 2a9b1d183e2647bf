//! DynamoDB's batch operations.
//!
//! The rule: what a call leaves unprocessed is asked for again, and nothing else is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::json::Item;
use super::{StoreError, backoff};
use crate::aws::AwsError;
use crate::aws::direct::Direct;

/// How often a batch operation is called in all.
const MAX_CALLS: u32 = 4;
/// Bytes of a request, so that it is not moved as it grows; ten deliveries take about as many.
const ROOM: usize = 16 * 1024;

#[derive(Serialize)]
struct Request<T> {
    #[serde(rename = "RequestItems")]
    items: T,
}

/// What it leaves has the form in which it is asked for.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "Responses", borrow, default)]
    found: BTreeMap<&'a str, Vec<Item<'a>>>,
    #[serde(rename = "UnprocessedKeys", alias = "UnprocessedItems", borrow, default)]
    left: BTreeMap<&'a str, &'a RawValue>,
}

/// Calls `operation` until all that `request` asks for is done, and tells of each item in the answers.
pub(super) async fn process_all(
    direct: &Direct,
    operation: &'static str,
    table: &str,
    request: impl Serialize,
    mut tell: impl FnMut(Item<'_>),
) -> Result<(), StoreError> {
    let mut body = to_json(operation, BTreeMap::from([(table, request)]))?;
    for call in 0..MAX_CALLS {
        if call > 0 {
            sleep(backoff(call)).await;
        }
        let answer = direct.call(operation, body.into()).await?;
        let answer: Answer<'_> =
            serde_json::from_slice(&answer).map_err(AwsError::of(operation))?;
        answer.found.into_values().flatten().for_each(&mut tell);
        if answer.left.is_empty() {
            return Ok(());
        }
        body = to_json(operation, answer.left)?;
    }
    Err(StoreError::Unprocessed { operation })
}

fn to_json(operation: &'static str, items: impl Serialize) -> Result<Vec<u8>, AwsError> {
    let mut json = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut json, &Request { items }).map_err(AwsError::of(operation))?;
    Ok(json)
}
