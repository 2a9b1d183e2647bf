//! Starts the next chain of attempts of a delivery: a retry or a replay.
//!
//! The rule: one conditional update takes the chain's number, so that two callers never start the same chain.

use uuid::Uuid;

use super::row::{self, DeliveryRow, DeliverySummary, expiry};
use super::{DeliveryLog, key};
use crate::delivery::DeliveryStatus;
use crate::id::ReplayId;
use crate::store::StoreError;
use crate::store::update::{Update, Updated, number, text};
use crate::timestamp::Timestamp;

impl DeliveryLog {
    /// Starts the next chain of the delivery, which becomes pending. The caller then queues the row's
    /// [`message`](DeliveryRow::message), or gives the chain up with [`Self::fail_chain`].
    ///
    /// Returns `None` if the row is gone or no longer what the caller saw: another caller started a chain, or an attempt
    /// was made.
    pub async fn start_chain(
        &self,
        seen: &DeliverySummary,
        replay: Option<ReplayId>,
        now: Timestamp,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        // The SDK may repeat an update that succeeded. Then the condition fails, and the row has our claim.
        let claim = text(Uuid::new_v4());
        let update = Update::of(key(seen.webhook, seen.delivery_id))
            .set("chain", number(seen.chain + 1))
            .set("status", text(DeliveryStatus::Pending))
            .set("undelivered", text(seen.webhook))
            .set("next_attempt_at", text(now))
            .set("last_attempt", number(0))
            .set("claim", claim.clone())
            .set("ttl", number(expiry(now, self.keep)))
            .set_some("replay_id", replay.map(text))
            .remove(["completed_at"])
            .remove(replay.is_none().then_some("replay_id"))
            .only_if(
                "#chain = :seen_chain AND #status = :seen_status AND #last_attempt = :seen_attempt",
            )
            .with(":seen_chain", number(seen.chain))
            .with(":seen_status", text(seen.status))
            .with(":seen_attempt", number(seen.last_attempt));
        let started = match self.dynamodb.update(&self.table, update).await? {
            Updated::Done(row) => Some(row),
            Updated::Refused(row) => row.filter(|row| row.get("claim") == Some(&claim)),
        };
        started.map(row::read).transpose()
    }

    /// Ends a chain that was started but whose message could not be queued. Changes nothing if an attempt was made
    /// nevertheless, or a later chain was started.
    pub async fn fail_chain(
        &self,
        started: &DeliverySummary,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = Update::of(key(started.webhook, started.delivery_id))
            .set("status", text(DeliveryStatus::Failed))
            .set("last_error", text(error))
            .set("completed_at", text(now))
            .remove(["next_attempt_at"])
            .only_if("#chain = :chain AND #status = :pending AND #last_attempt = :none")
            .with(":chain", number(started.chain))
            .with(":pending", text(DeliveryStatus::Pending))
            .with(":none", number(0));
        Ok(self.dynamodb.update(&self.table, update).await.map(drop)?)
    }
}
