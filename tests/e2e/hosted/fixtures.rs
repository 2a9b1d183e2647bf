//! What the functions are given: webhooks' rows, job changes, delivery messages and the batches they
//! come in, each in the form in which AWS hands it over.

use serde_json::{Value, json};
use webhooks::id::WebhookId;

use super::attributes::item;

/// The tenant that everything belongs to unless a test says otherwise.
pub const TENANT: &str = "770e8400-e29b-41d4-a716-446655440002";
/// Its webhooks' signing secret.
pub const SECRET: &str = "whsec_dGhpcnR5IGJ5dGVzIG9mIHRoZSB0ZXN0J3Mgb3du";
/// The version under which Secrets Manager has it.
pub const SECRET_VERSION: &str = "3f1f6f6e-0000-4000-8000-000000000001";
/// A body with digits and an escape that a re-serialisation would change.
pub const BODY: &str = r#"{"event":"document.processing.completed","b": 1.50,"a":"\u00e9"}"#;

/// A webhook's row in plain JSON, so that a test can change a field.
pub fn webhook(url: &str) -> Value {
    json!({
        "tenant_id": TENANT,
        "webhook_config_id": WebhookId::random().to_string(),
        "url": url,
        "events": [
            "document.uploaded",
            "document.processing.completed",
            "document.processing.failed",
        ],
        "is_active": true,
        "retry_enabled": true,
        "max_retries": 5,
        "created_at": "2025-12-01T00:00:00Z",
        "updated_at": "2025-12-01T00:00:00Z",
        "secret_version": SECRET_VERSION,
    })
}

/// A webhook's row with other values in some fields.
pub fn webhook_with(url: &str, fields: Value) -> Value {
    let mut row = webhook(url);
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    row.as_object_mut().expect("a row is an object").extend(fields);
    row
}

/// Rows as the table holds them.
pub fn rows<'a>(webhooks: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    webhooks.into_iter().map(item).collect()
}

/// A row's webhook id.
pub fn id_of(webhook: &Value) -> &str {
    webhook["webhook_config_id"].as_str().expect("a row has an id")
}

/// The first message of delivery number `number` to `webhook`.
pub fn message(webhook: &Value, number: usize) -> Value {
    json!({
        "v": 1,
        "delivery_id": delivery_id(number),
        "event_id": format!("019ae3c0-0000-7000-9000-{number:012}"),
        "tenant_id": webhook["tenant_id"],
        "webhook_config_id": webhook["webhook_config_id"],
        "event": "document.processing.completed",
        "occurred_at": "2025-12-03T10:30:47Z",
        "attempts_before": 0,
        "body": "BODY",
    })
}

/// The id of delivery number `number`.
pub fn delivery_id(number: usize) -> String {
    format!("019ae3c0-0000-7000-8000-{number:012}")
}

/// The batch of these texts, each received for the `count`th time; message ids are `m0`, `m1`, …
pub fn batch<'a>(received: impl IntoIterator<Item = (&'a str, u32)>) -> Value {
    let records = received.into_iter().enumerate().map(|(at, (body, count))| {
        json!({
            "messageId": format!("m{at}"),
            "receiptHandle": format!("handle-{at}"),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": count.to_string(),
                "SentTimestamp": "1764757847000",
                "SenderId": "AIDATEST",
                "ApproximateFirstReceiveTimestamp": "1764757847000",
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:deliveries",
            "awsRegion": "eu-central-1",
        })
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

/// A delivery message's text, with [`BODY`] in it byte for byte.
pub fn text(message: &Value) -> String {
    message.to_string().replace(r#""BODY""#, BODY)
}

/// The batch of these messages, each received for the first time.
pub fn first_receives(messages: &[Value]) -> Value {
    let texts: Vec<String> = messages.iter().map(text).collect();
    batch(texts.iter().map(|text| (text.as_str(), 1)))
}

/// The stream record number `number`: a job that was written for the first time, in that state.
pub fn job_change(number: usize, status: &str) -> Value {
    job_change_with(number, status, json!({}))
}

/// The same, the job having further or other fields.
pub fn job_change_with(number: usize, status: &str, fields: Value) -> Value {
    let mut job = json!({
        "job_id": "550e8400-e29b-41d4-a716-446655440000",
        "document_id": format!("660e8400-e29b-41d4-a716-{number:012}"),
        "tenant_id": TENANT,
        "status": status,
        "updated_at": "2025-12-03T10:30:00Z",
    });
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    job.as_object_mut().expect("a job is an object").extend(fields);
    json!({
        "eventID": format!("c81e728d9d4c2f636f067f89cc{number:06}"),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_764_757_847.0,
            "Keys": {"job_id": {"S": "550e8400-e29b-41d4-a716-446655440000"}},
            "NewImage": item(&job),
            "SequenceNumber": sequence_number(number),
            "SizeBytes": 300,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/Jobs/stream/2025",
    })
}

/// The sequence number of record number `number`.
pub fn sequence_number(number: usize) -> String {
    format!("{}", 4_421_584_500_000_000_017_450_439_000_u128 + number as u128)
}

/// The names in a batch's answer.
pub fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().expect("an answer names its failures");
    failures.iter().map(|it| it["itemIdentifier"].as_str().expect("by identifier")).collect()
}
