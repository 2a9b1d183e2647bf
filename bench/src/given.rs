//! What the functions are given, in the form in which AWS hands it over: rows, messages, batches.

pub mod changes;
pub mod requests;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use hyper::body::Bytes;
use serde_json::{Value, json};
use webhooks::id::{TenantId, WebhookId};

use crate::aws;
use crate::function::Program;

/// The queue of deliveries.
pub const DELIVERIES: &str = "https://sqs.bench/123456789012/deliveries";

/// The signing secret of every webhook.
pub const SECRET: &str = "whsec_dGhpcnR5IGJ5dGVzIG9mIHRoZSBiZW5jaG1hcms=";
/// The version under which Secrets Manager has it.
const SECRET_VERSION: &str = "3f1f6f6e-0000-4000-8000-000000000001";

/// What every delivery posts: the guide's largest event, with everything that is optional.
pub const BODY: &str = concat!(
    r#"{"event":"document.processing.completed","timestamp":"2025-12-03T10:30:47Z","data":{"#,
    r#""document_id":"660e8400-e29b-41d4-a716-446655440001","#,
    r#""job_id":"550e8400-e29b-41d4-a716-446655440000","#,
    r#""tenant_id":"770e8400-e29b-41d4-a716-446655440002","status":"completed","#,
    r#""processing_time_seconds":45.2,"page_count":10,"ir_version":"1.0.0"}}"#
);

/// What a function answers to a batch of which nothing failed.
pub const NOTHING_FAILED: &str = r#"{"batchItemFailures":[]}"#;

/// A webhook that deliveries are for.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its owner.
    pub tenant: TenantId,
    /// Its id.
    pub webhook: WebhookId,
}

impl Target {
    /// A webhook of a tenant of its own.
    #[must_use]
    pub fn random() -> Self {
        Self::of(TenantId::random())
    }

    /// Another webhook of `tenant`.
    #[must_use]
    pub fn of(tenant: TenantId) -> Self {
        Self { tenant, webhook: WebhookId::random() }
    }

    /// So many webhooks of one new tenant.
    #[must_use]
    pub fn several(count: usize) -> Vec<Self> {
        let tenant = TenantId::random();
        std::iter::repeat_with(|| Self::of(tenant)).take(count).collect()
    }

    /// Its row in `WebhookConfigs`, subscribed to everything, posting to `url`.
    #[must_use]
    pub fn row(self, url: &str) -> Value {
        let events = webhooks::event_type::EventType::ALL.map(|event| json!({"S": event.as_str()}));
        json!({
            "tenant_id": {"S": self.tenant.to_string()},
            "webhook_config_id": {"S": self.webhook.to_string()},
            "url": {"S": url},
            "events": {"L": events},
            "is_active": {"BOOL": true},
            "retry_enabled": {"BOOL": true},
            "max_retries": {"N": "5"},
            "created_at": {"S": "2025-12-01T00:00:00Z"},
            "updated_at": {"S": "2025-12-01T00:00:00Z"},
            "secret_version": {"S": SECRET_VERSION},
        })
    }
}

/// A message of the delivery queue, and how often it was received before.
#[derive(Debug, Clone)]
pub struct Message {
    /// `messageId`.
    pub id: String,
    /// `ApproximateReceiveCount` at the next receive.
    pub receives: u32,
    body: String,
}

impl Message {
    /// The message that asks for delivery number `number`, to `target`.
    #[must_use]
    pub fn new(number: u64, target: Target) -> Self {
        let Target { tenant, webhook } = target;
        let body = format!(
            r#"{{"v":1,"delivery_id":"019ae3c0-0000-7000-8000-{number:012}","event_id":"019ae3c0-0000-7000-9000-{number:012}","tenant_id":"{tenant}","webhook_config_id":"{webhook}","event":"document.processing.completed","occurred_at":"2025-12-03T10:30:47Z","attempts_before":0,"body":{BODY}}}"#
        );
        Self::queued(number, body)
    }

    /// Message number `number`, whose text is `body`.
    #[must_use]
    pub fn queued(number: u64, body: String) -> Self {
        Self { id: format!("2e1424d4-f796-459a-8184-{number:012}"), receives: 1, body }
    }

    /// Bytes of its text.
    #[must_use]
    pub fn size(&self) -> usize {
        self.body.len()
    }

    fn record(&self) -> Value {
        json!({
            "messageId": self.id,
            "receiptHandle": format!("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a{}", self.id.repeat(4)),
            "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": self.receives.to_string(),
                "SentTimestamp": "1764757847123",
                "SenderId": "AROAIENQZJOLO23YVJ4VO:fanout",
                "MessageGroupId": "770e8400-e29b-41d4-a716-446655440002",
                "ApproximateFirstReceiveTimestamp": "1764757847125",
            },
            "messageAttributes": {},
            "md5OfBody": "1d450cf9566924dee8c2272e4442191f",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:deliveries",
            "awsRegion": "eu-central-1",
        })
    }
}

/// The event in which the poller hands over these messages.
#[must_use]
pub fn batch(messages: &[Message]) -> Bytes {
    let records: Vec<Value> = messages.iter().map(Message::record).collect();
    Bytes::from(json!({"Records": records}).to_string())
}

/// The sender, as `template.yaml` sets it up, but for this machine's network, which it may dial.
#[must_use]
pub fn sender(path: PathBuf, aws_endpoint: &str, extra_ca_file: &str) -> Program {
    let own = [
        ("DELIVERIES_TABLE", "Deliveries"),
        ("DEAD_LETTER_QUEUE_URL", "https://sqs.bench/123456789012/dead-letters"),
        ("DELIVERY_LOG_DAYS", "30"),
        ("EXTRA_CA_FILE", extra_ca_file),
    ];
    program(path, aws_endpoint, &own)
}

/// A function, with what several of them are told and what only this one is.
fn program(path: PathBuf, aws_endpoint: &str, own: &[(&'static str, &str)]) -> Program {
    let shared = [
        ("WEBHOOKS_TABLE", "WebhookConfigs"),
        ("DELIVERY_QUEUE_URL", DELIVERIES),
        ("PIPELINE_FAULTS_QUEUE_URL", "https://sqs.bench/123456789012/pipeline-faults"),
        ("SECRETS_PREFIX", "docintell-webhooks"),
        ("ALLOW_HTTP_ENDPOINTS", "true"),
        ("ALLOWED_NETWORKS", "127.0.0.0/8,::1/128"),
    ];
    let mut environment = aws::credentials(aws_endpoint);
    environment.extend(shared.iter().chain(own).map(|&(name, value)| (name, value.to_owned())));
    Program { path, arguments: Vec::new(), environment }
}

/// The first so many events of batches of `size` messages to `targets` in turn.
pub fn batches(targets: &[Target], size: usize, count: usize) -> Result<Vec<Bytes>> {
    let mut targets = targets.iter().cycle();
    let mut number = 0;
    (0..count)
        .map(|_| {
            let messages: Option<Vec<_>> = (0..size)
                .map(|_| {
                    number += 1;
                    Some(Message::new(number, *targets.next()?))
                })
                .collect();
            Ok(batch(&messages.context("there is no webhook to deliver to")?))
        })
        .collect()
}
