//! `docintell replay start`.
//!
//! The rule: the user sees what a replay would send before it sends anything.

use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};
use clap::Args;
use clap::builder::TypedValueParser;
use tokio::time::Instant;
use webhooks::delivery::DeliveryStatus;
use webhooks::id::WebhookKey;
use webhooks::replay::{DEFAULT_STATUSES, Replay, ReplayFilter};
use webhooks::replay_start::{StartError, start};
use webhooks::store::replays::{Count, NewReplay, count};
use webhooks::timestamp::Timestamp;

use super::{Replays, ensure_not_withheld, view};
use crate::arguments::{status, time};
use crate::output;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::tenant::delivery::{EventFilter, HEADING, check_range, table};

/// After this time a count reads no further page of the log.
const COUNT_TIME: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Args)]
pub(super) struct StartArgs {
    /// Not created before this time: RFC 3339, or an age such as 2h
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = time)]
    since: Timestamp,
    /// Not created after this time: RFC 3339, or an age such as 15m [default: now]
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only with one of these statuses, separated by commas; a pending delivery is under way and never selected [default:
    /// failed,skipped,cancelled]
    #[arg(long, help_heading = HEADING, value_name = "STATUS,…", value_delimiter = ',', value_parser = ended())]
    status: Option<Vec<DeliveryStatus>>,
    /// Every status, also what has been delivered
    #[arg(long, help_heading = HEADING, conflicts_with = "status")]
    all: bool,
    #[command(flatten)]
    event: EventFilter,
    /// Deliveries per second, 1 to 1,000
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Follow the replay until it ends
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
}

/// A status that a replay can select: a pending delivery is under way.
fn ended() -> impl TypedValueParser<Value = DeliveryStatus> {
    status(DeliveryStatus::ALL.into_iter().filter(|it| *it != DeliveryStatus::Pending))
}

impl StartArgs {
    /// An error if the options contradict each other.
    pub(super) fn check(&self) -> Result<()> {
        check_range(Some(self.since), self.until.or(Some(Timestamp::now())))
    }

    /// A replay never reaches beyond `now`.
    fn filter(&self, now: Timestamp) -> ReplayFilter {
        let EventFilter { event, document_id, job_id } = self.event.clone();
        let statuses = self.status.clone().unwrap_or_else(|| DEFAULT_STATUSES.to_vec());
        ReplayFilter {
            since: self.since,
            until: self.until.unwrap_or(now).min(now),
            statuses: (!self.all).then_some(statuses),
            event,
            document_id,
            job_id,
        }
    }
}

impl Replays<'_> {
    pub(super) async fn start(&self, args: &StartArgs) -> Result<()> {
        let now = Timestamp::now();
        let webhook = match self.webhook.webhook_id {
            Some(id) => self.tenant.webhook(id).await?,
            None => self.tenant.only_webhook().await?,
        };
        let key = self.tenant.key(webhook.id);
        if !args.dry_run {
            ensure_not_withheld(&webhook)?;
            // `create` enforces this. The check avoids counting for a replay that it would refuse.
            if let Some(open) =
                self.store.open(key, now).await.context("cannot read the replays")?
            {
                return Err(is_open(&open, now));
            }
        }
        let filter = args.filter(now);
        let counted = self.count(key, &filter, now).await?;
        if !self.json {
            output::line(view::size(&counted, args.rate))?;
            table(&counted.sample, now).print()?;
        }
        let is_nothing = counted.count == 0 && counted.is_exact;
        if args.dry_run || is_nothing {
            return self.not_started(&counted, args, now);
        }
        let new =
            NewReplay { webhook: key, filter, rate_per_second: args.rate, counted: counted.count };
        let replay = self.create(new, now).await?;
        if self.json {
            self.show(&replay)?;
        } else {
            output::line(format_args!(
                "Started replay {} of webhook {}: see `replay show`.",
                replay.replay_id, webhook.id
            ))?;
        }
        if args.watch { self.watch(replay, &Stop::on_signals()?).await } else { Ok(()) }
    }

    fn not_started(&self, counted: &Count, args: &StartArgs, now: Timestamp) -> Result<()> {
        if self.json {
            return output::json(&view::count_json(counted, args.rate, now));
        }
        output::line(if args.dry_run {
            "Dry run: nothing was started."
        } else {
            "Nothing was started."
        })
    }

    async fn count(
        &self,
        webhook: WebhookKey,
        filter: &ReplayFilter,
        now: Timestamp,
    ) -> Result<Count> {
        let task = Progress::Shown.begin("counting the deliveries");
        let give_up_at = Instant::now() + COUNT_TIME;
        let work = Box::pin(count(&self.log, webhook, filter, now, give_up_at));
        task.watch(work).await.context("cannot read the delivery log")
    }

    async fn create(&self, new: NewReplay, now: Timestamp) -> Result<Replay> {
        let webhook = new.webhook;
        match start(&self.store, &self.queue, new, now).await {
            Ok(replay) => Ok(replay),
            Err(StartError::Open) => match self.store.open(webhook, now).await {
                Ok(Some(open)) => Err(is_open(&open, now)),
                _ => bail!("another replay of the webhook was started at the same time"),
            },
            Err(error) => {
                Err(Error::new(error).context("cannot start the replay: nothing was sent"))
            }
        }
    }
}

