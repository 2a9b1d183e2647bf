//! What only trying can show: doctor calls the API with a key of its own, makes a webhook, tests it, sends it an event,
//! and removes everything.
//!
//! `traces` removes what was made, also by runs that were killed. `judge` says what each answer means. `api` and
//! `receiver` are the two ends of the service.
//!
//! The rule: whatever happens, [`Probe::remove`] runs afterwards.

mod api;
mod judge;
mod receiver;
mod traces;

use std::time::Duration;

use anyhow::Result;
use aws_types::SdkConfig;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use webhooks::aws::chain;
use webhooks::event_type::EventType;
use webhooks::secret::{ApiKey, KeyEnvironment, SigningSecret};
use webhooks::timestamp::Timestamp;

use super::advice;
use super::failure::Failure;
use super::finding::{Finding, Problem};
use super::report::Report;
use crate::job::table::{JobsTable, NewJob};
use crate::keys;
use crate::progress::Progress;
use crate::stack::Outputs;
use crate::words::count;
use api::{Answer, Api};
use receiver::Endpoint;
use traces::{Others, Run, Traces};

/// How long a delivery may take until it arrives. Usually it takes a second.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(1);
/// How long the log may take after that.
const LOG_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(300);

const WEBHOOKS: &str = "/v1/webhooks";

/// What is tried, in this order. Each takes less than two minutes, all together less than the life
/// of a marker, see [`traces`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    NoKey,
    Key,
    Create,
    Test,
    Deliver,
    Delete,
}

impl Step {
    const ALL: [Self; 6] =
        [Self::NoKey, Self::Key, Self::Create, Self::Test, Self::Deliver, Self::Delete];

    const fn check(self) -> &'static str {
        match self {
            Self::NoKey => "API without a key",
            Self::Key => "API with a key",
            Self::Create => "new webhook",
            Self::Test => "test of the webhook",
            Self::Deliver => "delivery",
            Self::Delete => "deleted webhook",
        }
    }
}

/// The last check.
const REMOVAL: &str = "removal";

#[derive(Debug)]
pub(crate) struct Probe<'a> {
    config: &'a SdkConfig,
    outputs: &'a Outputs,
    traces: Traces<'a>,
    api: Api,
    endpoint: Endpoint,
    run: Option<Run>,
    key: Option<ApiKey>,
    others: Others,
    /// Ids of webhooks that were made.
    webhooks: Vec<String>,
}

/// All checks of this module.
pub(crate) fn checks() -> impl Iterator<Item = &'static str> {
    Step::ALL.into_iter().map(Step::check).chain([REMOVAL])
}

impl<'a> Probe<'a> {
    /// `receiver` is an endpoint that the user names.
    pub(crate) async fn new(
        config: &'a SdkConfig,
        outputs: &'a Outputs,
        receiver: Option<Url>,
        is_local: bool,
    ) -> Result<Self> {
        Ok(Self {
            config,
            outputs,
            traces: Traces::new(config, outputs),
            api: Api::at(&outputs.api_url)?,
            endpoint: Endpoint::new(receiver, is_local).await?,
            run: None,
            key: None,
            others: Others::default(),
            webhooks: Vec::new(),
        })
    }

    /// Tries everything, until something fails.
    pub(crate) async fn run(&mut self, report: &mut Report) -> Result<()> {
        let mut failed = None;
        for step in Step::ALL {
            let check = step.check();
            let blocking = failed.filter(|_| step != Step::Delete || self.webhooks.is_empty());
            let finding = match blocking {
                Some(failed) => Finding::skipped(check, format!("\"{failed}\" has failed")),
                None if step == Step::Deliver && report.has_fault() => {
                    Finding::skipped(check, "first repair the faults above")
                }
                None => self.try_out(step).await,
            };
            if finding.is_fault() && failed.is_none() {
                failed = Some(check);
            }
            report.add(finding)?;
        }
        Ok(())
    }

    async fn try_out(&mut self, step: Step) -> Finding {
        let task = Progress::Shown.begin(match step {
            Step::NoKey | Step::Key => "calling the API",
            Step::Create => "making a webhook",
            Step::Test => "testing the webhook",
            Step::Deliver => "waiting for the delivery of an event",
            Step::Delete => "deleting the webhook",
        });
        task.watch(async {
            match step {
                Step::NoKey => self.without_a_key().await,
                Step::Key => self.with_a_key().await,
                Step::Create => self.create().await,
                Step::Test => self.test().await,
                Step::Deliver => self.deliver().await,
                Step::Delete => self.delete().await,
            }
        })
        .await
    }

