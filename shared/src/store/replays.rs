//! The `Replays` table: partition key `webhook` (`<tenant_id>/<webhook_config_id>`), sort key `replay_id`, in the order
//! of creation.
//!
//! The rules: a webhook has at most one open replay, its latest. Every write has a condition on what its caller has
//! seen, so that two callers never do the same thing.

mod count;
mod create;
mod slice;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use tracing::error;

use super::update::{Update, text};
use super::{DynamoDb, SdkItem, StoreError, parse, update};
use crate::aws::chain;
use crate::id::{ReplayId, WebhookKey};
use crate::replay::{Change, Replay, ReplayState};
use crate::timestamp::Timestamp;

pub use count::{Count, MAX_COUNT, count};
pub use create::{CreateError, NewReplay};
pub use slice::Progress;

/// Tries of a change whose replay is changed by others at the same time.
const CHANGE_TRIES: usize = 3;

/// Reads and writes the replays of all webhooks.
#[derive(Debug, Clone)]
pub struct ReplayStore {
    dynamodb: DynamoDb,
    table: String,
    keep: Duration,
}

/// The result of an update.
#[derive(Debug)]
enum Updated {
    /// The replay after the update.
    Done(Replay),
    /// The condition does not hold for this replay.
    Refused(Option<Replay>),
}

/// The result of [`ReplayStore::change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The replay has the state that was asked for.
    Done(Replay),
    /// The replay has ended.
    Ended(Replay),
    /// Others changed the replay during each try. The caller can ask again.
    Conflict,
    /// The webhook has no such replay.
    NotFound,
}

impl ReplayStore {
    /// Replays in `table`. A row expires `keep` after the replay's last change.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, table: String, keep: Duration) -> Self {
        Self { dynamodb, table, keep }
    }

    /// One replay of a webhook; `None` if the webhook has none with this id.
    pub async fn get(
        &self,
        webhook: WebhookKey,
        replay: ReplayId,
    ) -> Result<Option<Replay>, StoreError> {
        let item = self.dynamodb.get(&self.table, key(webhook, replay)).await?;
        item.map(read).transpose()
    }

    /// The latest replays of a webhook, newest first, at most `limit`. A corrupt row is left out.
    pub async fn list(&self, webhook: WebhookKey, limit: usize) -> Result<Vec<Replay>, StoreError> {
        let response = self.dynamodb.latest_rows(&self.table, webhook, None, limit).await?;
        Ok(response.items.unwrap_or_default().into_iter().filter_map(readable).collect())
    }

    /// The webhook's replay that is running or paused at `now`.
    pub async fn open(
        &self,
        webhook: WebhookKey,
        now: Timestamp,
    ) -> Result<Option<Replay>, StoreError> {
        let latest = self.list(webhook, 1).await?.pop();
        Ok(latest.filter(|replay| replay.is_open(now)))
    }

    /// Pauses, resumes or cancels a replay. After [`Change::Resume`] the caller queues the replay's
    /// [`message`](Replay::message), even if it was running already: its message may be lost.
    pub async fn change(
        &self,
        webhook: WebhookKey,
        replay: ReplayId,
        change: Change,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let mut seen = self.get(webhook, replay).await?;
        for _ in 0..CHANGE_TRIES {
            let Some(replay) = seen else { return Ok(Changed::NotFound) };
            let Some(state) = change.apply(&replay, now) else { return Ok(Changed::Ended(replay)) };
            if state == replay.state && !replay.is_lost(now) {
                return Ok(Changed::Done(replay));
            }
            match self.set_state(&replay, state, None, now).await? {
                Updated::Done(replay) => return Ok(Changed::Done(replay)),
                Updated::Refused(row) => seen = row,
            }
        }
        Ok(Changed::Conflict)
    }

    /// Ends a replay that is running or paused. `reason` says why, unless its owner has asked for it. Does nothing if the
    /// replay has ended already.
    pub async fn end(
        &self,
        replay: &Replay,
        state: ReplayState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.set_state(replay, state, reason, now).await.map(drop)
    }

    /// Sets the state of a replay that still has the state that was seen.
    async fn set_state(
        &self,
        seen: &Replay,
        state: ReplayState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let mut update = change_of(seen)
            .set("state", text(state))
            .set("updated_at", text(now))
            .set("ttl", self.expiry(now))
            // An equal change is our own: the SDK retried a call whose response was lost.
            .only_if("#state = :seen OR (#state = :state AND #updated_at = :updated_at)")
            .with(":seen", text(seen.state));
        if let Some(reason) = reason {
            update = update.set("reason", text(reason));
        }
        update = match state {
            ReplayState::Running => update.set("progressed_at", text(now)),
            ReplayState::Paused => update,
            ReplayState::Cancelled | ReplayState::Completed | ReplayState::Failed => {
                update.set("completed_at", text(now))
            }
        };
        self.update(update).await
    }

    async fn update(&self, update: Update) -> Result<Updated, StoreError> {
        Ok(match self.dynamodb.update(&self.table, update).await? {
            update::Updated::Done(row) => Updated::Done(read(row)?),
            update::Updated::Refused(row) => Updated::Refused(row.map(read).transpose()?),
        })
    }

    fn expiry(&self, now: Timestamp) -> AttributeValue {
        AttributeValue::N(self.ttl(now).to_string())
    }

    fn ttl(&self, now: Timestamp) -> i64 {
        now.plus(self.keep).unix_seconds()
    }
}

impl Updated {
    fn done(self) -> Option<Replay> {
        match self {
            Self::Done(replay) => Some(replay),
            Self::Refused(_) => None,
        }
    }
}

fn change_of(replay: &Replay) -> Update {
    Update::of(key(replay.webhook, replay.replay_id))
}

fn key(webhook: WebhookKey, replay: ReplayId) -> SdkItem {
    HashMap::from([("webhook".to_owned(), text(webhook)), ("replay_id".to_owned(), text(replay))])
}

/// Skips a corrupt row: the caller still sees the others.
fn readable(item: SdkItem) -> Option<Replay> {
    read(item)
        .inspect_err(|error| error!(error = %chain(error), "a replay is missing from a list"))
        .ok()
}

fn read(item: SdkItem) -> Result<Replay, StoreError> {
    parse(item, "replay_id")
}
