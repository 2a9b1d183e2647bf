//! What each step of the probe does.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use webhooks::aws::chain;
use webhooks::event_type::EventType;
use webhooks::secret::{KeyEnvironment, SigningSecret};
use webhooks::timestamp::Timestamp;

use super::super::advice;
use super::super::finding::{Finding, Problem};
use super::api::Answer;
use super::receiver::Endpoint;
use super::{Probe, Step, judge, traces};
use crate::job::table::{JobsTable, NewJob};
use crate::keys;

/// How long a delivery may take until it arrives. Usually it takes a second.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(1);
/// How long the log may take after that.
const LOG_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(300);

/// Why a wait has ended.
const STOPPED: &str = "stopped";

const WEBHOOKS: &str = "/v1/webhooks";

impl Probe<'_> {
    pub(super) async fn without_a_key(&self) -> Finding {
        let answer = self.api.send(None, Method::GET, WEBHOOKS, None).await;
        let problems = judge::without_a_key(&answer, self.api.url());
        Finding::of(Step::NoKey.check(), format!("{} refuses it", self.api.url()), &problems)
    }

    pub(super) async fn with_a_key(&mut self) -> Finding {
        let check = Step::Key.check();
        if let Err(problem) = self.make_a_key().await {
            return Finding::of(check, "", &[problem]);
        }
        let answer = self.send(Method::GET, WEBHOOKS, None).await;
        let tenant = self.run.as_ref().map_or_else(String::new, |run| run.tenant.to_string());
        let message = format!("a key of tenant {tenant} works");
        Finding::of(check, message, &judge::expecting(200, &answer, "a list of webhooks"))
    }

    async fn make_a_key(&mut self) -> Result<(), Problem> {
        let failed = |error: anyhow::Error| {
            Problem::fault(
                format!("No API key could be made: {}.", chain(error.as_ref())),
                format!(
                    "If dynamodb:Query on the index of ApiKeysTable or dynamodb:PutItem is not allowed: {}",
                    advice::PERMISSIONS
                ),
            )
        };
        let (run, others) = self.traces.begin().await.map_err(failed)?;
        let tenant = run.tenant;
        (self.run, self.others) = (Some(run), others);
        let end = Some(traces::expiry(Timestamp::now()));
        let (store, environment) = (&self.traces.keys, KeyEnvironment::Test);
        let key = keys::create(store, tenant, "docintell doctor", environment, end).await;
        match key {
            Ok((key, _)) => self.key = Some(key),
            Err(error) => {
                self.unclear = Some(Step::Key);
                return Err(failed(error));
            }
        }
        Ok(())
    }

    pub(super) async fn create(&mut self) -> Finding {
        let check = Step::Create.check();
        let events = [EventType::DocumentUploaded.as_str()];
        let fields = json!({"url": self.endpoint.url(), "events": events});
        let answer = self.send(Method::POST, WEBHOOKS, Some(&fields)).await;
        if judge::is_unclear(&answer) {
            self.unclear = Some(Step::Create);
        }
        let problems = judge::expecting(201, &answer, "a new webhook");
        let Some(body) = answer.ok().filter(|_| problems.is_empty()).map(|answer| answer.body)
        else {
            return Finding::of(check, "", &problems);
        };
        let id = body["webhook_config_id"].as_str();
        let secret = body["signing_secret"].as_str().map(SigningSecret::parse);
        let (Some(id), Some(Ok(secret))) = (id, secret) else {
            let problem = Problem::fault(
                "The API's response to a new webhook has no id or no signing secret.",
                advice::Section::Upgrade.see(),
            );
            return Finding::of(check, "", &[problem]);
        };
        self.webhooks.push(id.to_owned());
        if let Endpoint::Own(receiver) = &mut self.endpoint {
            receiver.trust(secret);
        }
        Finding::ok(check, format!("{id} for {}", self.endpoint.url()))
    }

    pub(super) async fn test(&mut self) -> Finding {
        let check = Step::Test.check();
        let path = format!("{}/test", self.webhook());
        let answer = self.send(Method::POST, &path, None).await;
        if answer.is_err() {
            self.unclear = Some(Step::Test);
        }
        let is_nowhere = matches!(self.endpoint, Endpoint::Nowhere);
        let mut problems = judge::test(&answer, is_nowhere);
        let message = if is_nowhere {
            "the sender has signed it, and its host does not exist, as intended"
        } else {
            "it was answered with a 2xx"
        };
        if let (Endpoint::Own(receiver), Ok(answer), []) =
            (&mut self.endpoint, &answer, &problems[..])
        {
            // The receiver has answered it already.
            let sent = answer.body["request"]["body"].as_str().unwrap_or_default();
            let id = judge::job_of(sent);
            let arrived = receiver.arrival(&id, Duration::from_secs(1)).await;
            problems = judge::arrival(arrived.as_ref());
        }
        Finding::of(check, message, &problems)
    }

    pub(super) async fn deliver(&mut self) -> Finding {
        let check = Step::Deliver.check();
        if matches!(self.endpoint, Endpoint::Nowhere) {
            let reason = "a stack on AWS cannot reach this machine; name an endpoint that answers 2xx with --url";
            return Finding::skipped(check, reason);
        }
        let Some(table) = self.outputs.jobs_table.clone() else {
            return Finding::skipped(
                check,
                "the stack reads another table's stream (JobsStreamArn)",
            );
        };
        let Some(run) = &self.run else { return Finding::skipped(check, "there is no tenant") };
        let job = NewJob { job_id: run.job_id(), ..NewJob::of(run.tenant) };
        let begun = Instant::now();
        if let Err(error) = JobsTable::new(self.config, table).upload(&job).await {
            self.unclear = Some(Step::Deliver);
            let problem = Problem::fault(
                format!("No job could be written: {}.", chain(error.as_ref())),
                format!("If dynamodb:PutItem is not allowed: {}", advice::PERMISSIONS),
            );
            return Finding::of(check, "", &[problem]);
        }
        if let Endpoint::Own(receiver) = &mut self.endpoint {
            let arrived = tokio::select! {
                arrived = receiver.arrival(&job.job_id, DELIVERY_TIMEOUT) => arrived,
                () = self.stop.requested() => return Finding::skipped(check, STOPPED),
            };
            let problems = judge::arrival(arrived.as_ref());
            if !problems.is_empty() {
                return Finding::of(check, "", &problems);
            }
        }
        let took = begun.elapsed();
        let wait =
            if matches!(self.endpoint, Endpoint::Own(_)) { LOG_TIMEOUT } else { DELIVERY_TIMEOUT };
        let row = self.log_entry(&job.job_id, wait).await;
        if self.stop.is_requested() && !row.as_ref().is_some_and(judge::has_ended) {
            return Finding::skipped(check, STOPPED);
        }
        let problems = judge::logged(row.as_ref());
        Finding::of(
            check,
            format!("an event arrived {:.1} s after its job", took.as_secs_f64()),
            &problems,
        )
    }

    /// The delivery of this job in the log once it has ended, or as it is when the time is over or the user asks to stop.
    async fn log_entry(&self, job: &str, wait: Duration) -> Option<Value> {
        let path = format!("{}/deliveries", self.webhook());
        let until = Instant::now() + wait;
        loop {
            let listed = self.send(Method::GET, &path, None).await.ok();
            let rows = listed.and_then(|answer| answer.body["deliveries"].as_array().cloned());
            let row = rows.unwrap_or_default().into_iter().find(|row| row["job_id"] == job);
            let is_over = Instant::now() >= until || self.stop.is_requested();
            if is_over || row.as_ref().is_some_and(judge::has_ended) {
                return row;
            }
            self.stop.sleep(POLL).await;
        }
    }

    pub(super) async fn delete(&mut self) -> Finding {
        // The webhook's row shows a later run where these rows are, so they go first. `Probe::remove` tries again, and
        // reports a failure.
        for (run, id) in
            self.run.iter().flat_map(|run| self.webhooks.iter().map(move |id| (run, id)))
        {
            self.traces.remove_rows_of(run.tenant, id).await.ok();
        }
        let answer = self.send(Method::DELETE, &self.webhook(), None).await;
        if judge::is_unclear(&answer) {
            self.unclear = Some(Step::Delete);
        }
        let problems = judge::expecting(204, &answer, "no webhook any more");
        Finding::of(Step::Delete.check(), "", &problems)
    }

    /// The path of the webhook.
    fn webhook(&self) -> String {
        format!("{WEBHOOKS}/{}", self.webhooks.last().map_or("", String::as_str))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        self.api.send(self.key.as_ref(), method, path, body).await
    }
}
