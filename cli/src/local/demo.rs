//! Processes documents and delivers their events to a local test receiver, through the real functions. The last delivery
//! fails, is found in the log, and is sent again.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;
use webhooks::event_type::EventType;
use webhooks::id::{TenantId, WebhookId};
use webhooks::job::JobStatus;
use webhooks::secret::SigningSecret;
use webhooks::timestamp::Timestamp;

use super::StackInfo;
use super::api::Api;
use super::deliveries::{Deliveries, Line, Outcome, headings, time_of_day};
use super::receiver::Receiver;
use crate::job::table::{JobsTable, NewJob, Transition};
use crate::output;
use crate::progress::Progress;

/// The longest wait for a delivery, including the functions' first start.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Attempts of each delivery to the receiver, so that a failed one ends soon.
const MAX_ATTEMPTS: u8 = 2;

#[derive(Debug)]
pub(super) struct Demo {
    api: Api,
    webhook_id: WebhookId,
    receiver: Receiver,
    jobs: JobsTable,
    tenant_id: TenantId,
    json: bool,
}

impl Demo {
    /// Registers `receiver` for every event, through the API.
    pub(super) async fn register(info: &StackInfo, receiver: Receiver, json: bool) -> Result<Self> {
        #[derive(Deserialize)]
        struct Created {
            webhook_config_id: WebhookId,
            signing_secret: String,
        }
        let task = Progress::Shown.begin("registering a receiver");
        let events = EventType::ALL.map(EventType::as_str);
        let webhook = json!({"url": receiver.url(), "events": events, "max_retries": MAX_ATTEMPTS});
        let api = Api::new(info)?;
        let body = task.watch(api.send(Method::POST, "/v1/webhooks", Some(&webhook))).await?;
        // The parser's own error could quote the secret.
        let Ok(Created { webhook_config_id, signing_secret }) = serde_json::from_value(body) else {
            bail!("the API's response to a new webhook has no id or no signing secret");
        };
        receiver.trust(SigningSecret::parse(&signing_secret)?)?;
        task.done(format_args!("webhook for all events, with a receiver at {}", receiver.url()));
        let jobs = JobsTable::new(&info.aws_config(), info.outputs.jobs_table()?.to_owned());
        Ok(Self {
            api,
            webhook_id: webhook_config_id,
            receiver,
            jobs,
            tenant_id: info.tenant_id,
            json,
        })
    }

    /// Completes one document's job, fails another one, and waits for each event. Then lets a delivery fail and recover.
    pub(super) async fn run(&self, deliveries: &mut Deliveries) -> Result<()> {
        let complete =
            Transition::Complete { pages: 12, seconds: 45.2, ir_version: "v001".to_owned() };
        self.say("\nProcessing a document:\n")?;
        if !self.json {
            output::line(headings())?;
        }
        self.document(deliveries, &complete, EventType::ProcessingCompleted).await?;
        let message = Some("File is corrupted or password protected".to_owned());
        self.say("\nProcessing a document that fails:\n")?;
        self.document(deliveries, &Transition::Fail { message }, EventType::ProcessingFailed)
            .await?;
        self.recover(deliveries).await?;
        self.say("\nThe receiver verified the signature of each delivery.")
    }

    /// Uploads a document while the receiver is out of order. Then finds the failed delivery in the log and sends it
    /// again, through the API.
    async fn recover(&self, deliveries: &mut Deliveries) -> Result<()> {
        self.say("\nUploading a document while the receiver is out of order:\n")?;
        self.receiver.set_out_of_order(true);
        let job = NewJob::of(self.tenant_id);
        self.say_state(self.jobs.upload(&job).await?, JobStatus::Queued, &job)?;
        self.ended(deliveries, EventType::DocumentUploaded, &job).await?;
        self.receiver.set_out_of_order(false);

        let path = format!("/v1/webhooks/{}/deliveries", self.webhook_id);
        self.say(format_args!("\nThe receiver works again. GET {path}?status=failed lists:\n"))?;
        let list = self.api.send(Method::GET, &format!("{path}?status=failed"), None).await?;
        let failed = &list["deliveries"][0];
        let Some(id) = failed["delivery_id"].as_str() else {
            bail!("the API does not list the failed delivery: {list}");
        };
        self.say(format_args!("{failed:#}"))?;
        let path = format!("{path}/{id}/retry");
        self.say(format_args!("\nPOST {path} sends it again:\n"))?;
        self.api.send(Method::POST, &path, None).await?;
        self.expect(deliveries, EventType::DocumentUploaded, &job).await
    }

    async fn document(
        &self,
        deliveries: &mut Deliveries,
        end: &Transition,
        event: EventType,
    ) -> Result<()> {
        let job = NewJob::of(self.tenant_id);
        self.say_state(self.jobs.upload(&job).await?, JobStatus::Queued, &job)?;
        self.expect(deliveries, EventType::DocumentUploaded, &job).await?;
        for transition in [&Transition::Process, end] {
            let at = self.jobs.advance(&job.job_id, transition).await?;
            self.say_state(at, transition.status(), &job)?;
        }
        self.expect(deliveries, event, &job).await
    }

    /// Standard output is for the objects alone if it has JSON.
    fn say(&self, text: impl Display) -> Result<()> {
        output::sentence(text, self.json)
    }

    fn say_state(&self, at: Timestamp, status: JobStatus, job: &NewJob) -> Result<()> {
        self.say(format_args!("  {:<10}  job {} is {status}", time_of_day(at), job.job_id))
    }

    /// Shows deliveries until the receiver has `event` of `job`.
    async fn expect(
        &self,
        deliveries: &mut Deliveries,
        event: EventType,
        job: &NewJob,
    ) -> Result<()> {
        let line = self.ended(deliveries, event, job).await?;
        match self.receiver.has_verified(line.delivery_id) {
            Some(true) => Ok(()),
            Some(false) => bail!("{event} arrived with a wrong signature"),
            None => bail!("{event} did not reach the receiver"),
        }
    }

    /// Shows deliveries until that of `event` of `job` ends.
    async fn ended(
        &self,
        deliveries: &mut Deliveries,
        event: EventType,
        job: &NewJob,
    ) -> Result<Line> {
        let is_last = |line: &Line| {
            line.event == event && line.job_id == job.job_id && line.outcome != Outcome::Pending
        };
        match timeout(TIMEOUT, deliveries.show_until(is_last)).await {
            Ok(line) => line,
            Err(_elapsed) => {
                bail!("the delivery of {event} did not end within {} s", TIMEOUT.as_secs())
            }
        }
    }
}
