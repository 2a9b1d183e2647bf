//! `docintell dlq`: what is parked in the dead-letter queue, or in the queue for faults, and why; and what to do about it.
//!
//! `select` reads the `queue`, joins each message (`parked`, `content`) with the delivery log, and applies the
//! `filter`. `list` and `view` show messages, `redrive` sends them again (`plan` decides how, `job_change` goes through
//! fanout), and `discard` drops them; `outcome` is what became of each. `held` keeps messages hidden meanwhile.
//!
//! The rule: no command loses a message, and none hides one for longer than it works on it.

mod content;
mod discard;
mod filter;
mod held;
mod job_change;
mod list;
mod outcome;
mod parked;
mod plan;
mod queue;
mod redrive;
mod select;
mod view;

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use webhooks::timestamp::Timestamp;

use crate::output;
use crate::stack::{SCOPE, Stack, StackArgs, with_timeout};
use crate::stop::{Stop, Stopped};
use crate::words::count;
use filter::{Filter, Ids};
use job_change::Fanout;
use outcome::{Ended, Outcome};
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
    #[arg(long, global = true, help_heading = SCOPE)]
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
    },
    /// Show everything about one message, with its body
    Show {
        /// Id of a message or of a delivery; for faults also of a job, or a sequence number
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
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
        /// Messages per second, 1 to 1,000
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

pub(crate) async fn run(args: DlqArgs, json: bool) -> Result<()> {
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
    let parts = Parts::new(&stack.stack().await?, faults, json)?;
    let now = Timestamp::now();
    let wanted = Wanted { filter: &filter, ids: &ids, delivered };
    let mut selection = parts.source.select(&wanted, now).await?;
    let result = parts.carry_out(command, &mut selection, now).await;
    selection.held.release_all().await;
    result
}

/// The clients that the commands use.
struct Parts {
    source: Source,
    destinations: Destinations,
    faults: bool,
    json: bool,
}

impl Parts {
    fn new(stack: &Stack, faults: bool, json: bool) -> Result<Self> {
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
            faults,
            json,
        })
    }

    async fn carry_out(
        &self,
        command: DlqCommand,
        selection: &mut Selection,
        now: Timestamp,
    ) -> Result<()> {
        let (stop, faults, json) = (&self.source.stop, self.faults, self.json);
        match command {
            DlqCommand::List { .. } => {
                selection.held.release_all().await;
                if json {
                    list::json(&selection.messages, now)?;
                } else {
                    list::table(&selection.messages, faults, now)?;
                }
                list::note_numbers(selection);
            }
            DlqCommand::Show { .. } => {
                selection.held.release_all().await;
                list::full(&selection.messages, json, now)?;
            }
            DlqCommand::Redrive { all, dry_run: true, .. } => {
                selection.held.release_all().await;
                self.source.add_webhooks(&mut selection.messages).await?;
                let (steps, mut report) = redrive::planned(&selection.messages, all, now);
                let sent: Vec<&Parked> = steps.iter().map(|(parked, _)| *parked).collect();
                let number = sent.len();
                if json {
                    for parked in &sent {
                        report.add(parked, Outcome::WouldRedrive);
                    }
                    report.objects().try_for_each(|it| output::json(&it))?;
                } else {
                    list::table(sent, faults, now)?;
                }
                let selected = count(selection.messages.len(), "message");
                let text = format!("Dry run: would redrive {number} of {selected}.");
                output::sentence(text, json)?;
                report.left_out().try_for_each(|it| output::sentence(it, json))?;
            }
            DlqCommand::Redrive { all, rate, .. } => {
                let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
                let webhooks = self.source.add_webhooks(&mut selection.messages);
                selection.held.during(webhooks).await?;
                let selected = selection.messages.len();
                let report = self.destinations.redrive(selection, all, rate, stop, now).await;
                selection.held.release_all().await;
                report.conclude(selected, json)?;
                if faults {
                    output::note(
                        "Fanout parks a record again if it still cannot process it: see `dlq list --faults`.",
                    );
                }
            }
            DlqCommand::Drop { dry_run: true, .. } => {
                selection.held.release_all().await;
                let messages = &selection.messages;
                if json {
                    let ended = messages.iter().map(|it| Ended::new(it, Outcome::WouldDrop));
                    ended.map(|it| it.json()).try_for_each(|it| output::json(&it))?;
                } else {
                    list::table(messages, faults, now)?;
                }
                let number = count(messages.len(), "message");
                output::sentence(format_args!("Dry run: would drop {number}."), json)?;
            }
            DlqCommand::Drop { delivered, yes, .. } => {
                let number = selection.messages.len();
                if number > 0 && !delivered && !yes {
                    discard::ensure_can_confirm(number, json)?;
                    list::table(&selection.messages, faults, now)?;
                    selection.held.during(discard::confirm(number, stop)).await?;
                }
                discard::drop_all(selection, stop, json).await?;
            }
        }
        Ok(())
    }
}

fn stopped() -> anyhow::Error {
    Stopped("the messages are visible again".to_owned()).into()
}
