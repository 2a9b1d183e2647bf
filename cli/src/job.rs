//! `docintell job`: writes job states as the document pipeline does, to cause events.

pub(crate) mod table;

use std::time::Duration;

use anyhow::Result;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::json;
use webhooks::id::TenantId;
use webhooks::job::JobStatus;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::checkout;
use crate::output;
use crate::stack::{SCOPE, StackArgs, Table, Target, expect_tenant};
use table::{JobsTable, NewJob, Transition};

/// How long a new job stays in each state on its way to the requested one. The local stack can only time a
/// delivery while the job is still in the state of its event.
const STATE_DURATION: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Args)]
pub(crate) struct JobArgs {
    #[command(subcommand)]
    command: JobCommand,
    #[command(flatten)]
    stack: StackArgs,
    /// Name of a jobs table on AWS
    #[arg(long, global = true, help_heading = SCOPE, value_name = "TABLE", conflicts_with = "stack_name",
        value_parser = NonEmptyStringValueParser::new())]
    jobs_table: Option<String>,
}

#[derive(Debug, Clone, Subcommand)]
enum JobCommand {
    /// Upload a document: its job is queued
    Upload {
        /// Id of the job [default: a new id]
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        job_id: Option<String>,
        #[command(flatten)]
        document: DocumentArgs,
    },
    /// Start processing a job
    Process {
        #[command(flatten)]
        job: JobSelection,
    },
    /// Complete a job
    Complete {
        #[command(flatten)]
        job: JobSelection,
        /// Number of pages in the document
        #[arg(long, default_value_t = 12)]
        pages: u32,
        /// Processing time in seconds
        #[arg(long, default_value = "45.2", value_parser = seconds)]
        seconds: f64,
        /// Version of the document's extracted representation
        #[arg(long, default_value = "v001")]
        ir_version: String,
    },
    /// Fail a job
    Fail {
        #[command(flatten)]
        job: JobSelection,
        /// Error message [default: none]
        #[arg(long)]
        message: Option<String>,
    },
}

#[derive(Debug, Clone, Args)]
struct DocumentArgs {
    /// Id of the document [default: a new id]
    #[arg(long)]
    document_id: Option<String>,
    /// Tenant that owns the document [default: the local stack's tenant]
    #[arg(long)]
    tenant_id: Option<TenantId>,
}

#[derive(Debug, Clone, Args)]
struct JobSelection {
    /// Id of the job [default: upload and process a new document first]
    #[arg(long, conflicts_with_all = ["document_id", "tenant_id"], value_parser = NonEmptyStringValueParser::new())]
    job_id: Option<String>,
    #[command(flatten)]
    document: DocumentArgs,
}

impl DocumentArgs {
    fn new_job(self, job_id: Option<String>, target: &Target) -> Result<NewJob> {
        let tenant_id = expect_tenant(self.tenant_id.or(target.tenant_id()))?;
        let new = NewJob::of(tenant_id);
        Ok(NewJob {
            job_id: job_id.unwrap_or(new.job_id),
            document_id: self.document_id.unwrap_or(new.document_id),
            tenant_id,
        })
    }
}

pub(crate) async fn run(args: JobArgs, json: bool) -> Result<()> {
    let target = args.stack.target(Table::Jobs, args.jobs_table).await?;
    let table = JobsTable::new(&target.config(), target.table(Table::Jobs)?.to_owned());
    let jobs = Jobs { table, json };
    let next = match args.command {
        JobCommand::Upload { job_id, document } => {
            let job_id = jobs.upload(&document.new_job(job_id, &target)?).await?;
            Some(("process", job_id))
        }
        JobCommand::Process { job } => {
            let job_id = jobs.advance(job, Transition::Process, &target).await?;
            Some(("complete", job_id))
        }
        JobCommand::Complete { job, pages, seconds, ir_version } => {
            let end = Transition::Complete { pages, seconds, ir_version };
            jobs.advance(job, end, &target).await?;
            None
        }
        JobCommand::Fail { job, message } => {
            jobs.advance(job, Transition::Fail { message }, &target).await?;
            None
        }
    };
    if let Some(location) = where_deliveries_appear(&target) {
        output::sentence(format_args!("See its deliveries {location}."), json)?;
    }
    if let Some((command, job_id)) = next {
        let (docintell, options) = (checkout::invocation(), target.options());
        let job_id = shell_word(&job_id);
        let text = format!("Next: {docintell} job {command} --job-id={job_id}{options}");
        output::sentence(text, json)?;
    }
    Ok(())
}

/// `text` as one word for a POSIX shell.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Where the user sees the deliveries of a job's events.
fn where_deliveries_appear(target: &Target) -> Option<String> {
    match target {
        Target::Local(_) => {
            Some("in the terminal of the local stack, in the lines with the job's id".to_owned())
        }
        Target::Deployed { outputs, .. } => {
            Some(format!("in the delivery log, table {}", outputs.deliveries_table))
        }
        Target::Table { .. } => None,
    }
}

/// Writes states and prints each.
struct Jobs {
    table: JobsTable,
    json: bool,
}

impl Jobs {
    async fn upload(&self, job: &NewJob) -> Result<String> {
        let at = self.table.upload(job).await?;
        self.print(at, &job.job_id, JobStatus::Queued, Some(job))?;
        Ok(job.job_id.clone())
    }

    /// Changes the job's state and returns its id. Without an id, uploads a new document and processes it first.
    async fn advance(&self, job: JobSelection, to: Transition, target: &Target) -> Result<String> {
        if let Some(job_id) = job.job_id {
            self.write(&job_id, &to, None).await?;
            return Ok(job_id);
        }
        let new = job.document.new_job(None, target)?;
        let job_id = self.upload(&new).await?;
        if to.status() != JobStatus::Processing {
            tokio::time::sleep(STATE_DURATION).await;
            self.write(&job_id, &Transition::Process, Some(&new)).await?;
        }
        tokio::time::sleep(STATE_DURATION).await;
        self.write(&job_id, &to, Some(&new)).await?;
        Ok(job_id)
    }

    async fn write(&self, id: &str, to: &Transition, document: Option<&NewJob>) -> Result<()> {
        let at = self.table.advance(id, to).await?;
        self.print(at, id, to.status(), document)
    }

    /// `document` is known if this command has uploaded it.
    fn print(
        &self,
        at: Timestamp,
        job_id: &str,
        status: JobStatus,
        document: Option<&NewJob>,
    ) -> Result<()> {
        if self.json {
            return output::json(&json!({
                "job_id": job_id,
                "status": status,
                "updated_at": at,
                "document_id": document.map(|new| &new.document_id),
                "tenant_id": document.map(|new| new.tenant_id),
            }));
        }
        let id = printable(job_id);
        let document = document.filter(|_| status == JobStatus::Queued).map(|new| {
            format!(" (document {}, tenant {})", printable(&new.document_id), new.tenant_id)
        });
        output::line(format_args!("{at}  job {id} is {status}{}", document.unwrap_or_default()))
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if f64::is_finite(seconds) && seconds >= 0.0 => Ok(seconds),
        _ => Err("not a number of seconds; expected a number such as 45.2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_is_one_word_of_the_suggested_command() {
        assert_eq!(shell_word("550e8400-e29b"), "550e8400-e29b");
        assert_eq!(shell_word("x'y; rm -rf /"), r"'x'\''y; rm -rf /'");
        assert_eq!(shell_word(" "), "' '");
    }
}
