//! Two documents on their way through the real API, queue and functions to a receiver of our own.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;
use webhooks::event_type::EventType;
use webhooks::id::TenantId;
use webhooks::job::JobStatus;
use webhooks::secret::SigningSecret;

use super::Steps;
use crate::http;
use crate::pipeline::{NewJob, Pipeline, Step};
use crate::receiver::{Arrival, Receiver};
use crate::stack::StackInfo;

/// How long a delivery may take: the functions' first start is part of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registered receiver and jobs to be written.
#[derive(Debug)]
pub(super) struct Demo {
    receiver: Receiver,
    pipeline: Pipeline,
    tenant_id: TenantId,
}

impl Demo {
    /// Registers `receiver` for every event, through the API.
    pub(super) async fn register(
        info: &StackInfo,
        receiver: Receiver,
        steps: Steps,
    ) -> Result<Self> {
        #[derive(Deserialize)]
        struct Created {
            signing_secret: String,
        }
        let step = steps.begin("registering a receiver");
        let events = EventType::ALL.map(EventType::as_str);
        let request = http::loopback_client()?
            .post(format!("{}/v1/webhooks", info.api_url))
            .bearer_auth(&info.api_key)
            .header("Content-Type", "application/json")
            .body(json!({"url": receiver.url(), "events": events}).to_string());
        let answer = step.watch(request.send()).await.context("the API does not answer")?;
        let status = answer.status();
        let body = answer.text().await.context("the API's answer broke off")?;
        if status != reqwest::StatusCode::CREATED {
            bail!("the API did not register the receiver, it answered {status}: {body}");
        }
        // Not with the parser's own error, which could quote the secret.
        let Ok(Created { signing_secret }) = serde_json::from_str(&body) else {
            bail!("the API's answer to a new webhook holds no signing secret");
        };
        receiver.trust(SigningSecret::parse(&signing_secret)?)?;
        step.done(format_args!("receiver at {}, registered for all events", receiver.url()));
        Ok(Self {
            receiver,
            pipeline: Pipeline::new(&info.aws_config(), info.jobs_table.clone()),
            tenant_id: info.tenant_id,
        })
    }

    /// Takes one document to its good end and one to its bad end, waiting for each event.
    pub(super) async fn run(&mut self) -> Result<()> {
        let complete = Step::Complete { pages: 12, seconds: 45.2, ir_version: "v001".to_owned() };
        println!("\nA document is uploaded and processed:");
        self.document(&complete, EventType::ProcessingCompleted).await?;
        let message = Some("File is corrupted or password protected".to_owned());
        println!("\nAnother one cannot be processed:");
        self.document(&Step::Fail { message }, EventType::ProcessingFailed).await
    }

    async fn document(&mut self, end: &Step, event: EventType) -> Result<()> {
        let job = NewJob::of(self.tenant_id);
        println!("  job {} of document {}", job.job_id, job.document_id);
        self.pipeline.upload(&job).await?;
        println!("  {}", JobStatus::Queued);
        self.expect(EventType::DocumentUploaded, &job).await?;
        for step in [&Step::Process, end] {
            self.pipeline.advance(&job.job_id, step).await?;
            println!("  {}", step.status());
        }
        self.expect(event, &job).await
    }

    /// Shows what arrives until that is `event` of `job`.
    async fn expect(&mut self, event: EventType, job: &NewJob) -> Result<()> {
        let arrival = async {
            loop {
                let arrival = self.receiver.next().await?;
                let shown = self.show(&arrival).await?;
                if arrival.event == event.as_str() && shown.as_deref() == Some(&job.job_id) {
                    return Ok(arrival.verified);
                }
            }
        };
        match tokio::time::timeout(PATIENCE, arrival).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => bail!("{event} arrived with a signature that is not its own"),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => bail!("{event} did not arrive within {} s", PATIENCE.as_secs()),
        }
    }

    /// Shows whatever arrives.
    pub(super) async fn watch(&mut self) -> Result<()> {
        loop {
            let arrival = self.receiver.next().await?;
            self.show(&arrival).await?;
        }
    }

    /// Prints an arrival; the id of its job.
    async fn show(&self, arrival: &Arrival) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Body {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            job_id: String,
            status: String,
        }
        let data = serde_json::from_slice(&arrival.body).ok().map(|body: Body| body.data);
        let mut delay = String::new();
        if let Some(data) = &data {
            // A job that has moved on no longer says when it was in the state that the event tells of.
            if let Some((status, since)) = self.pipeline.state(&data.job_id).await?
                && status.as_str() == data.status
            {
                let millis = arrival.at.unix_millis().saturating_sub(since.unix_millis());
                delay = format!("  {millis} ms after the write");
            }
        }
        let signature = if arrival.verified { "verified" } else { "NOT VERIFIED" };
        let Arrival { event, attempt, .. } = arrival;
        println!("    ← {event:<29} attempt {attempt}  signature {signature}{delay}");
        Ok(data.map(|data| data.job_id))
    }
}
