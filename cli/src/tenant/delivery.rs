//! `docintell deliveries`: the delivery log of a tenant's webhook, and retries.

mod filter;
mod read;
mod retry;
mod view;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use webhooks::id::DeliveryId;
use webhooks::timestamp::Timestamp;

use super::WebhookArgs;
use crate::output;
use crate::stop::{Stop, Stopped};
use crate::words::count;
use filter::ListFilter;
pub(super) use filter::{EventFilter, HEADING, check_range};
use read::Reader;
use retry::Retrier;
pub(super) use view::{json, table};

#[derive(Debug, Clone, Args)]
pub(crate) struct DeliveriesArgs {
    #[command(subcommand)]
    command: DeliveriesCommand,
    #[command(flatten)]
    webhook: WebhookArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum DeliveriesCommand {
    /// List a webhook's deliveries, newest first
    List {
        #[command(flatten)]
        filter: ListFilter,
        /// Maximum deliveries, 1 to 100,000
        #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Show everything about one delivery, with its attempts and its body
    Show {
        /// Id of the delivery
        id: DeliveryId,
    },
    /// Send deliveries again, each as a new chain of attempts
    Retry {
        /// Ids of deliveries
        #[arg(required = true, value_name = "ID")]
        ids: Vec<DeliveryId>,
    },
}

pub(crate) async fn run(args: DeliveriesArgs, json: bool) -> Result<()> {
    let DeliveriesArgs { command, webhook: WebhookArgs { tenant, webhook_id } } = args;
    if let DeliveriesCommand::List { filter, .. } = &command {
        filter.check()?;
    }
    let tenant = tenant.tenant().await?;
    let reader = Reader { log: tenant.stack.delivery_log()?, tenant: &tenant, webhook_id };
    match command {
        DeliveriesCommand::List { filter, limit } => {
            list(&reader, &filter, usize::try_from(limit)?, json).await
        }
        DeliveriesCommand::Show { id } => show(&reader, id, json).await,
        DeliveriesCommand::Retry { ids } => {
            let retrier = Retrier { reader, queue: tenant.stack.delivery_queue() };
            retrier.retry_all(&ids, json).await
        }
    }
}

async fn list(reader: &Reader<'_>, filter: &ListFilter, limit: usize, json: bool) -> Result<()> {
    let now = Timestamp::now();
    let (webhook, exists) = reader.chosen_webhook().await?;
    // Until now, Ctrl-C has ended the program at once.
    let stop = Stop::on_signals()?;
    let listed = reader.list(webhook, filter, limit, &stop, now).await?;
    if !exists {
        // A deleted webhook's deliveries stay until they expire.
        ensure!(!listed.deliveries.is_empty(), reader.tenant.has_no(webhook.webhook_id));
        output::note(format_args!("Webhook {} is deleted.", webhook.webhook_id));
    }
    if json {
        listed
            .deliveries
            .iter()
            .map(|it| view::json(it, now))
            .try_for_each(|it| output::json(&it))?;
    } else {
        view::table(&listed.deliveries, now).print()?;
    }
    if listed.unreadable > 0 {
        let rows = count(listed.unreadable, "row");
        output::note(format_args!("Left out {rows} of the log that cannot be read."));
    }
    let number = count_deliveries(listed.deliveries.len());
    if listed.was_stopped {
        return Err(Stopped(format!("only the newest {number} were read")).into());
    }
    let more = if listed.is_cut { "; there may be more: raise --limit" } else { "" };
    output::note(format_args!("{number} of webhook {}{more}.", webhook.webhook_id));
    Ok(())
}

async fn show(reader: &Reader<'_>, id: DeliveryId, json: bool) -> Result<()> {
    let mut found = reader.find(&[id]).await?;
    let row = found.remove(&id).with_context(|| {
        format!(
            "tenant {} has no delivery {id}, or it has expired (for a deleted webhook, name its \
             --webhook-id)",
            reader.tenant.id
        )
    })?;
    let now = Timestamp::now();
    if json {
        output::json(&view::full_json(&row, now))
    } else {
        output::line(view::full(&row, now))
    }
}

pub(super) fn count_deliveries(number: usize) -> String {
    if number == 1 { "1 delivery".to_owned() } else { format!("{number} deliveries") }
}
