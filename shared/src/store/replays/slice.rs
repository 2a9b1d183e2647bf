//! One slice of a replay: claim it, note its progress, end it.
//!
//! The rule: only the claim's holder moves the cursor. It writes totals and no differences, so a repeated write changes
//! nothing.

use super::{ReplayStore, Updated, change_of};
use crate::id::{ClaimId, DeliveryId};
use crate::replay::Replay;
use crate::store::StoreError;
use crate::store::update::{Update, number, text};
use crate::timestamp::Timestamp;

/// How far a replay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to this delivery is done.
    pub cursor: Option<DeliveryId>,
    /// Deliveries that were queued, those of earlier slices included.
    pub sent: u64,
}

/// The claim's holder still works on the slice that it has seen.
const IS_OURS: &str = "#claimed_by = :claim AND #slice = :seen_slice";

impl ReplayStore {
    /// Claims the replay's current slice for `claim`. Returns `None` if the replay is no longer what the caller saw.
    pub async fn claim(
        &self,
        seen: &Replay,
        claim: ClaimId,
        now: Timestamp,
    ) -> Result<Option<Replay>, StoreError> {
        let update = change_of(seen)
            .set("claimed_by", text(claim))
            .set("claimed_at", text(now))
            .with(":running", text(seen.state))
            .with(":seen_slice", number(seen.slice));
        // A claim by the same id is our own: the SDK retried a call whose response was lost.
        let update = match seen.claimed_by {
            None => update.only_if(
                "#state = :running AND #slice = :seen_slice \
                 AND (attribute_not_exists(#claimed_by) OR #claimed_by = :claimed_by)",
            ),
            Some(other) => update
                .only_if(
                    "#state = :running AND #slice = :seen_slice \
                     AND (#claimed_by = :other OR #claimed_by = :claimed_by)",
                )
                .with(":other", text(other)),
        };
        Ok(self.update(update).await?.done())
    }

    /// Notes the progress within the claimed slice. Returns the replay, whose state may have changed, or `None` if
    /// another function has taken over.
    pub async fn note_progress(
        &self,
        claimed: &Replay,
        claim: ClaimId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<Option<Replay>, StoreError> {
        let update = self.progressed(claimed, claim, progress, now);
        Ok(self.update(update).await?.done())
    }

    /// Ends the claimed slice with its progress. The caller then queues the [`message`](Replay::message) of the next
    /// one if the replay is still running. Returns `None` if the replay is gone, or another function has taken over.
    pub async fn end_slice(
        &self,
        claimed: &Replay,
        claim: ClaimId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<Option<Replay>, StoreError> {
        let next = claimed.slice + 1;
        let update = self
            .progressed(claimed, claim, progress, now)
            .set("slice", number(next))
            .remove(["claimed_by", "claimed_at"]);
        match self.update(update).await? {
            Updated::Done(replay) => Ok(Some(replay)),
            // The SDK retried a call whose response was lost.
            Updated::Refused(row) => Ok(row.filter(|row| row.slice == next)),
        }
    }

    /// Gives the claim up without progress, so that the next receive of the message need not wait for its end.
    pub async fn release(&self, claimed: &Replay, claim: ClaimId) -> Result<(), StoreError> {
        let update = change_of(claimed)
            .set("slice", number(claimed.slice))
            .remove(["claimed_by", "claimed_at"])
            .only_if(IS_OURS)
            .with(":claim", text(claim))
            .with(":seen_slice", number(claimed.slice));
        self.update(update).await.map(drop)
    }

    fn progressed(
        &self,
        claimed: &Replay,
        claim: ClaimId,
        progress: Progress,
        now: Timestamp,
    ) -> Update {
        let update = change_of(claimed)
            .set("sent", number(progress.sent))
            .set("updated_at", text(now))
            .set("progressed_at", text(now))
            .set("ttl", self.expiry(now))
            .only_if(IS_OURS)
            .with(":claim", text(claim))
            .with(":seen_slice", number(claimed.slice));
        match progress.cursor {
            Some(cursor) => update.set("cursor", text(cursor)),
            None => update,
        }
    }
}
