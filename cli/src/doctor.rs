//! `docintell doctor`: checks a stack, local or deployed, and says what is wrong and what to do.
//!
//! Each group of checks has a module: `identity`, [`tables`], [`queues`], [`functions`], [`mappings`], `secrets`, and
//! `probe` for what only trying can show. A module first gathers facts and then judges them; the judgement is pure. Its
//! `template` is what template.yaml defines, and tests compare the two. `failure` is why a call to AWS failed,
//! `finding` what a check found, and `advice` what to do. `report` prints.
//!
//! The rule: every call has a time limit, and a check that fails leaves the others to go on.

mod advice;
mod failure;
mod finding;
mod functions;
mod identity;
mod mappings;
mod probe;
mod queues;
mod report;
#[cfg(test)]
mod sample;
mod secrets;
mod tables;
#[cfg(test)]
mod template_text;

use std::fmt::{self, Display};
use std::time::Duration;

use anyhow::{Error, Result, bail};
use aws_config::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use clap::Args;
use futures_util::future::join_all;
use reqwest::Url;

use crate::http::is_web;
use crate::progress::Progress;
use crate::stack::{Found, Outputs, StackArgs};
use crate::stop::{Stop, Stopped};
use advice::Section;
use finding::{Finding, Problem};
use probe::Probe;
use report::Report;

/// Time limit of one try of a call to AWS.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of a call with all its tries.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// A check has found a fault, and the report has it.
#[derive(Debug)]
pub(crate) struct FaultFound;

impl Display for FaultFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("something is wrong")
    }
}

impl std::error::Error for FaultFound {}

#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    stack: StackArgs,
    /// Endpoint for the test delivery; must be reachable for the stack and answer 2xx [default: a receiver of doctor's
    /// own, for the local stack only]
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    url: Option<Url>,
}

fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok();
    url.filter(is_web)
        .ok_or_else(|| "not a URL; expected one such as https://example.com/webhooks".to_owned())
}

pub(crate) async fn run(args: DoctorArgs, json: bool) -> Result<()> {
    let Found { name, config, outputs } = args.stack.find().await?;
    // From now on a signal ends the checks, so nothing is left behind.
    let stop = Stop::on_signals()?;
    let config = with_time_limits(&config);
    let mut report = Report::new(json);
    let (identity, hindrance) = tokio::select! {
        found = identity::finding(&config) => found,
        () = stop.requested() => return Err(stopped()),
    };
    report.add(identity)?;
    if let Some(reason) = hindrance {
        report.add(Finding::skipped("outputs", reason))?;
        skip_rest(&mut report, reason)?;
        bail!("doctor could not look at the stack: {reason}");
    }
    let outputs = match outputs {
        Ok(outputs) => {
            report.add(Finding::ok("outputs", "all there"))?;
            outputs
        }
        Err(missing) => {
            report.add(Finding::of("outputs", "", &[incomplete(&missing)]))?;
            skip_rest(&mut report, "outputs are missing")?;
            return Err(FaultFound.into());
        }
    };
    let command = dlq_command(name.as_deref());
    tokio::select! {
        looked = look(&config, &outputs, &command, &mut report) => looked?,
        () = stop.requested() => return Err(stopped()),
    }
    let mut probe = Probe::new(&config, &outputs, args.url, name.is_none(), stop.clone()).await?;
    let tried = probe.run(&mut report).await;
    let is_stopped = stop.is_requested();
    let removed = probe.remove().await;
    tried?;
    report.add(removed)?;
    if is_stopped {
        return Err(stopped());
    }
    end(&report)
}

fn stopped() -> Error {
    Stopped("not everything was checked".to_owned()).into()
}

/// Ends the report without the checks that need the stack's outputs.
fn skip_rest(report: &mut Report, reason: &str) -> Result<()> {
    let queues = queues::ALL.iter();
    let checks = (tables::ALL.iter().map(|it| it.check()))
        .chain(queues.clone().map(|it| it.check()))
        .chain(queues.filter_map(|it| it.parked_check()))
        .chain(functions::ALL.iter().map(|it| it.check()))
        .chain(mappings::ALL.iter().map(|it| it.check()))
        .chain([secrets::CHECK].into_iter().chain(probe::checks()).map(str::to_owned));
    for check in checks {
        report.add(Finding::skipped(check, reason))?;
    }
    report.end()
}

