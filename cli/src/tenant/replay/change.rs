//! `docintell replay pause`, `resume` and `cancel`.

use anyhow::{Context as _, Result, bail, ensure};
use webhooks::id::ReplayId;
use webhooks::replay::{Change, Replay};
use webhooks::replay_start::queue_message;
use webhooks::store::replays::Changed;
use webhooks::timestamp::Timestamp;

use super::{Replays, ensure_not_withheld, view};
use crate::output;

impl Replays<'_> {
    pub(super) async fn change(&self, id: ReplayId, change: Change) -> Result<()> {
        let (seen, now) = (self.find(id).await?, Timestamp::now());
        if change == Change::Resume {
            self.ensure_resumable(&seen, now).await?;
        }
        let changed = self.store.change(seen.webhook, id, change, now).await;
        let replay = match changed.with_context(|| format!("cannot change replay {id}"))? {
            Changed::Done(replay) => replay,
            Changed::Ended(replay) => bail!("{}", has_ended(&replay, now)),
            Changed::Conflict => bail!("others are changing replay {id}: try again"),
            Changed::NotFound => bail!("replay {id} has expired"),
        };
        if change == Change::Resume {
            // Even if it was running: its message may be lost.
            queue_message(&self.queue, &replay)
                .await
                .context("cannot resume the replay: try again")?;
        }
        if self.json {
            return self.show(&replay);
        }
        output::line(view::progress(&replay, now))
    }

    /// A replay of a webhook that is deleted or gets no deliveries would only be cancelled.
    async fn ensure_resumable(&self, replay: &Replay, now: Timestamp) -> Result<()> {
        ensure!(Change::Resume.apply(replay, now).is_some(), has_ended(replay, now));
        ensure_not_withheld(&self.tenant.webhook(replay.webhook.webhook_id).await?)
    }
}

fn has_ended(replay: &Replay, now: Timestamp) -> String {
    format!("replay {} is {}: start another one", replay.replay_id, replay.state_at(now))
}
