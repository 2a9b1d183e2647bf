//! One slice of a replay, from its claim to the message of the next slice.
//!
//! The rule: once a second the function notes its progress and looks whether it may go on.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use webhooks::aws::chain;
use webhooks::id::{ClaimId, WebhookKey};
use webhooks::metrics::{Metric, Metrics};
use webhooks::replay::{Replay, ReplayState};
use webhooks::store::StoreError;
use webhooks::store::deliveries::Order;
use webhooks::store::replays::Progress;
use webhooks::timestamp::Timestamp;

use crate::pace::Pace;
use crate::send::Sent;
use crate::{Replayer, SliceError, replay_line};

/// How often progress is noted, and how soon a pause takes effect.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Why a slice ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its time is over.
    TimeIsUp,
    /// The replay was paused or cancelled.
    Stopped,
    /// Everything is sent.
    Exhausted,
    /// The webhook was deleted, or gets no deliveries.
    NoEndpoint(&'static str),
    /// Another function has taken over.
    TakenOver,
}

impl Replayer {
    /// Does the claimed slice, which ends soon after `ends_at`, and queues the message of the next one.
    pub(crate) async fn do_slice(
        &self,
        claimed: &Replay,
        claim: ClaimId,
        metrics: &mut Metrics,
        ends_at: Instant,
    ) -> Result<(), SliceError> {
        let begun = Progress { cursor: claimed.cursor, sent: claimed.sent };
        let mut progress = begun;
        let end = match self.send_until(claimed, claim, ends_at, &mut progress, metrics).await {
            Ok(end) => end,
            Err(error) => {
                if progress != begun {
                    let now = Timestamp::now();
                    let noted = self.replays.note_progress(claimed, claim, progress, now).await;
                    if let Err(error) = noted {
                        let error = chain(&error);
                        replay_line!(
                            warn,
                            claimed.replay_id,
                            claimed.webhook,
                            error,
                            "cannot note progress"
                        );
                    }
                }
                return Err(error);
            }
        };
        self.end(claimed, claim, progress, end).await
    }

    /// Sends at the replay's pace and keeps `progress` up to date.
    async fn send_until(
        &self,
        claimed: &Replay,
        claim: ClaimId,
        ends_at: Instant,
        progress: &mut Progress,
        metrics: &mut Metrics,
    ) -> Result<End, SliceError> {
        let pace = Pace::of(claimed.rate_per_second);
        let to_read = claimed.filter.to_read();
        if let Some(end) = self.without_endpoint(claimed.webhook).await? {
            return Ok(end);
        }
        let mut checked_at = Instant::now();
        loop {
            let (begun, now) = (Instant::now(), Timestamp::now());
            let range = claimed.filter.range(progress.cursor);
            let found = self
                .log
                .list(claimed.webhook, &to_read, range, Order::OldestFirst, pace.step(), now)
                .await?;
            let Sent { count, failure } = self.send(claimed, &found.deliveries).await;
            progress.sent += count;
            metrics.add(Metric::Replayed, usize::try_from(count).unwrap_or(usize::MAX));
            if let Some((done, error)) = failure {
                progress.cursor = done.or(progress.cursor);
                return Err(error);
            }
            let last = found.deliveries.last().map(|delivery| delivery.delivery_id);
            progress.cursor = found.next.or(last).or(progress.cursor);
            if found.next.is_none() {
                return Ok(End::Exhausted);
            }
            sleep_until(begun + pace.time_of(count)).await;
            if Instant::now() >= ends_at {
                return Ok(End::TimeIsUp);
            }
            if checked_at.elapsed() >= CHECK_EVERY {
                if let Some(end) = self.check(claimed, claim, *progress).await? {
                    return Ok(end);
                }
                checked_at = Instant::now();
            }
        }
    }

    /// Notes the progress; returns the reason to end the slice, if there is one.
    async fn check(
        &self,
        claimed: &Replay,
        claim: ClaimId,
        progress: Progress,
    ) -> Result<Option<End>, StoreError> {
        let noted = self.replays.note_progress(claimed, claim, progress, Timestamp::now());
        let (noted, without_endpoint) = tokio::join!(noted, self.without_endpoint(claimed.webhook));
        match noted? {
            None => Ok(Some(End::TakenOver)),
            Some(replay) if replay.state != ReplayState::Running => Ok(Some(End::Stopped)),
            Some(_) => without_endpoint,
        }
    }

    async fn without_endpoint(&self, webhook: WebhookKey) -> Result<Option<End>, StoreError> {
        let webhook = self.webhooks.get(webhook.tenant_id, webhook.webhook_id).await?;
        Ok(match webhook {
            None => Some(End::NoEndpoint("the webhook was deleted")),
            Some(webhook) => {
                webhook.withheld().map(|(withheld, _)| End::NoEndpoint(withheld.as_str()))
            }
        })
    }

    /// Ends the slice, and the replay if nothing is left to do. Otherwise queues the message of the next slice.
    async fn end(
        &self,
        claimed: &Replay,
        claim: ClaimId,
        progress: Progress,
        end: End,
    ) -> Result<(), SliceError> {
        let ended = if end == End::TakenOver {
            None
        } else {
            self.replays.end_slice(claimed, claim, progress, Timestamp::now()).await?
        };
        let Some(replay) = ended else {
            replay_line!(
                warn,
                claimed.replay_id,
                claimed.webhook,
                "another function has taken the slice over"
            );
            return Ok(());
        };
        let sent = progress.sent - claimed.sent;
        replay_line!(
            info,
            replay.replay_id,
            replay.webhook,
            slice = claimed.slice,
            sent,
            reason = ?end,
            "slice of a replay done"
        );
        if replay.state != ReplayState::Running {
            return Ok(());
        }
        let now = Timestamp::now();
        match end {
            End::Exhausted => {
                self.replays.end(&replay, ReplayState::Completed, None, now).await?;
            }
            End::NoEndpoint(reason) => {
                self.replays.end(&replay, ReplayState::Cancelled, Some(reason), now).await?;
            }
            // A stopped replay that runs was resumed meanwhile.
            End::TimeIsUp | End::Stopped | End::TakenOver => self.queue(&replay).await?,
        }
        Ok(())
    }
}
