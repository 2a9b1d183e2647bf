//! Sends a stream record of the jobs table through fanout again.
//!
//! The rule: the record says what happened, and the job's row says what the job is. A record that was parked because of
//! a wrong attribute can be redriven after the row has been corrected.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_types::SdkConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

/// Fanout, and the table whose changes it reads.
#[derive(Debug)]
pub(super) struct Fanout {
    lambda: aws_sdk_lambda::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    function: String,
    alias: String,
}

impl Fanout {
    /// The version of `function` that `alias` points to.
    pub(super) fn new(config: &SdkConfig, function: String, alias: String) -> Self {
        Self {
            lambda: aws_sdk_lambda::Client::new(config),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            function,
            alias,
        }
    }

    /// Invokes fanout with the record, and with the job as it is now. If the record still cannot be processed, fanout
    /// parks it again, which is a success here.
    pub(super) async fn send(&self, record: &Value) -> Result<()> {
        let record = match self.job(record).await? {
            Some(row) => renewed(record, row),
            None => record.clone(),
        };
        let payload = json!({"Records": [record]}).to_string();
        let response = self
            .lambda
            .invoke()
            .function_name(&self.function)
            .qualifier(&self.alias)
            .payload(Blob::new(payload))
            .send()
            .await
            .with_context(|| format!("cannot invoke function {}", self.function))?;
        check(&response)
    }

    /// The row of the record's job; `None` if it is gone, or if the record does not say where it is.
    async fn job(&self, record: &Value) -> Result<Option<serde_dynamo::Item>> {
        let (Some(table), Some(key)) = (table(record), key(record)) else { return Ok(None) };
        let response = self
            .dynamodb
            .get_item()
            .table_name(table)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .with_context(|| format!("cannot read the job in table {table}"))?;
        Ok(response.item.map(Into::into))
    }
}

/// The name in `arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<time>`.
fn table(record: &Value) -> Option<&str> {
    let resource = record["eventSourceARN"].as_str()?.split(':').nth(5)?;
    resource.strip_prefix("table/")?.split('/').next()
}

fn key(record: &Value) -> Option<HashMap<String, AttributeValue>> {
    let key: serde_dynamo::Item =
        serde_json::from_value(record["dynamodb"]["Keys"].clone()).ok()?;
    Some(key.into())
}

/// The record with the job's current row as its new image. The status and the time remain those of the record where it
/// has them, because they are what happened.
fn renewed(record: &Value, row: serde_dynamo::Item) -> Value {
    let mut renewed = record.clone();
    let Ok(mut image) = serde_json::to_value(row) else { return renewed };
    let recorded = &record["dynamodb"]["NewImage"];
    let text = |name: &str| recorded[name]["S"].as_str().unwrap_or_default();
    if !text("status").is_empty() {
        image["status"] = recorded["status"].clone();
    }
    if Timestamp::parse(text("updated_at")).is_ok() {
        image["updated_at"] = recorded["updated_at"].clone();
    }
    if record["eventName"] != "REMOVE" {
        renewed["dynamodb"]["NewImage"] = image;
    }
    renewed
}

fn check(response: &InvokeOutput) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Report {
        batch_item_failures: Vec<Value>,
    }
    let payload = response.payload().map_or(&[][..], Blob::as_ref);
    if let Some(error) = response.function_error() {
        let text = String::from_utf8_lossy(payload);
        bail!("fanout failed ({}): {}", printable(error), printable(&text));
    }
    let report: Report =
        serde_json::from_slice(payload).context("fanout's answer is not a batch response")?;
    if !report.batch_item_failures.is_empty() {
        bail!("fanout could not process the record now: its log says why");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::job_change;
    use super::*;

    fn row(attributes: Value) -> serde_dynamo::Item {
        serde_json::from_value(attributes).unwrap()
    }

    fn answer(payload: &str, error: Option<&str>) -> Result<()> {
        let answer = InvokeOutput::builder().payload(Blob::new(payload));
        check(&answer.set_function_error(error.map(str::to_owned)).build())
    }

    #[test]
    fn the_table_and_the_key_of_the_job_are_in_the_record() {
        let record = job_change();
        assert_eq!(table(&record), Some("docintell-jobs"));
        let id = AttributeValue::S("550e8400-e29b-41d4-a716-446655440000".to_owned());
        assert_eq!(key(&record).unwrap()["job_id"], id);
        for arn in [json!(null), json!("arn"), json!("arn:aws:sqs:us-east-1:1:queue")] {
            assert_eq!(table(&json!({"eventSourceARN": arn})), None);
        }
        assert!(key(&json!({"dynamodb": {"Keys": 1}})).is_none());
    }

    #[test]
    fn a_corrected_attribute_is_taken_from_the_row_and_what_happened_from_the_record() {
        let mut record = job_change();
        record["dynamodb"]["NewImage"]["tenant_id"] = json!({"S": "acme"});
        let row = row(json!({
            "tenant_id": {"S": "770e8400-e29b-41d4-a716-446655440002"},
            "status": {"S": "completed"},
            "updated_at": {"S": "2026-01-01T00:00:00Z"},
            "page_count": {"N": "12"},
        }));
        let image = &renewed(&record, row)["dynamodb"]["NewImage"];
        assert_eq!(image["tenant_id"]["S"], "770e8400-e29b-41d4-a716-446655440002");
        assert_eq!(
            (&image["status"]["S"], &image["page_count"]["N"]),
            (&json!("queued"), &json!("12"))
        );
        assert_eq!(image["updated_at"]["S"], "2025-12-03T10:30:00Z");
    }

    #[test]
    fn a_status_or_time_that_the_record_lacks_is_taken_from_the_row() {
        let mut record = job_change();
        record["dynamodb"]["NewImage"] = json!({"status": {"S": ""}, "updated_at": {"S": "now"}});
        let attributes =
            json!({"status": {"S": "queued"}, "updated_at": {"S": "2026-01-01T00:00:00Z"}});
        let image = &renewed(&record, row(attributes.clone()))["dynamodb"]["NewImage"];
        assert_eq!(*image, attributes);
        record["eventName"] = json!("REMOVE");
        assert_eq!(renewed(&record, row(attributes)), record);
    }

    #[test]
    fn only_an_answer_without_error_and_failures_is_a_success() {
        assert!(answer(r#"{"batchItemFailures":[]}"#, None).is_ok());
        for (payload, error, expected) in [
            (r#"{"batchItemFailures":[{"itemIdentifier":"7"}]}"#, None, "could not process"),
            (
                "{\"errorMessage\":\"\u{1b}\"}",
                Some("Unhandled"),
                "fanout failed (Unhandled): {\"errorMessage\":\"␛\"}",
            ),
            ("", None, "not a batch response"),
        ] {
            let error = answer(payload, error).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
