//! `docintell webhooks`: a tenant's webhooks, their health and their history, and a switch for each.

mod history;
mod view;

use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use clap::{Args, Subcommand};
use tokio::time::Instant;
use webhooks::audit::Actor;
use webhooks::health::HealthEvent;
use webhooks::health_events::HealthEvents;
use webhooks::id::WebhookId;
use webhooks::store::webhooks::Updated;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{Webhook, WebhookChanges};

use super::{Tenant, TenantArgs};
use crate::output;
use crate::words::count;

/// Time limit for announcing a change, with all tries.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Args)]
pub(crate) struct WebhooksArgs {
    #[command(subcommand)]
    command: WebhooksCommand,
    #[command(flatten)]
    tenant: TenantArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum WebhooksCommand {
    /// List a tenant's webhooks with their health, oldest first
    List,
    /// Show everything about one webhook but its secret
    Show {
        /// Id of the webhook
        id: WebhookId,
    },
    /// Show who has changed a webhook, what and when, newest first; also after its deletion
    History {
        /// Id of the webhook
        id: WebhookId,
        /// Maximum changes
        #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Switch a webhook on, as its owner could, and announce it
    Enable {
        /// Id of the webhook
        id: WebhookId,
    },
    /// Switch a webhook off, as its owner could, and announce it
    Disable {
        /// Id of the webhook
        id: WebhookId,
    },
}

/// What became of a switch.
#[derive(Debug)]
enum Switched {
    /// The webhook was on, or off, already.
    Unchanged,
    Announced,
    /// It is changed, but the event could not be published.
    Unannounced(Error),
}

pub(crate) async fn run(args: WebhooksArgs, json: bool) -> Result<()> {
    let WebhooksArgs { command, tenant } = args;
    let tenant = tenant.tenant().await?;
    match command {
        WebhooksCommand::List => list(&tenant, json).await,
        WebhooksCommand::Show { id } => show(&tenant.webhook(id).await?, json),
        WebhooksCommand::History { id, limit } => {
            history::show(&tenant, id, usize::try_from(limit)?, json).await
        }
        WebhooksCommand::Enable { id } => switch(&tenant, id, true, json).await,
        WebhooksCommand::Disable { id } => switch(&tenant, id, false, json).await,
    }
}

async fn list(tenant: &Tenant, json: bool) -> Result<()> {
    let (webhooks, now) = (tenant.all_webhooks().await?, Timestamp::now());
    if json {
        return webhooks.iter().map(|it| view::json(it, now)).try_for_each(|it| output::json(&it));
    }
    view::table(&webhooks).print()?;
    output::note(format_args!("{} of tenant {}.", count(webhooks.len(), "webhook"), tenant.id));
    Ok(())
}

fn show(webhook: &Webhook, json: bool) -> Result<()> {
    let now = Timestamp::now();
    if json {
        output::json(&view::json(webhook, now))
    } else {
        output::line(view::full(webhook, now))
    }
}

/// The start of a replay of what a webhook missed until it was switched off: an hour before its first failure, because an
/// event is older than its last attempt. A replay leaves out what has been delivered.
fn replay_since(off_at: Timestamp, failing_since: Option<Timestamp>) -> Timestamp {
    let first = failing_since.map_or(off_at, |failing| failing.min(off_at));
    Timestamp::from_unix_millis(first.unix_millis().saturating_sub(60 * 60 * 1000)).whole_seconds()
}

async fn switch(tenant: &Tenant, id: WebhookId, on: bool, json: bool) -> Result<()> {
    let seen = tenant.webhook(id).await?;
    let off_since = seen.disabled.map(|disabled| replay_since(disabled.at, seen.failing_since));
    let (webhook, switched) = set_active(tenant, seen, on).await?;
    if json {
        let mut value = view::json(&webhook, Timestamp::now());
        value["changed"] = (!matches!(switched, Switched::Unchanged)).into();
        value["announced"] = matches!(switched, Switched::Announced).into();
        output::json(&value)?;
    }
    let state = if on { "on" } else { "off" };
    let text = match switched {
        Switched::Unchanged => format!("Webhook {id} is {state} already: nothing was changed."),
        Switched::Announced => {
            format!("Webhook {id} is switched {state}. The change was announced on the event bus.")
        }
        Switched::Unannounced(error) => {
            return Err(error.context(format!(
                "webhook {id} is switched {state}, but the change could not be announced (allow \
                 events:PutEvents on the default bus, or tell the owner yourself)"
            )));
        }
    };
    if json {
        return Ok(());
    }
    output::line(text)?;
    match off_since {
        Some(_) if webhook.needs_test() => output::line(
            "Next: its owner tests it. Until its endpoint has answered a test with 2xx, it gets nothing else.",
        ),
        Some(since) if on => output::line(format_args!(
            "Next: `replay start --webhook-id {id} --since {since}` sends what it missed."
        )),
        _ => Ok(()),
    }
}

/// `seen` is the webhook before. Returns it as it is afterwards.
async fn set_active(tenant: &Tenant, seen: Webhook, on: bool) -> Result<(Webhook, Switched)> {
    if seen.is_active() == on {
        return Ok((seen, Switched::Unchanged));
    }
    let id = seen.id;
    let (now, changes) =
        (Timestamp::now(), WebhookChanges { is_active: Some(on), ..WebhookChanges::default() });
    let editor = tenant.stack.webhook_editor()?;
    let updated = editor.update(tenant.id, id, &changes, Actor::Operator, now).await;
    let updated = updated.with_context(|| format!("cannot change webhook {id}"))?;
    let Updated { webhook, is_switched, .. } = updated.ok_or_else(|| tenant.has_no(id))?;
    if !is_switched {
        return Ok((webhook, Switched::Unchanged));
    }
    let event = HealthEvent::of_switch(&webhook);
    let give_up_at = Instant::now() + ANNOUNCE_TIMEOUT;
    let events = HealthEvents::new(&tenant.stack.config);
    let switched = match events.try_publish(&event, give_up_at).await {
        Ok(()) => Switched::Announced,
        Err(error) => Switched::Unannounced(error.into()),
    };
    Ok((webhook, switched))
}
