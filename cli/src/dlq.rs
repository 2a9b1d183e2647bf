//! `docintell dlq`: what is parked in the dead-letter queue, or in the queue for faults, and why; and what to do about it.
//!
//! `select` reads the `queue`, joins each message (`parked`, `content`) with the delivery log, and applies the
//! `filter`. `view` shows messages, `redrive` sends them again (`plan` decides how, `job_change` goes through fanout),
//! and `discard` drops them. `held` keeps messages hidden meanwhile.
//!
//! The rule: no command loses a message, and none hides one for longer than it works on it.

mod content;
mod discard;
mod filter;
mod held;
mod job_change;
mod parked;
mod plan;
mod queue;
mod redrive;
mod select;
mod view;

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use webhooks::timestamp::Timestamp;

use crate::output;
use crate::stack::{Stack, StackArgs, with_timeout};
use crate::stop::Stop;
use crate::words::count;
use filter::{Filter, Ids};
use job_change::Fanout;
use parked::Parked;
use queue::ParkedQueue;
use redrive::Destinations;
use select::{Selection, Source, Wanted};

/// Time limit of an invocation of fanout: its own limit is 30 s.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(40);

#[derive(Debug, Clone, Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
    #[command(flatten)]
    stack: StackArgs,
    /// Work on `PipelineFaultsQueue`: what the service itself could not process
    #[arg(long, global = true)]
    faults: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum DlqCommand {
    /// List parked messages, oldest first
    List {
        #[command(flatten)]
        ids: Ids,
        #[command(flatten)]
        filter: Filter,
        /// One JSON object per line, without bodies
        #[arg(long)]
        json: bool,
    },
    /// Show everything about one message, with its body
    Show {
        /// Id of a message or of a delivery; for faults also of a job, or a sequence number
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// One JSON object per message
        #[arg(long)]
        json: bool,
    },
    /// Send messages again, each as a new chain of attempts, and delete them here
    Redrive {
        #[command(flatten)]
        ids: Ids,
        #[command(flatten)]
        filter: Filter,
        /// Also send what has been delivered since, according to the delivery log
        #[arg(long)]
        all: bool,
        /// Show what would be sent, and send nothing
        #[arg(long)]
        dry_run: bool,
        /// Messages per second
        #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1000))]
        rate: u32,
    },
    /// Delete messages for good; needs ids, a filter, --delivered or --all
    Drop {
        #[command(flatten)]
        ids: Ids,
        #[command(flatten)]
        filter: Filter,
        /// Only what has been delivered since, according to the delivery log; needs no confirmation
        #[arg(long)]
        delivered: bool,
        /// Every message
        #[arg(long, conflicts_with_all = ["delivered", "ids", "Filter"])]
        all: bool,
        /// Show what would be dropped, and drop nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(args: DlqArgs) -> Result<()> {
    let DlqArgs { command, stack, faults } = args;
    let (ids, filter, delivered) = match &command {
        DlqCommand::List { ids, filter, .. } | DlqCommand::Redrive { ids, filter, .. } => {
            (ids.ids.clone(), filter.clone(), false)
        }
        DlqCommand::Show { id, .. } => (vec![id.clone()], Filter::default(), false),
        DlqCommand::Drop { ids, filter, delivered, all, .. } => {
            ensure!(
                *delivered || *all || !ids.ids.is_empty() || !filter.is_empty(),
                "nothing says what to drop: name ids, a filter, --delivered or --all"
            );
            (ids.ids.clone(), filter.clone(), *delivered)
        }
    };
    ensure!(
        !(faults && filter.unattempted),
        "--unattempted selects deliveries that SQS moved to the dead-letter queue: leave out --faults"
    );
    let parts = Parts::new(&stack.stack().await?, faults)?;
    let now = Timestamp::now();
    let wanted = Wanted { filter: &filter, ids: &ids, delivered };
    let mut selection = parts.source.select(&wanted, now).await?;
    let result = parts.carry_out(command, faults, &mut selection, now).await;
    selection.held.release_all().await;
    result
}

/// The clients that the commands use.
struct Parts {
    source: Source,
    destinations: Destinations,
}

impl Parts {
    fn new(stack: &Stack, faults: bool) -> Result<Self> {
        // Not retried: fanout may be at work even if its answer does not come.
        let invoke = with_timeout(&stack.config, INVOKE_TIMEOUT)
            .into_builder()
            .retry_config(RetryConfig::disabled())
            .build();
        let url = if faults {
            &stack.outputs.pipeline_faults_queue_url
        } else {
            &stack.outputs.dead_letter_queue_url
        };
        let log = stack.delivery_log()?;
        Ok(Self {
            source: Source {
                queue: ParkedQueue::new(&stack.config, url.clone()),
                log: log.clone(),
                webhooks: stack.webhooks(),
                stop: Stop::on_signals()?,
            },
            destinations: Destinations {
                log,
                deliveries: stack.delivery_queue(),
                fanout: Fanout::new(
                    &invoke,
                    stack.outputs.fanout_function_name.clone(),
                    stack.outputs.function_alias.clone(),
                ),
            },
        })
    }

    async fn carry_out(
        &self,
        command: DlqCommand,
        faults: bool,
        selection: &mut Selection,
        now: Timestamp,
    ) -> Result<()> {
        let stop = &self.source.stop;
        match command {
            DlqCommand::List { json, .. } => {
                selection.held.release_all().await;
                list(&selection.messages, faults, json, now)?;
                note_numbers(selection);
            }
            DlqCommand::Show { json, .. } => {
                selection.held.release_all().await;
                for parked in &selection.messages {
                    if json {
                        output::json(&view::full_json(parked, now))?;
                    } else {
                        output::line(format_args!("{}\n", view::full(parked, now)))?;
                    }
                }
            }
            DlqCommand::Redrive { all, dry_run: true, .. } => {
                selection.held.release_all().await;
                self.source.add_webhooks(&mut selection.messages).await?;
                let (steps, report) = redrive::planned(&selection.messages, all, now);
                let sent: Vec<&Parked> = steps.iter().map(|(parked, _)| *parked).collect();
                let number = sent.len();
                list(sent, faults, false, now)?;
                output::line(format_args!(
                    "Dry run: would redrive {number} of {}.",
                    count(selection.messages.len(), "message")
                ))?;
                report.left_out().try_for_each(output::line)?;
            }
            DlqCommand::Redrive { all, rate, .. } => {
                let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
                let webhooks = self.source.add_webhooks(&mut selection.messages);
                selection.held.during(webhooks).await?;
                let selected = selection.messages.len();
                let report = self.destinations.redrive(selection, all, rate, stop, now).await;
                selection.held.release_all().await;
                report.conclude(selected)?;
                if faults {
                    output::note(
                        "Fanout parks a record again if it still cannot process it: see `dlq list --faults`.",
                    );
                }
            }
            DlqCommand::Drop { dry_run: true, .. } => {
                selection.held.release_all().await;
                list(&selection.messages, faults, false, now)?;
                let number = selection.messages.len();
                output::line(format_args!("Dry run: would drop {}.", count(number, "message")))?;
            }
            DlqCommand::Drop { delivered, yes, .. } => {
                let number = selection.messages.len();
                if number > 0 && !delivered && !yes {
                    discard::ensure_terminal(number)?;
                    list(&selection.messages, faults, false, now)?;
                    selection.held.during(discard::confirm(number, stop)).await?;
                }
                discard::drop_all(selection, stop).await?;
            }
        }
        Ok(())
    }
}

fn list<'a>(
    messages: impl IntoIterator<Item = &'a Parked>,
    faults: bool,
    json: bool,
    now: Timestamp,
) -> Result<()> {
    let messages = messages.into_iter();
    if json {
        return messages.map(|parked| view::json(parked, now)).try_for_each(|it| output::json(&it));
    }
    if faults {
        view::faults(messages, now).print()
    } else {
        view::dead_letters(messages, now).print()
    }
}

fn note_numbers(selection: &Selection) {
    let (selected, read) = (selection.messages.len(), selection.read);
    if read == 0 {
        output::note("No messages are parked.");
    } else if selected == read {
        output::note(format_args!("{}.", count(read, "parked message")));
    } else {
        output::note(format_args!("{selected} of {}.", count(read, "parked message")));
    }
    let unattempted = selection.messages.iter().filter(|parked| parked.is_unattempted()).count();
    if unattempted > 0 {
        output::note(format_args!(
            "{} ours: see the column `unattempted`. Send them again with `docintell dlq redrive --unattempted`.",
            if unattempted == 1 { "1 is".to_owned() } else { format!("{unattempted} are") }
        ));
    }
    let deliveries = selection.messages.iter().filter_map(Parked::delivery);
    let ids: Vec<_> = deliveries.map(|delivery| delivery.delivery_id).collect();
    let distinct = ids.iter().collect::<HashSet<_>>().len();
    if distinct < ids.len() {
        output::note(format_args!(
            "Some deliveries are parked more than once, after a failure of the service: {distinct} are different."
        ));
    }
}

fn stopped() -> anyhow::Error {
    anyhow!("stopped: the messages are visible again")
}
