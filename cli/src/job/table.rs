//! Writes the Jobs table as the document pipeline does.
//!
//! The rule: a job only moves forward. Each write checks the job's current state, so this program writes only what
//! the pipeline could write.

use std::fmt;

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_types::SdkConfig;
use uuid::Uuid;
use webhooks::id::TenantId;
use webhooks::job::JobStatus;
use webhooks::timestamp::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct JobsTable {
    client: Client,
    name: String,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the table's attribute names")]
pub(crate) struct NewJob {
    pub(crate) job_id: String,
    pub(crate) document_id: String,
    pub(crate) tenant_id: TenantId,
}

impl NewJob {
    pub(crate) fn of(tenant_id: TenantId) -> Self {
        Self {
            job_id: Uuid::new_v4().to_string(),
            document_id: Uuid::new_v4().to_string(),
            tenant_id,
        }
    }
}

/// A change of a job's state, with the attributes that it writes.
#[derive(Debug, Clone)]
pub(crate) enum Transition {
    Process,
    Complete {
        pages: u32,
        seconds: f64,
        ir_version: String,
    },
    Fail {
        /// `None` writes no `error_message`.
        message: Option<String>,
    },
}

impl Transition {
    /// The new state.
    pub(crate) const fn status(&self) -> JobStatus {
        match self {
            Self::Process => JobStatus::Processing,
            Self::Complete { .. } => JobStatus::Completed,
            Self::Fail { .. } => JobStatus::Failed,
        }
    }

    /// The states from which it is allowed.
    const fn from(&self) -> &'static [JobStatus] {
        match self {
            Self::Process => &[JobStatus::Queued, JobStatus::Pending],
            Self::Complete { .. } | Self::Fail { .. } => {
                &[JobStatus::Queued, JobStatus::Pending, JobStatus::Processing]
            }
        }
    }

    /// The attributes to write in addition to `status` and `updated_at`.
    fn attributes(&self) -> Vec<(&'static str, AttributeValue)> {
        match self {
            Self::Process => Vec::new(),
            Self::Complete { pages, seconds, ir_version } => vec![
                ("page_count", number(pages)),
                ("processing_time_seconds", number(seconds)),
                ("ir_version", text(ir_version)),
            ],
            Self::Fail { message } => {
                message.iter().map(|message| ("error_message", text(message))).collect()
            }
        }
    }
}

impl JobsTable {
    pub(crate) fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    /// Writes a new job in state `queued`; returns its `updated_at`.
    pub(crate) async fn upload(&self, job: &NewJob) -> Result<Timestamp> {
        let now = Timestamp::now();
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("job_id", text(&job.job_id))
            .item("document_id", text(&job.document_id))
            .item("tenant_id", text(job.tenant_id))
            .item("status", text(JobStatus::Queued))
            .item("updated_at", text(now))
            .condition_expression("attribute_not_exists(job_id)");
        match put.send().await.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(now),
            Err(PutItemError::ConditionalCheckFailedException(_)) => bail!(
                "job {} exists already: choose another id, or omit it to get a new one",
                job.job_id
            ),
            Err(error) => Err(error).with_context(|| self.could_not("write")),
        }
    }

    /// Changes the job's state; returns its `updated_at`.
    pub(crate) async fn advance(&self, job_id: &str, transition: &Transition) -> Result<Timestamp> {
        let now = Timestamp::now();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("job_id", text(job_id))
            .expression_attribute_names("#status", "status")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut sets = vec!["#status = :status".to_owned()];
        update = update.expression_attribute_values(":status", text(transition.status()));
        for (name, value) in transition.attributes().into_iter().chain([("updated_at", text(now))])
        {
            sets.push(format!("{name} = :{name}"));
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        let mut allowed = Vec::new();
        for status in transition.from() {
            allowed.push(format!(":{status}"));
            update = update.expression_attribute_values(format!(":{status}"), text(status));
        }
        update = update
            .update_expression(format!("SET {}", sets.join(", ")))
            .condition_expression(format!("#status IN ({})", allowed.join(", ")));
        match update.send().await.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(now),
            Err(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                match refused.item().and_then(|job| job.get("status")?.as_s().ok()) {
                    Some(status) => {
                        bail!("job {job_id} is {status} and cannot become {}", transition.status())
                    }
                    None => {
                        bail!("there is no job {job_id} in table {}: upload it first", self.name)
                    }
                }
            }
            Err(error) => Err(error).with_context(|| self.could_not("write")),
        }
    }

    /// The job's current state, and the time of its last change.
    pub(crate) async fn state(&self, job_id: &str) -> Result<Option<(JobStatus, Timestamp)>> {
        let item = self
            .client
            .get_item()
            .table_name(&self.name)
            .key("job_id", text(job_id))
            .consistent_read(true)
            .send()
            .await
            .with_context(|| self.could_not("read"))?
            .item
            .unwrap_or_default();
        let field = |name| item.get(name).and_then(|value| value.as_s().ok());
        Ok(field("status")
            .and_then(|status| JobStatus::from_name(status))
            .zip(field("updated_at").and_then(|at| Timestamp::parse(at).ok())))
    }

    fn could_not(&self, verb: &str) -> String {
        format!("could not {verb} jobs in table {}", self.name)
    }
}

fn text(value: impl fmt::Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: impl fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
