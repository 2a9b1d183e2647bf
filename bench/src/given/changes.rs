//! What the fanout function is given: batches of changes of jobs, as DynamoDB's stream has them.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use hyper::body::Bytes;
use serde_json::{Value, json};
use webhooks::id::TenantId;

use crate::function::Program;

/// A batch of three, of which the second announces that a document's processing is completed.
const SAMPLE: &str = include_str!("../../../events/stream-batch.json");

/// The fanout function, as `template.yaml` sets it up.
#[must_use]
pub fn fanout(path: PathBuf, aws_endpoint: &str) -> Program {
    super::program(path, aws_endpoint, &[])
}

/// A batch of `size` records, each of another document of the next of `tenants` in turn, and each of an
/// event.
pub fn job_changes(tenants: &[TenantId], size: usize) -> Result<Bytes> {
    numbered_job_changes(tenants, 0..size)
}

/// The same of documents number so and so, so that several batches can be of different events.
pub fn numbered_job_changes(tenants: &[TenantId], numbers: Range<usize>) -> Result<Bytes> {
    let sample: Value = serde_json::from_str(SAMPLE)?;
    let mut tenants = tenants.iter().cycle().skip(numbers.start % tenants.len().max(1));
    let records: Option<Vec<Value>> = numbers
        .map(|number| {
            let mut record = sample["Records"][1].clone();
            record["eventID"] = format!("c81e728d9d4c2f636f067f89{number:08}").into();
            record["dynamodb"]["SequenceNumber"] = format!("44215845000000000{number:08}").into();
            let job = &mut record["dynamodb"]["NewImage"];
            job["tenant_id"]["S"] = tenants.next()?.to_string().into();
            job["document_id"]["S"] = format!("660e8400-e29b-41d4-a716-{number:012}").into();
            Some(record)
        })
        .collect();
    let records = records.context("there is no tenant that a job could belong to")?;
    Ok(Bytes::from(json!({"Records": records}).to_string()))
}
