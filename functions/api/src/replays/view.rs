//! The JSON form of replays, and of what a replay would send.

use serde::Serialize;

use utoipa::ToSchema;
use webhooks::delivery::DeliveryStatus;
use webhooks::event_type::EventType;
use webhooks::id::ReplayId;
use webhooks::replay::{Replay, ReplayFilter, ReplayState};
use webhooks::store::replays::Count;
use webhooks::timestamp::Timestamp;

use crate::deliveries::view::DeliveryView;

/// A replay: past deliveries of a webhook, sent again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayView<'a> {
    replay_id: ReplayId,
    state: ReplayState,
    /// Deliveries that it selected when it started.
    counted: u64,
    /// Deliveries that it has queued so far.
    sent: u64,
    /// Deliveries per second.
    rate_per_second: u32,
    filter: FilterView<'a>,
    created_at: Timestamp,
    /// When it last changed or made progress.
    updated_at: Timestamp,
    /// When it ended.
    completed_at: Option<Timestamp>,
}

/// What a replay sends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayFilter)]
struct FilterView<'a> {
    since: Timestamp,
    until: Timestamp,
    status: StatusView<'a>,
    event: Option<EventType>,
    document_id: Option<&'a str>,
    job_id: Option<&'a str>,
}

/// `all`, or a list of statuses.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayStatuses)]
#[serde(untagged)]
enum StatusView<'a> {
    All(&'static str),
    Only(&'a [DeliveryStatus]),
}

/// The newest 100 replays of a webhook, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayList)]
pub(crate) struct ReplayList<'a> {
    replays: Vec<ReplayView<'a>>,
}

/// What a replay would send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayCount)]
pub(crate) struct CountView<'a> {
    /// Deliveries that the replay would send.
    count: u64,
    /// False if counting stopped early.
    count_is_exact: bool,
    /// The first ten of them.
    sample: Vec<DeliveryView<'a>>,
    /// How long the replay would take.
    estimated_seconds: u64,
}

impl<'a> ReplayView<'a> {
    /// The replay at `now`: one that makes no progress is failed.
    #[must_use]
    pub(crate) fn of(replay: &'a Replay, now: Timestamp) -> Self {
        Self {
            replay_id: replay.replay_id,
            state: replay.state_at(now),
            counted: replay.counted,
            sent: replay.sent,
            rate_per_second: replay.rate_per_second,
            filter: FilterView::of(&replay.filter),
            created_at: replay.created_at,
            updated_at: replay.updated_at,
            completed_at: replay.ended_at(now),
        }
    }
}

impl<'a> FilterView<'a> {
    fn of(filter: &'a ReplayFilter) -> Self {
        Self {
            since: filter.since,
            until: filter.until,
            status: filter
                .statuses
                .as_deref()
                .map_or(StatusView::All(super::fields::ALL), StatusView::Only),
            event: filter.event,
            document_id: filter.document_id.as_deref(),
            job_id: filter.job_id.as_deref(),
        }
    }
}

impl<'a> ReplayList<'a> {
    #[must_use]
    pub(crate) fn of(replays: &'a [Replay], now: Timestamp) -> Self {
        Self { replays: replays.iter().map(|replay| ReplayView::of(replay, now)).collect() }
    }
}

impl<'a> CountView<'a> {
    #[must_use]
    pub(crate) fn of(count: &'a Count, rate_per_second: u32, now: Timestamp) -> Self {
        Self {
            count: count.count,
            count_is_exact: count.is_exact,
            sample: count.sample.iter().map(|it| DeliveryView::of(it, now)).collect(),
            estimated_seconds: count.count.div_ceil(rate_per_second.max(1).into()),
        }
    }
}
