//! `docintell replay`: sends a webhook's past deliveries again, as the API does for their owner.

mod change;
mod read;
mod start;
mod view;
mod watch;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use webhooks::id::ReplayId;
use webhooks::queue::Queue;
use webhooks::replay::Change;
use webhooks::store::DeliveryLog;
use webhooks::store::replays::ReplayStore;
use webhooks::webhook::Webhook;
use webhooks::withheld::Withheld;

use super::{Tenant, WebhookArgs};
use crate::stop::Stop;
use start::StartArgs;

#[derive(Debug, Clone, Args)]
pub(crate) struct ReplayArgs {
    #[command(subcommand)]
    command: ReplayCommand,
    #[command(flatten)]
    webhook: WebhookArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum ReplayCommand {
    /// Count what a replay would send, show a sample, and start it
    Start(StartArgs),
    /// List the latest replays of a webhook, or of all of the tenant's
    List,
    /// Show one replay
    Show {
        /// Id of the replay
        id: ReplayId,
        /// Follow it until it ends
        #[arg(long)]
        watch: bool,
    },
    /// Stop a replay until it is resumed
    Pause {
        /// Id of the replay
        id: ReplayId,
    },
    /// Continue a replay that is paused, or failed
    Resume {
        /// Id of the replay
        id: ReplayId,
    },
    /// End a replay
    Cancel {
        /// Id of the replay
        id: ReplayId,
    },
}

/// What the commands work on.
#[derive(Debug)]
struct Replays<'a> {
    tenant: &'a Tenant,
    webhook: &'a WebhookArgs,
    store: ReplayStore,
    log: DeliveryLog,
    queue: Queue,
    json: bool,
}

pub(crate) async fn run(args: ReplayArgs, json: bool) -> Result<()> {
    let ReplayArgs { command, webhook } = args;
    if let ReplayCommand::Start(start) = &command {
        start.check()?;
    }
    let tenant = webhook.tenant.tenant().await?;
    let replays = Replays {
        store: tenant.stack.replays()?,
        log: tenant.stack.delivery_log()?,
        queue: tenant.stack.replay_queue(),
        tenant: &tenant,
        webhook: &webhook,
        json,
    };
    match command {
        ReplayCommand::Start(start) => Box::pin(replays.start(&start)).await,
        ReplayCommand::List => replays.list().await,
        ReplayCommand::Show { id, watch } => {
            let replay = replays.find(id).await?;
            if watch {
                return replays.watch(replay, &Stop::on_signals()?).await;
            }
            replays.show(&replay)
        }
        ReplayCommand::Pause { id } => replays.change(id, Change::Pause).await,
        ReplayCommand::Resume { id } => replays.change(id, Change::Resume).await,
        ReplayCommand::Cancel { id } => replays.change(id, Change::Cancel).await,
    }
}

/// A replay would only be cancelled.
fn ensure_not_withheld(webhook: &Webhook) -> Result<()> {
    let id = webhook.id;
    match webhook.withheld() {
        None => Ok(()),
        Some((Withheld::SwitchedOff, _)) => {
            bail!("webhook {id} is off: switch it on first, with `webhooks enable`")
        }
        Some((Withheld::NeedsTest, _)) => {
            bail!("webhook {id} needs a successful test first: its owner can make one")
        }
    }
}
