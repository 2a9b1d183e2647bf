//! Finds the stack that a command works on, and holds its outputs.
//!
//! The rule: local and deployed stacks have the same outputs, which template.yaml defines.

mod clients;
mod deployed;
mod sam;
mod target;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

pub(crate) use clients::{Stack, expect_tenant, with_timeout};
pub(crate) use target::{Found, SCOPE, StackArgs, Table, Target};

/// The outputs of template.yaml; each alias is an output's name there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outputs {
    /// Without a slash at the end.
    #[serde(alias = "ApiUrl")]
    pub api_url: String,
    #[serde(alias = "ApiFunctionName")]
    pub(crate) api_function_name: String,
    #[serde(alias = "FanoutFunctionName")]
    pub(crate) fanout_function_name: String,
    #[serde(alias = "SenderFunctionName")]
    pub(crate) sender_function_name: String,
    #[serde(alias = "ReplayFunctionName")]
    pub(crate) replay_function_name: String,
    /// The alias of each function that points to the version in force.
    #[serde(alias = "FunctionAlias")]
    pub(crate) function_alias: String,
    /// `None` if the stack reads the stream of another table (`JobsStreamArn`).
    #[serde(alias = "JobsTable")]
    pub(crate) jobs_table: Option<String>,
    #[serde(alias = "WebhooksTable")]
    pub webhooks_table: String,
    /// The history of webhooks.
    #[serde(alias = "WebhookAuditTable")]
    pub webhook_audit_table: String,
    #[serde(alias = "ApiKeysTable")]
    pub api_keys_table: String,
    /// The delivery log.
    #[serde(alias = "DeliveriesTable")]
    pub deliveries_table: String,
    #[serde(alias = "ReplaysTable")]
    pub replays_table: String,
    #[serde(alias = "ReplayQueueUrl")]
    pub replay_queue_url: String,
    #[serde(alias = "DeliveryQueueUrl")]
    pub delivery_queue_url: String,
    /// Deliveries that endpoints did not accept.
    #[serde(alias = "DeadLetterQueueUrl")]
    pub dead_letter_queue_url: String,
    /// Records that the functions could not process.
    #[serde(alias = "PipelineFaultsQueueUrl")]
    pub pipeline_faults_queue_url: String,
    /// See [`Outputs::keep_deliveries`].
    #[serde(alias = "DeliveryLogDays")]
    pub(crate) delivery_log_days: String,
    /// See [`Outputs::keep_audit`].
    #[serde(alias = "AuditDays")]
    pub(crate) audit_days: String,
    /// First part of every signing secret's name, without a slash at its end.
    #[serde(alias = "SecretsPrefix")]
    pub(crate) secrets_prefix: String,
}

impl Outputs {
    /// The outputs that every stack has. `JobsTable` is missing if the stack reads another table's stream.
    pub(crate) const REQUIRED: [&str; 18] = [
        "ApiUrl",
        "ApiFunctionName",
        "FanoutFunctionName",
        "SenderFunctionName",
        "ReplayFunctionName",
        "FunctionAlias",
        "WebhooksTable",
        "WebhookAuditTable",
        "ApiKeysTable",
        "DeliveriesTable",
        "ReplaysTable",
        "ReplayQueueUrl",
        "DeliveryQueueUrl",
        "DeadLetterQueueUrl",
        "PipelineFaultsQueueUrl",
        "DeliveryLogDays",
        "AuditDays",
        "SecretsPrefix",
    ];

    /// How long the delivery log keeps a row after its last change.
    pub(crate) fn keep_deliveries(&self) -> Result<Duration> {
        days("DeliveryLogDays", &self.delivery_log_days)
    }

    /// How long a change stays in its webhook's history.
    pub(crate) fn keep_audit(&self) -> Result<Duration> {
        days("AuditDays", &self.audit_days)
    }

    /// The stack's own Jobs table.
    pub fn jobs_table(&self) -> Result<&str> {
        let table = self.jobs_table.as_deref();
        table.context(
            "the stack has no jobs table of its own (it was deployed with JobsStreamArn): choose \
             a table with --jobs-table",
        )
    }
}

fn days(output: &str, text: &str) -> Result<Duration> {
    let days: u32 =
        text.parse().with_context(|| format!("the stack's output {output} is not a number"))?;
    Ok(Duration::from_hours(24) * days)
}
