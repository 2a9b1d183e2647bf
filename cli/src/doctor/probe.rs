//! What only trying can show: doctor calls the API with a key of its own, makes a webhook, tests it, sends it an event,
//! and removes everything.
//!
//! `steps` has what each [`Step`] does, and `judge` says what each answer means. `api` and `receiver` are the two ends of
//! the service. `traces` removes what was made, also by runs that were killed.
//!
//! The rules: whatever happens, [`Probe::remove`] runs afterwards. A request that is under way ends first, because the API
//! would go on with it. If a change has no clear answer, the marker stays, so that a later run removes what comes of it.

mod api;
mod judge;
mod receiver;
mod steps;
mod traces;

use anyhow::Result;
use aws_types::SdkConfig;
use reqwest::Url;
use webhooks::secret::ApiKey;

use super::failure::Failure;
use super::finding::{Finding, Problem};
use super::report::Report;
use crate::output;
use crate::progress::Progress;
use crate::stack::Outputs;
use crate::stop::Stop;
use crate::words::count;
use api::Api;
use receiver::Endpoint;
use traces::{Others, Run, Traces};

/// What is tried, in this order. Each takes less than two minutes, all together less than the life of a marker, see
/// [`traces`].
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
    /// A step that changes something and got no clear answer, so its change may still come.
    unclear: Option<Step>,
    stop: Stop,
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
        stop: Stop,
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
            unclear: None,
            stop,
        })
    }

    /// Tries everything, until something fails or the user asks to stop.
    pub(crate) async fn run(&mut self, report: &mut Report) -> Result<()> {
        let mut failed = None;
        for step in Step::ALL {
            if self.stop.is_requested() {
                break;
            }
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
        let signal = self.stop.clone();
        let task = Progress::Shown.begin(match step {
            Step::NoKey | Step::Key => "calling the API",
            Step::Create => "making a webhook",
            Step::Test => "testing the webhook",
            Step::Deliver => "waiting for the delivery of an event",
            Step::Delete => "deleting the webhook",
        });
        let stopping = async {
            signal.requested().await;
            output::note("stopping as soon as the request under way has ended");
            std::future::pending::<Finding>().await
        };
        let tried = task.watch(async {
            match step {
                Step::NoKey => self.without_a_key().await,
                Step::Key => self.with_a_key().await,
                Step::Create => self.create().await,
                Step::Test => self.test().await,
                Step::Deliver => self.deliver().await,
                Step::Delete => self.delete().await,
            }
        });
        tokio::select! {
            biased;
            finding = tried => finding,
            never = stopping => never,
        }
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
            if self.unclear.is_none() {
                self.traces.forget(run).await?;
            }
            for killed in &self.others.ended {
                self.traces.remove(killed, &[], &[]).await?;
                self.traces.forget(killed).await?;
            }
            Ok(())
        });
        let failed = removed.await.err().map(|failure| unremoved(&failure, run));
        let unclear = self.unclear.map(|step| may_follow(step, run));
        let problems: Vec<Problem> = failed.into_iter().chain(unclear).collect();
        Finding::of(REMOVAL, removal(&self.others), &problems)
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

fn may_follow(step: Step, run: &Run) -> Problem {
    Problem::warning(
        format!(
            "\"{}\" got no clear answer: what it asked for may still be made, of tenant {}.",
            step.check(),
            run.tenant
        ),
        "A run of doctor after 15 minutes removes it.",
    )
}
