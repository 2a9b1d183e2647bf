//! A stack's outputs, and which stack a command means.
//!
//! The rule: a local and a deployed stack have the same outputs, those of template.yaml.

mod deployed;
mod sam;
mod target;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

pub(crate) use target::{StackArgs, Table, Target};

/// What template.yaml says of a stack to those who use it; each alias is an output's name there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outputs {
    /// Where the API answers, without a slash at the end.
    #[serde(alias = "ApiUrl")]
    pub api_url: String,
    /// The Jobs table; `None` where the stack reads another table's stream (`JobsStreamArn`).
    #[serde(alias = "JobsTable")]
    pub(crate) jobs_table: Option<String>,
    /// The `WebhookConfigs` table.
    #[serde(alias = "WebhooksTable")]
    pub webhooks_table: String,
    /// The `ApiKeys` table.
    #[serde(alias = "ApiKeysTable")]
    pub api_keys_table: String,
    /// The delivery log's table.
    #[serde(alias = "DeliveriesTable")]
    pub deliveries_table: String,
    /// The queue of deliveries under way.
    #[serde(alias = "DeliveryQueueUrl")]
    pub delivery_queue_url: String,
    /// The queue of deliveries that an endpoint did not take.
    #[serde(alias = "DeadLetterQueueUrl")]
    pub dead_letter_queue_url: String,
    /// The queue of records that could not be processed.
    #[serde(alias = "PipelineFaultsQueueUrl")]
    pub pipeline_faults_queue_url: String,
}

impl Outputs {
    /// The Jobs table, if the stack has one of its own.
    pub fn jobs_table(&self) -> Result<&str> {
        let table = self.jobs_table.as_deref();
        table.context(
            "the stack has no jobs table of its own (it was deployed with JobsStreamArn): name the \
             table with --jobs-table",
        )
    }
}