    async fn without_a_key(&self) -> Finding {
        let answer = self.api.send(None, Method::GET, WEBHOOKS, None).await;
        let problems = judge::without_a_key(&answer, self.api.url());
        Finding::of(Step::NoKey.check(), format!("{} refuses it", self.api.url()), &problems)
    }

    async fn with_a_key(&mut self) -> Finding {
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
        self.key = Some(key.map_err(failed)?.0);
        Ok(())
    }

    async fn create(&mut self) -> Finding {
        let check = Step::Create.check();
        let events = [EventType::DocumentUploaded.as_str()];
        let fields = json!({"url": self.endpoint.url(), "events": events});
        let answer = self.send(Method::POST, WEBHOOKS, Some(&fields)).await;
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

    async fn test(&mut self) -> Finding {
        let check = Step::Test.check();
        let path = format!("{}/test", self.webhook());
        let answer = self.send(Method::POST, &path, None).await;
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

    async fn deliver(&mut self) -> Finding {
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
            let problem = Problem::fault(
                format!("No job could be written: {}.", chain(error.as_ref())),
                format!("If dynamodb:PutItem is not allowed: {}", advice::PERMISSIONS),
            );
            return Finding::of(check, "", &[problem]);
        }
        if let Endpoint::Own(receiver) = &mut self.endpoint {
            let arrived = receiver.arrival(&job.job_id, DELIVERY_TIMEOUT).await;
            let problems = judge::arrival(arrived.as_ref());
            if !problems.is_empty() {
                return Finding::of(check, "", &problems);
            }
        }
        let took = begun.elapsed();
        let wait =
            if matches!(self.endpoint, Endpoint::Own(_)) { LOG_TIMEOUT } else { DELIVERY_TIMEOUT };
        let problems = judge::logged(self.log_entry(&job.job_id, wait).await.as_ref());
        Finding::of(
            check,
            format!("an event arrived {:.1} s after its job", took.as_secs_f64()),
            &problems,
        )
    }

    /// The delivery of this job in the log once it has ended, or as it is when the time is over.
    async fn log_entry(&self, job: &str, wait: Duration) -> Option<Value> {
        let path = format!("{}/deliveries", self.webhook());
        let until = Instant::now() + wait;
        loop {
            let listed = self.send(Method::GET, &path, None).await.ok();
            let rows = listed.and_then(|answer| answer.body["deliveries"].as_array().cloned());
            let row = rows.unwrap_or_default().into_iter().find(|row| row["job_id"] == job);
            if row.as_ref().is_some_and(judge::has_ended) || Instant::now() >= until {
                return row;
            }
            sleep(POLL).await;
        }
    }

    async fn delete(&mut self) -> Finding {
        // While the webhook's row names them. A failure here is repeated, and reported, at the end.
        for (run, id) in
            self.run.iter().flat_map(|run| self.webhooks.iter().map(move |id| (run, id)))
        {
            self.traces.remove_rows_of(run.tenant, id).await.ok();
        }
        let answer = self.send(Method::DELETE, &self.webhook(), None).await;
        let problems = judge::expecting(204, &answer, "no webhook any more");
        Finding::of(Step::Delete.check(), "", &problems)
    }

    /// Removes everything that this run and killed runs have made.
    pub(crate) async fn remove(&self) -> Finding {
        let Some(run) = &self.run else {
            return Finding::skipped(REMOVAL, "nothing was made");
        };
        let keys: Vec<String> = self.key.iter().map(ApiKey::hash).collect();
        let task = Progress::Shown.begin("removing what was made");
        let removed = task.watch(async {
            self.traces.remove(run, &self.webhooks, &keys).await?;
            for killed in &self.others.ended {
                self.traces.remove(killed, &[], &[]).await?;
            }
            Ok(())
        });
        let problems: Vec<Problem> =
            removed.await.err().iter().map(|failure| unremoved(failure, run)).collect();
        Finding::of(REMOVAL, removal(&self.others), &problems)
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

fn removal(others: &Others) -> String {
    let killed = match others.ended.len() {
        0 => String::new(),
        runs => format!(", and nothing of {} killed before", count(runs, "run")),
    };
    let running = match others.running {
        0 => String::new(),
        runs => format!(
            "; {} may be under way, or killed in the last 15 minutes",
            count(runs, "other run")
        ),
    };
    format!("nothing of this run is left{killed}{running}")
}

fn unremoved(failure: &Failure, run: &Run) -> Problem {
    let Problem { message, action, .. } = failure.problem();
    Problem::fault(
        format!("Something that doctor has made is left, of tenant {}. {message}", run.tenant),
        format!("{action} A run of doctor after 15 minutes removes it."),
    )
}
