//! A replay: the past deliveries of a webhook, sent again oldest first.
//!
//! A message drives one slice of the replay: a function claims it, sends what it selects, moves the cursor and queues
//! the message of the next slice. Every decision is here and pure: [`Replay::state_at`], [`Replay::act_on`] and
//! [`Replay::step`].
//!
//! The rule: a delivery that this replay has started is never started by it again, however often a slice is repeated.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::{DeliveryStatus, FormatVersion};
use crate::event_type::EventType;
use crate::id::{ClaimId, DeliveryId, ReplayId, TenantId, WebhookId, WebhookKey};
use crate::message::MessageJson;
use crate::named::named;
use crate::queue::OutgoingMessage;
use crate::store::deliveries::{DeliveryFilter, DeliverySummary, Range};
use crate::timestamp::Timestamp;

/// A running replay that makes no progress for this long has failed.
pub(crate) const FAILED_AFTER: Duration = Duration::from_mins(15);

/// A claim older than this may be taken over. Longer than an invocation.
const CLAIM_LIFE: Duration = Duration::from_mins(1);

/// What a replay selects if the request does not say.
pub const DEFAULT_STATUSES: [DeliveryStatus; 3] =
    [DeliveryStatus::Failed, DeliveryStatus::Skipped, DeliveryStatus::Cancelled];

named! {
    /// The state of a replay.
    pub enum ReplayState {
        /// It sends.
        Running = "running",
        /// It waits until it is resumed or cancelled.
        Paused = "paused",
        /// Its owner cancelled it, or its webhook was deleted or got no more deliveries.
        Cancelled = "cancelled",
        /// It has sent everything that it selects.
        Completed = "completed",
        /// It made no progress for 15 minutes.
        Failed = "failed",
    }
}

/// One replay, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Partition key.
    pub webhook: WebhookKey,
    /// Sort key; contains the time of creation.
    pub replay_id: ReplayId,
    /// The state that was last written. [`Self::state_at`] is what people see.
    pub state: ReplayState,
    /// Why it was cancelled, as a sentence; `None` if its owner did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it selects.
    pub filter: ReplayFilter,
    /// Deliveries per second, at least 1.
    pub rate_per_second: u32,
    /// Deliveries that it selected when it was created, at most [`MAX_COUNT`](crate::store::replays::MAX_COUNT).
    pub counted: u64,
    /// Deliveries up to the cursor that it has queued. After a crash up to a second's deliveries can be missing: if they
    /// are delivered by then, the index no longer has them.
    pub sent: u64,
    /// Number of the current slice, from 1.
    pub slice: u32,
    /// Everything up to this delivery is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<DeliveryId>,
    /// The function that works on the current slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<ClaimId>,
    /// When it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the cursor last moved, or the replay was created or resumed.
    pub progressed_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Unix time in seconds after which DynamoDB deletes the row.
    pub ttl: i64,
}

/// Which deliveries a replay selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayFilter {
    /// The time of the earliest event.
    pub since: Timestamp,
    /// The time of the latest event.
    pub until: Timestamp,
    /// `None` selects every status. Deliveries that are under way are never selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Vec<DeliveryStatus>>,
    /// Only this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventType>,
    /// Only this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    /// Only this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
}

/// What to do with one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start a chain and queue its message.
    Send,
    /// This replay has started a chain and may not have queued its message: queue it.
    QueueAgain,
    /// This replay has sent it, and did not note it.
    Count,
    /// Nothing.
    LeaveOut,
}

/// What to do with the message of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Claim the slice and do it.
    Claim,
    /// The slice is done, but the message of the next one may be lost: queue it.
    QueueNext,
    /// Another function works on the slice, or died: look again later.
    Wait,
    /// Nothing is left to do for this message.
    Drop,
}

/// What an owner or an operator does to a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Stop until it is resumed.
    Pause,
    /// Go on where it stopped.
    Resume,
    /// End it.
    Cancel,
}

