//! Reads a queue, and keeps the messages that a command works on.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, Result, bail};
use webhooks::aws::chain;
use webhooks::id::DeliveryId;
use webhooks::store::deliveries::DeliveryRow;
use webhooks::store::{DeliveryLog, StoreError, WebhookStore};
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;
use webhooks::withheld::Withheld;

use super::filter::Filter;
use super::held::Held;
use super::parked::{Parked, WebhookState};
use super::queue::ParkedQueue;
use super::stopped;
use crate::output;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::words::count;

/// Maximum webhooks per call.
const MAX_WEBHOOKS: usize = 100;

/// Rows of the log that are read before the progress is shown.
const ROWS_PER_STEP: usize = 100;

/// What a command works on.
#[derive(Debug)]
pub(super) struct Selection {
    /// Oldest first.
    pub(super) messages: Vec<Parked>,
    /// The selected messages, hidden from other readers.
    pub(super) held: Held,
    /// All messages that were read.
    pub(super) read: usize,
}

/// Where a selection comes from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) queue: ParkedQueue,
    pub(super) log: DeliveryLog,
    pub(super) webhooks: WebhookStore,
    pub(super) stop: Stop,
}

/// What to select.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) filter: &'a Filter,
    /// All if empty.
    pub(super) ids: &'a [String],
    /// Only what has been delivered since.
    pub(super) delivered: bool,
}

impl Source {
    /// Reads the whole queue and the log. Makes every message visible again that is not wanted.
    pub(super) async fn select(&self, wanted: &Wanted<'_>, now: Timestamp) -> Result<Selection> {
        let task = Progress::Shown.begin("reading the queue");
        let reading = task.watch(self.queue.read(&task, &self.stop)).await?;
        let read = reading.messages.len();
        let messages: Vec<Parked> = reading.messages.into_iter().map(Parked::new).collect();
        let mut selection = Selection { messages, held: reading.held, read };
        let result = self.narrow(&mut selection, wanted, now).await;
        if result.is_err() || self.stop.is_requested() {
            selection.held.release_all().await;
            result?;
            return Err(stopped());
        }
        if !reading.is_complete {
            output::note(
                "The queue may have more messages than could be read in time: run the command again to go on.",
            );
        }
        if reading.hidden_by_others > 0 {
            output::note(format_args!(
                "{} at the moment, by another program or by a command that was killed.",
                hidden(reading.hidden_by_others)
            ));
        }
        Ok(selection)
    }

    async fn narrow(
        &self,
        selection: &mut Selection,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<()> {
        if let Some(missing) = missing_id(&selection.messages, wanted.ids) {
            bail!(
                "no parked message has the id {}: see `dlq list`, and `dlq list --faults` for the other queue",
                printable(missing)
            );
        }
        let is_named = |parked: &Parked| {
            wanted.ids.is_empty() || wanted.ids.iter().any(|id| parked.has_id(id))
        };
        selection
            .messages
            .retain(|parked| is_named(parked) && wanted.filter.accepts_message(parked, now));
        selection.release_the_rest().await;
        let rows = self.add_rows(&mut selection.messages);
        selection.held.during(rows).await?;
        selection.messages.retain(|parked| {
            wanted.filter.accepts_logged(parked, now)
                && (!wanted.delivered || parked.is_delivered_since(now))
        });
        selection.release_the_rest().await;
        Ok(())
    }

    /// Reads the rows of all deliveries from the log.
    async fn add_rows(&self, messages: &mut [Parked]) -> Result<()> {
        let keys: BTreeSet<_> = messages.iter().filter_map(Parked::key).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let task = Progress::Shown.begin("reading the delivery log");
        let reading = Box::pin(async {
            let mut rows = Vec::new();
            for (step, keys_of_step) in keys.chunks(ROWS_PER_STEP).enumerate() {
                task.note(&format!("{} of {}", step * ROWS_PER_STEP, keys.len()));
                rows.extend(self.log.get_all(&keys_of_step.iter().copied().collect()).await?);
            }
            Ok::<_, StoreError>(rows)
        });
        let rows = task.watch(reading).await;
        let mut by_id: HashMap<DeliveryId, DeliveryRow> = HashMap::new();
        for row in rows.context("cannot read the delivery log")? {
            match row {
                Ok(row) => drop(by_id.insert(row.summary.delivery_id, row)),
                Err(error) => {
                    output::note(format_args!("A row of the log is malformed: {}", chain(&error)));
                }
            }
        }
        for parked in messages {
            parked.row = parked.key().and_then(|(_, delivery)| by_id.get(&delivery).cloned());
        }
        Ok(())
    }

    /// Looks up the webhooks of all deliveries.
    pub(super) async fn add_webhooks(&self, messages: &mut [Parked]) -> Result<()> {
        let ids: BTreeSet<_> = messages
            .iter()
            .filter_map(Parked::delivery)
            .map(|delivery| (delivery.tenant_id, delivery.webhook_config_id))
            .collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let mut found = HashMap::new();
        for ids in ids.chunks(MAX_WEBHOOKS) {
            let webhooks = self.webhooks.get_many(ids).await;
            found.extend(webhooks.context("cannot read the webhooks")?);
        }
        for parked in messages {
            let id = parked.delivery().map(|delivery| delivery.webhook_config_id);
            parked.webhook = id.and_then(|id| match found.get(&id) {
                None => Some(WebhookState::Deleted),
                Some(Ok(webhook)) => Some(match webhook.withheld() {
                    None => WebhookState::Active,
                    Some((Withheld::SwitchedOff, _)) => WebhookState::SwitchedOff,
                    Some((Withheld::NeedsTest, _)) => WebhookState::NeedsTest,
                }),
                Some(Err(_)) => None,
            });
        }
        Ok(())
    }
}

impl Selection {
    async fn release_the_rest(&mut self) {
        self.held.release_except(&self.messages).await;
    }
}

fn hidden(messages: usize) -> String {
    format!("{} {} hidden", count(messages, "message"), if messages == 1 { "is" } else { "are" })
}

fn missing_id<'a>(messages: &[Parked], ids: &'a [String]) -> Option<&'a String> {
    ids.iter().find(|id| !messages.iter().any(|parked| parked.has_id(id)))
}
