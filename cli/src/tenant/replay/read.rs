//! `docintell replay list` and `show`.

use anyhow::{Context as _, Result, bail, ensure};
use webhooks::id::{ReplayId, WebhookId};
use webhooks::replay::Replay;
use webhooks::timestamp::Timestamp;

use super::{Replays, view};
use crate::output;
use crate::words::count;

/// Maximum replays of each webhook in a list, as in the API's.
const MAX_LISTED: usize = 100;

impl Replays<'_> {
    /// The webhook that the user named, or all of the tenant's.
    async fn webhooks(&self) -> Result<Vec<WebhookId>> {
        match self.webhook.webhook_id {
            Some(id) => Ok(vec![id]),
            None => Ok(self.tenant.all_webhooks().await?.iter().map(|it| it.id).collect()),
        }
    }

    pub(super) async fn list(&self) -> Result<()> {
        let mut replays = Vec::new();
        for webhook in self.webhooks().await? {
            let listed = self.store.list(self.tenant.key(webhook), MAX_LISTED).await;
            replays.extend(listed.context("cannot read the replays")?);
        }
        if let (Some(id), true) = (self.webhook.webhook_id, replays.is_empty()) {
            // A deleted webhook's replays stay until they expire.
            ensure!(self.tenant.find_webhook(id).await?.is_some(), self.tenant.has_no(id));
        }
        replays.sort_by_key(|replay| std::cmp::Reverse(replay.replay_id));
        let now = Timestamp::now();
        if self.json {
            return replays
                .iter()
                .map(|it| view::json(it, now))
                .try_for_each(|it| output::json(&it));
        }
        view::table(&replays, now).print()?;
        output::note(format_args!("{}.", count(replays.len(), "replay")));
        Ok(())
    }

    /// The replay with this id, of any of the webhooks.
    pub(super) async fn find(&self, id: ReplayId) -> Result<Replay> {
        for webhook in self.webhooks().await? {
            if let Some(replay) = self.get(webhook, id).await? {
                return Ok(replay);
            }
        }
        bail!("tenant {} has no replay {id}, or it has expired: see `replay list`", self.tenant.id)
    }

    pub(super) async fn get(&self, webhook: WebhookId, id: ReplayId) -> Result<Option<Replay>> {
        let replay = self.store.get(self.tenant.key(webhook), id).await;
        replay.with_context(|| format!("cannot read replay {id}"))
    }

    pub(super) fn show(&self, replay: &Replay) -> Result<()> {
        let now = Timestamp::now();
        if self.json {
            output::json(&view::json(replay, now))
        } else {
            output::line(view::full(replay, now))
        }
    }
}
