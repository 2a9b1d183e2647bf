//! The JSON form of deliveries and their attempts. What the log does not know is null.

use serde::Serialize;

use utoipa::ToSchema;
use webhooks::delivery::{Attempt, DeliveryStatus};
use webhooks::event_type::EventType;
use webhooks::id::{DeliveryId, EventId};
use webhooks::store::deliveries::{DeliveryRow, DeliverySummary, Page};
use webhooks::timestamp::Timestamp;

use crate::cursor::Cursor;

/// A delivery: one event on its way to one webhook. What is unknown or does not apply is null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView<'a> {
    /// The header `X-DocIntell-Delivery`.
    delivery_id: DeliveryId,
    /// The header `webhook-id`.
    event_id: EventId,
    event: EventType,
    /// The document that the event is about.
    document_id: Option<&'a str>,
    /// The job that the event is about.
    job_id: Option<&'a str>,
    /// `pending`: another attempt follows. `failed`: none does. `cancelled`: before the delivery succeeded, the webhook
    /// was switched off or deleted, or got a URL that must be tested first. `skipped`: the event happened while the
    /// webhook was switched off or had to be tested first.
    status: DeliveryStatus,
    /// Attempts so far, including those of earlier chains.
    attempt_count: u32,
    /// Status of the response to the last attempt.
    last_status_code: Option<u16>,
    /// Why the last attempt or the delivery failed.
    last_error: Option<&'a str>,
    /// When the job's change was written, in whole seconds.
    created_at: Timestamp,
    /// When the delivery reached its final status.
    completed_at: Option<Timestamp>,
    /// When the next attempt of a pending delivery is due.
    next_attempt_at: Option<Timestamp>,
}

/// A page of deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryList)]
pub(crate) struct DeliveryList<'a> {
    deliveries: Vec<DeliveryView<'a>>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A delivery in full.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetail)]
pub(crate) struct DeliveryDetail<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    /// The exact text that is sent.
    body: &'a str,
    /// The first 49 attempts and the last one.
    attempts: Vec<AttemptView<'a>>,
}

/// One attempt to post a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView<'a> {
    /// From 1; each retry and replay starts the next chain.
    #[schema(minimum = 1)]
    chain: u32,
    /// From 1 in each chain.
    #[schema(minimum = 1)]
    number: u32,
    /// When the request started.
    at: Timestamp,
    /// 401 or 403 if the endpoint refused the new secret after a rotation; the other fields are then about the second
    /// request, which has the old secret's signature.
    first_status_code: Option<u16>,
    /// Status of the response.
    status_code: Option<u16>,
    /// Milliseconds until the response was read or the attempt failed.
    duration_ms: u64,
    /// Milliseconds to resolve the host name.
    dns_ms: Option<u32>,
    /// Milliseconds to connect.
    connect_ms: Option<u32>,
    /// Milliseconds of the TLS handshake.
    tls_ms: Option<u32>,
    /// Milliseconds from the start to the response's first byte.
    first_byte_ms: Option<u32>,
    /// Why the attempt failed.
    error: Option<&'a str>,
    /// First 500 characters of the response to a failed attempt.
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