fn end(report: &Report) -> Result<()> {
    report.end()?;
    if report.has_fault() { Err(FaultFound.into()) } else { Ok(()) }
}

fn with_time_limits(config: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(TRY_TIMEOUT)
        .operation_attempt_timeout(TRY_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    config.clone().into_builder().timeout_config(timeouts).build()
}

fn incomplete(missing: &[&str]) -> Problem {
    Problem::fault(
        format!(
            "The stack has no output {}: its template is of another version.",
            missing.join(", ")
        ),
        format!(
            "Deploy this version ({}), or use the `docintell` of the stack's version.",
            Section::Upgrade.named()
        ),
    )
}

/// The command that lists what is parked.
fn dlq_command(stack: Option<&str>) -> String {
    let options = stack.map_or_else(String::new, |name| format!(" --stack-name {name}"));
    format!("docintell dlq list{options}")
}

/// All checks that change nothing.
async fn look(
    config: &SdkConfig,
    outputs: &Outputs,
    dlq_command: &str,
    report: &mut Report,
) -> Result<()> {
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    let sqs = aws_sdk_sqs::Client::new(config);
    let lambda = aws_sdk_lambda::Client::new(config);
    let task = Progress::Shown.begin("reading the stack");
    let (tables, queues, functions, mappings, secrets) = task
        .watch(async {
            tokio::join!(
                join_all(tables::ALL.map(|table| tables::gather(&dynamodb, table, outputs))),
                join_all(queues::ALL.map(|queue| queues::gather(&sqs, queue, outputs))),
                join_all(functions::ALL.map(|it| functions::gather(&lambda, it, outputs))),
                mappings::gather(&lambda),
                secrets::finding(config, outputs),
            )
        })
        .await;
    for table in &tables {
        report.add(table.finding())?;
    }
    let timeout_of = |name: &str| {
        let function = functions.iter().find(|it| it.function.name == name)?;
        Some(function.facts.as_ref().ok()?.timeout)
    };
    for queue in &queues {
        report.add(queue.finding(outputs, queue.queue.reader().and_then(timeout_of)))?;
    }
    for parked in queues.iter().filter_map(|queue| queue.parked(dlq_command)) {
        report.add(parked)?;
    }
    for function in &functions {
        report.add(function.finding(outputs))?;
    }
    let stream = tables.iter().find(|it| it.table.name == tables::JOBS.name);
    let stream = stream.and_then(|it| it.facts.as_ref().ok()?.stream_arn.clone());
    for mapping in mappings::ALL {
        let queue = queues.iter().find(|it| it.queue.reader() == Some(mapping.function.name));
        let queue = queue.and_then(|it| it.facts.as_ref().ok()).map(|it| it.arn.as_str());
        let is_fanout = mapping.function.name == functions::FANOUT.name;
        let source = if is_fanout { stream.as_deref() } else { queue };
        report.add(mapping.finding(&mappings, source, outputs))?;
    }
    report.add(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_of_another_version_names_the_missing_outputs() {
        let problem = incomplete(&["ReplaysTable", "ReplayQueueUrl"]);
        assert!(problem.message.contains("no output ReplaysTable, ReplayQueueUrl"), "{problem:?}");
        assert!(problem.action.contains("docs/OPERATIONS.md, \"Upgrade\""), "{problem:?}");
    }

    #[test]
    fn the_command_for_parked_messages_names_the_stack() {
        assert_eq!(dlq_command(None), "docintell dlq list");
        assert_eq!(dlq_command(Some("prod")), "docintell dlq list --stack-name prod");
    }

    #[test]
    fn an_endpoint_is_a_web_url() {
        assert!(endpoint("https://example.com/webhooks").is_ok());
        for text in ["", "example.com", "ftp://example.com", "/webhooks"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
