//! The JSON form of deliveries and their attempts. What the log does not know is null.

use serde::Serialize;

use webhooks::delivery::{Attempt, DeliveryStatus};
use webhooks::event_type::EventType;
use webhooks::id::{DeliveryId, EventId};
use webhooks::store::deliveries::{DeliveryRow, DeliverySummary, Page};
use webhooks::timestamp::Timestamp;

use crate::cursor::Cursor;

/// A delivery in a list.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryView<'a> {
    delivery_id: DeliveryId,
    event_id: EventId,
    event: EventType,
    document_id: Option<&'a str>,
    job_id: Option<&'a str>,
    status: DeliveryStatus,
    attempt_count: u32,
    last_status_code: Option<u16>,
    last_error: Option<&'a str>,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
}

/// The body of `GET …/deliveries`.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryList<'a> {
    deliveries: Vec<DeliveryView<'a>>,
    next_cursor: Option<String>,
}

/// A delivery in full.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryDetail<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    body: &'a str,
    attempts: Vec<AttemptView<'a>>,
}

#[derive(Debug, Serialize)]
struct AttemptView<'a> {
    chain: u32,
    number: u32,
    at: Timestamp,
    first_status_code: Option<u16>,
    status_code: Option<u16>,
    duration_ms: u64,
    dns_ms: Option<u32>,
    connect_ms: Option<u32>,
    tls_ms: Option<u32>,
    first_byte_ms: Option<u32>,
    error: Option<&'a str>,
    response_body: Option<&'a str>,
}

impl<'a> DeliveryView<'a> {
    /// The delivery at `now`: one whose attempts were lost is failed and waits for no attempt.
    #[must_use]
    pub(crate) fn of(summary: &'a DeliverySummary, now: Timestamp) -> Self {
        let status = summary.status_at(now);
        Self {
            delivery_id: summary.delivery_id,
            event_id: summary.event_id,
            event: summary.event,
            document_id: summary.document_id.as_deref(),
            job_id: summary.job_id.as_deref(),
            status,
            attempt_count: summary.attempt_count,
            last_status_code: summary.last_status_code,
            last_error: summary.error_at(now),
            created_at: summary.created_at(),
            completed_at: summary.completed_at,
            next_attempt_at: summary.next_attempt_at.filter(|_| status == DeliveryStatus::Pending),
        }
    }
}

impl<'a> DeliveryList<'a> {
    #[must_use]
    pub(super) fn of(page: &'a Page, now: Timestamp) -> Self {
        Self {
            deliveries: page.deliveries.iter().map(|it| DeliveryView::of(it, now)).collect(),
            next_cursor: page.next.map(|position| Cursor(position).to_string()),
        }
    }
}

impl<'a> DeliveryDetail<'a> {
    #[must_use]
    pub(super) fn of(row: &'a DeliveryRow, now: Timestamp) -> Self {
        Self {
            delivery: DeliveryView::of(&row.summary, now),
            body: &row.body,
            attempts: row.attempts.iter().map(AttemptView::of).collect(),
        }
    }
}

impl<'a> AttemptView<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        Self {
            chain: attempt.chain,
            number: attempt.number,
            at: attempt.at,
            first_status_code: attempt.first_status_code,
            status_code: attempt.status_code,
            duration_ms: attempt.duration_ms,
            dns_ms: attempt.phases.dns_ms,
            connect_ms: attempt.phases.connect_ms,
            tls_ms: attempt.phases.tls_ms,
            first_byte_ms: attempt.phases.first_byte_ms,
            error: attempt.error.as_deref(),
            response_body: attempt.response_body.as_deref(),
        }
    }
}