impl Replay {
    /// The state at `now`: a running replay without progress for 15 minutes has failed.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> ReplayState {
        if self.is_lost(now) { ReplayState::Failed } else { self.state }
    }

    /// When it ended, as of `now`.
    #[must_use]
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_lost(now) {
            Some(self.progressed_at.plus(FAILED_AFTER))
        } else {
            self.completed_at
        }
    }

    pub(crate) fn is_lost(&self, now: Timestamp) -> bool {
        self.state == ReplayState::Running && now.since(self.progressed_at) >= FAILED_AFTER
    }

    /// True if no other replay of the webhook may start.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        matches!(self.state_at(now), ReplayState::Running | ReplayState::Paused)
    }

    /// What to do with the message of `slice`. A message can arrive twice, late, or while its first receiver works.
    #[must_use]
    pub fn act_on(&self, slice: u32, now: Timestamp) -> Act {
        if self.state_at(now) != ReplayState::Running {
            return Act::Drop;
        }
        let is_claimed = self.claimed_by.is_some();
        let is_free = !is_claimed || self.claimed_at.is_none_or(|at| now.since(at) >= CLAIM_LIFE);
        match (slice.cmp(&self.slice), is_free) {
            (std::cmp::Ordering::Equal, true) => Act::Claim,
            (std::cmp::Ordering::Equal, false) => Act::Wait,
            // A claim shows that the message of the current slice was queued.
            (std::cmp::Ordering::Less, _) if !is_claimed && slice + 1 == self.slice => {
                Act::QueueNext
            }
            _ => Act::Drop,
        }
    }

    /// What to do with a delivery of the filter's range that follows the cursor.
    #[must_use]
    pub fn step(&self, delivery: &DeliverySummary, now: Timestamp) -> Step {
        if delivery.replay_id == Some(self.replay_id) {
            let is_unattempted =
                delivery.status == DeliveryStatus::Pending && delivery.last_attempt == 0;
            return if is_unattempted { Step::QueueAgain } else { Step::Count };
        }
        if self.filter.selects(delivery, now) { Step::Send } else { Step::LeaveOut }
    }

    /// The message of the current slice.
    #[must_use]
    pub fn message(&self) -> ReplayMessage {
        ReplayMessage {
            v: FormatVersion,
            tenant_id: self.webhook.tenant_id,
            webhook_config_id: self.webhook.webhook_id,
            replay_id: self.replay_id,
            slice: self.slice,
        }
    }
}

impl Change {
    /// The state after this change of a replay in the state `now`; `None` if the replay has ended.
    ///
    /// A failed replay can be resumed until another one is started, which makes [`ReplayState::Failed`] final: it then
    /// is in the row.
    #[must_use]
    pub fn apply(self, replay: &Replay, now: Timestamp) -> Option<ReplayState> {
        use ReplayState::{Cancelled, Failed, Paused, Running};
        let is_final = replay.state == Failed;
        match (self, replay.state_at(now)) {
            (Self::Pause, Running | Paused) => Some(Paused),
            (Self::Resume, Running | Paused) => Some(Running),
            (Self::Resume, Failed) if !is_final => Some(Running),
            (Self::Cancel, Running | Paused | Cancelled) => Some(Cancelled),
            _ => None,
        }
    }
}

impl ReplayFilter {
    /// True if a delivery of this range, type, document and job is to be sent.
    #[must_use]
    pub(crate) fn selects(&self, delivery: &DeliverySummary, now: Timestamp) -> bool {
        let status = delivery.status_at(now);
        status != DeliveryStatus::Pending
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
    }

    /// What to read from the log. It includes what the replay itself may have started: that is pending, or failed if
    /// its message was lost.
    #[must_use]
    pub fn to_read(&self) -> DeliveryFilter {
        let own = [DeliveryStatus::Pending, DeliveryStatus::Failed];
        let with_own = |statuses: &Vec<DeliveryStatus>| [statuses.as_slice(), &own].concat();
        DeliveryFilter {
            statuses: self.statuses.as_ref().map(with_own),
            event: self.event,
            document_id: self.document_id.clone(),
            job_id: self.job_id.clone(),
        }
    }

    /// The part of the log that follows `cursor`.
    #[must_use]
    pub fn range(&self, cursor: Option<DeliveryId>) -> Range {
        Range { since: Some(self.since), until: Some(self.until), after: cursor }
    }
}

/// The queue message that drives one slice of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayMessage {
    /// `1`.
    pub v: FormatVersion,
    /// Owner of the webhook.
    pub tenant_id: TenantId,
    /// The webhook whose deliveries are sent again.
    pub webhook_config_id: WebhookId,
    /// With the webhook, the key of the replay's row.
    pub replay_id: ReplayId,
    /// [`Replay::slice`] when the message was queued.
    pub slice: u32,
}

impl ReplayMessage {
    /// The webhook and its owner.
    #[must_use]
    pub fn webhook(&self) -> WebhookKey {
        WebhookKey { tenant_id: self.tenant_id, webhook_id: self.webhook_config_id }
    }

    /// The message for the replay queue, in the tenant's group.
    pub fn outgoing(&self) -> Result<OutgoingMessage, serde_json::Error> {
        let message = OutgoingMessage::new(MessageJson::of(self)?);
        Ok(OutgoingMessage { group: Some(self.tenant_id), ..message })
    }
}

#[cfg(test)]
mod tests;
