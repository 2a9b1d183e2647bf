//! The attributes of a row, as they are written.
//!
//! The rule: they are the fields of [`DeliveryRow`], side by side. That struct nests them, and `serde(flatten)` could
//! write it too, but into a map that grows again and again: with it, a healthy delivery takes 4 % more processor time.

use serde::Serialize;

use super::{DeliveryRow, DeliverySummary};
use crate::delivery::{Attempt, DeliveryStatus};
use crate::event_type::EventType;
use crate::id::{DeliveryId, EventId, ReplayId, WebhookKey};
use crate::timestamp::Timestamp;

#[derive(Serialize)]
pub(super) struct Attributes<'a> {
    webhook: WebhookKey,
    delivery_id: DeliveryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<WebhookKey>,
    event: EventType,
    event_id: EventId,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<&'a str>,
    status: DeliveryStatus,
    chain: u32,
    attempt_count: u32,
    last_attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_id: Option<ReplayId>,
    occurred_at: Timestamp,
    body: &'a str,
    attempts: &'a [Attempt],
    ttl: i64,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(row: &'a DeliveryRow) -> Self {
        // Without `..`, so that a new field cannot be forgotten.
        let DeliveryRow { summary, occurred_at, body, attempts, ttl } = row;
        let DeliverySummary {
            webhook,
            delivery_id,
            undelivered,
            event,
            event_id,
            document_id,
            job_id,
            status,
            chain,
            attempt_count,
            last_attempt,
            last_status_code,
            last_error,
            completed_at,
            next_attempt_at,
            replay_id,
        } = summary;
        Self {
            webhook: *webhook,
            delivery_id: *delivery_id,
            undelivered: *undelivered,
            event: *event,
            event_id: *event_id,
            document_id: document_id.as_deref(),
            job_id: job_id.as_deref(),
            status: *status,
            chain: *chain,
            attempt_count: *attempt_count,
            last_attempt: *last_attempt,
            last_status_code: *last_status_code,
            last_error: last_error.as_deref(),
            completed_at: *completed_at,
            next_attempt_at: *next_attempt_at,
            replay_id: *replay_id,
            occurred_at: *occurred_at,
            body,
            attempts,
            ttl: *ttl,
        }
    }
}
