//! Processes two documents and delivers their events to a local test receiver, through the real functions.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;
use webhooks::event_type::EventType;
use webhooks::id::TenantId;
use webhooks::job::JobStatus;
use webhooks::secret::SigningSecret;
use webhooks::timestamp::Timestamp;

use super::StackInfo;
use super::deliveries::{Deliveries, Line, Outcome, headings, time_of_day};
use super::receiver::Receiver;
use crate::http;
use crate::job::table::{JobsTable, NewJob, Transition};
use crate::output;
use crate::progress::Progress;

/// The longest wait for a delivery, including the functions' first start.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Demo {
    receiver: Receiver,
    jobs: JobsTable,
    tenant_id: TenantId,
}

impl Demo {
    /// Registers `receiver` for every event, through the API.
    pub(super) async fn register(info: &StackInfo, receiver: Receiver) -> Result<Self> {
        #[derive(Deserialize)]
        struct Created {
            signing_secret: String,
        }
        let task = Progress::Shown.begin("registering a receiver");
        let events = EventType::ALL.map(EventType::as_str);
        let request = http::loopback_client()?
            .post(format!("{}/v1/webhooks", info.outputs.api_url))
            .bearer_auth(&info.api_key)
            .header("Content-Type", "application/json")
            .body(json!({"url": receiver.url(), "events": events}).to_string());
        let response = task.watch(request.send()).await.context("the API does not answer")?;
        let status = response.status();
        let body = response.text().await.context("the API's response ended early")?;
        if status != reqwest::StatusCode::CREATED {
            bail!("the API did not register the receiver: {status}, {body}");
        }
        // The parser's own error could quote the secret.
        let Ok(Created { signing_secret }) = serde_json::from_str(&body) else {
            bail!("the API's response to a new webhook has no signing secret");
        };
        receiver.trust(SigningSecret::parse(&signing_secret)?)?;
        task.done(format_args!("webhook for all events, with a receiver at {}", receiver.url()));
        let jobs = JobsTable::new(&info.aws_config(), info.outputs.jobs_table()?.to_owned());
        Ok(Self { receiver, jobs, tenant_id: info.tenant_id })
    }

    /// Completes one document's job, fails another one, and waits for each event.
    pub(super) async fn run(&self, deliveries: &mut Deliveries) -> Result<()> {
        let complete =
            Transition::Complete { pages: 12, seconds: 45.2, ir_version: "v001".to_owned() };
        output::line(format_args!("\nProcessing a document:\n\n{}", headings()))?;
        self.document(deliveries, &complete, EventType::ProcessingCompleted).await?;
        let message = Some("File is corrupted or password protected".to_owned());
        output::line("\nProcessing a document that fails:\n")?;
        self.document(deliveries, &Transition::Fail { message }, EventType::ProcessingFailed)
            .await?;
        output::line("\nThe receiver verified the signature of each delivery.")
    }

    async fn document(
        &self,
        deliveries: &mut Deliveries,
        end: &Transition,
        event: EventType,
    ) -> Result<()> {
        let job = NewJob::of(self.tenant_id);
        print_state(self.jobs.upload(&job).await?, JobStatus::Queued, &job)?;
        self.expect(deliveries, EventType::DocumentUploaded, &job).await?;
        for transition in [&Transition::Process, end] {
            let at = self.jobs.advance(&job.job_id, transition).await?;
            print_state(at, transition.status(), &job)?;
        }
        self.expect(deliveries, event, &job).await
    }

    /// Shows deliveries until the receiver has `event` of `job`.
    async fn expect(
        &self,
        deliveries: &mut Deliveries,
        event: EventType,
        job: &NewJob,
    ) -> Result<()> {
        let is_last = |line: &Line| {
            line.event == event && line.job_id == job.job_id && line.outcome != Outcome::Pending
        };
        let shown = deliveries.show_until(is_last);
        let Ok(line) = tokio::time::timeout(TIMEOUT, shown).await else {
            bail!("{event} was not delivered within {} s", TIMEOUT.as_secs());
        };
        match self.receiver.has_verified(line?.delivery_id) {
            Some(true) => Ok(()),
            Some(false) => bail!("{event} arrived with a wrong signature"),
            None => bail!("{event} did not reach the receiver"),
        }
    }
}

fn print_state(at: Timestamp, status: JobStatus, job: &NewJob) -> Result<()> {
    output::line(format_args!("  {:<10}  job {} is {status}", time_of_day(at), job.job_id))
}
