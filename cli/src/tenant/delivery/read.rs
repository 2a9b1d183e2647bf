//! Reads the delivery log of a tenant.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, Result};
use webhooks::aws::chain;
use webhooks::id::{DeliveryId, WebhookId, WebhookKey};
use webhooks::store::deliveries::{DeliveryRow, DeliverySummary, Order};
use webhooks::store::{DeliveryLog, StoreError};
use webhooks::timestamp::Timestamp;

use super::filter::ListFilter;
use crate::output;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::tenant::Tenant;

#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) log: DeliveryLog,
    pub(super) tenant: &'a Tenant,
    /// The webhook that the user named.
    pub(super) webhook_id: Option<WebhookId>,
}

/// Deliveries of one webhook.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Newest first.
    pub(super) deliveries: Vec<DeliverySummary>,
    /// True if there may be more than the limit.
    pub(super) is_cut: bool,
    /// True if the user stopped the command.
    pub(super) was_stopped: bool,
    /// Rows that were left out.
    pub(super) unreadable: usize,
}

impl Reader<'_> {
    /// The webhook that the user named, or the tenant's only one; and whether it exists.
    pub(super) async fn chosen_webhook(&self) -> Result<(WebhookKey, bool)> {
        let (id, exists) = match self.webhook_id {
            Some(id) => (id, self.tenant.find_webhook(id).await?.is_some()),
            None => (self.tenant.only_webhook().await?.id, true),
        };
        Ok((self.tenant.key(id), exists))
    }

    /// Reads pages until `limit` deliveries are found.
    pub(super) async fn list(
        &self,
        webhook: WebhookKey,
        filter: &ListFilter,
        limit: usize,
        stop: &Stop,
        now: Timestamp,
    ) -> Result<Listed> {
        let task = Progress::Shown.begin("reading the delivery log");
        let (filter, mut range) = (filter.to_filter(), filter.range());
        let mut listed = Listed::default();
        let work = Box::pin(async {
            loop {
                let left = limit - listed.deliveries.len();
                let page =
                    self.log.list(webhook, &filter, range, Order::NewestFirst, left, now).await?;
                listed.deliveries.extend(page.deliveries);
                listed.unreadable += page.unreadable;
                let Some(next) = page.next else { return Ok::<_, StoreError>(()) };
                if listed.deliveries.len() >= limit {
                    listed.is_cut = true;
                    return Ok(());
                }
                range.after = Some(next);
                task.note(&format!(
                    "{} found back to {}",
                    listed.deliveries.len(),
                    next.created_at().whole_seconds()
                ));
            }
        });
        let done = tokio::select! {
            done = task.watch(work) => Some(done),
            () = stop.requested() => None,
        };
        listed.was_stopped = done.is_none();
        done.unwrap_or(Ok(())).context("cannot read the delivery log").map(|()| listed)
    }

    /// The rows of these deliveries, by id. Looks into the named webhook, or into all of the tenant's.
    pub(super) async fn find(
        &self,
        ids: &[DeliveryId],
    ) -> Result<HashMap<DeliveryId, DeliveryRow>> {
        let webhooks = match self.webhook_id {
            Some(id) => vec![id],
            None => self.tenant.all_webhooks().await?.iter().map(|it| it.id).collect(),
        };
        let keys: BTreeSet<_> = webhooks
            .iter()
            .flat_map(|webhook| ids.iter().map(|id| (self.tenant.key(*webhook), *id)))
            .collect();
        let task = Progress::Shown.begin("reading the delivery log");
        let rows = task.watch(self.log.get_all(&keys)).await;
        let mut found = HashMap::new();
        for row in rows.context("cannot read the delivery log")? {
            match row {
                Ok(row) => drop(found.insert(row.summary.delivery_id, row)),
                Err(error) => {
                    output::note(format_args!("A row of the log is malformed: {}", chain(&error)));
                }
            }
        }
        Ok(found)
    }
}