fn is_open(replay: &Replay, now: Timestamp) -> Error {
    anyhow::anyhow!(
        "replay {} of webhook {} is {}: wait for its end, or cancel it with `replay cancel`",
        replay.replay_id,
        replay.webhook.webhook_id,
        replay.state_at(now)
    )
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::*;

    fn parsed(options: &[&str]) -> Result<StartArgs, clap::Error> {
        let command = StartArgs::augment_args(Command::new("start").no_binary_name(true));
        StartArgs::from_arg_matches(&command.try_get_matches_from(options)?)
    }

    fn now() -> Timestamp {
        Timestamp::parse("2025-12-03T12:00:00Z").unwrap()
    }

    #[test]
    fn a_replay_needs_only_its_begin_and_ends_now() {
        let args = parsed(&["--since", "2025-12-03T10:00:00Z"]).unwrap();
        let filter = args.filter(now());
        assert_eq!((filter.until, filter.statuses), (now(), Some(DEFAULT_STATUSES.to_vec())));
        let error = parsed(&[]).unwrap_err().to_string();
        assert!(error.contains("--since"), "{error}");
        let beyond = ["--since", "2025-12-03T10:00:00Z", "--until", "2026-12-03T10:00:00Z"];
        assert_eq!(parsed(&beyond).unwrap().filter(now()).until, now());
    }

    #[test]
    fn options_narrow_or_widen_what_is_sent() {
        let options = "--since 2025-12-03T10:00:00Z --until 2025-12-03T11:00:00Z --event document.uploaded \
                       --document-id d --job-id j";
        let options: Vec<&str> = options.split_whitespace().collect();
        let statuses = [options.as_slice(), &["--status", "failed,delivered"]].concat();
        let filter = parsed(&statuses).unwrap().filter(now());
        let expected = [DeliveryStatus::Failed, DeliveryStatus::Delivered];
        assert_eq!(filter.statuses.as_deref(), Some(&expected[..]));
        assert_eq!(filter.until.to_string(), "2025-12-03T11:00:00Z");
        assert_eq!(
            (
                filter.event.map(webhooks::event_type::EventType::as_str),
                filter.document_id.as_deref(),
                filter.job_id.as_deref()
            ),
            (Some("document.uploaded"), Some("d"), Some("j"))
        );
        let all = [options.as_slice(), &["--all"]].concat();
        assert_eq!(parsed(&all).unwrap().filter(now()).statuses, None);
    }

    #[test]
    fn each_wrong_option_is_named() {
        for (options, name) in [
            (["--status", "pending"], "--status"),
            (["--status", "lost"], "--status"),
            (["--rate", "0"], "--rate"),
            (["--rate", "1001"], "--rate"),
            (["--until", "soon"], "--until"),
            (["--watch", "--dry-run"], "--watch"),
        ] {
            let error = parsed(&[["--since", "2h"], options].concat()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        let future = parsed(&["--since", "9999-01-01T00:00:00Z"]).unwrap().check();
        assert!(future.unwrap_err().to_string().contains("--since"));
    }
}
