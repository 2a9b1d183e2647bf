//! The format of a row of the delivery log.
//!
//! The rule: a row has all that is needed to send its delivery again, and that of a delivery that succeeds at once stays
//! below 1 KB, which DynamoDB charges as one write.

mod attributes;

use std::time::Duration;

use serde::Deserialize;
use serde_dynamo::Item;
use serde_json::value::RawValue;

use super::{LogEntry, SdkItem};
use crate::delivery::{Attempt, DeliveryMessage, DeliveryStatus, FormatVersion};
use crate::event::Subject;
use crate::event_type::EventType;
use crate::id::{DeliveryId, EventId, ReplayId, WebhookKey};
use crate::store::{StoreError, parse};
use crate::timestamp::Timestamp;
use attributes::Attributes;

/// How long after the time of its next attempt a pending delivery still counts as pending.
const LOST_AFTER: Duration = Duration::from_mins(15);

/// The error of a pending delivery whose next attempt is overdue.
const ATTEMPTS_LOST: &str = "attempts_lost";

/// One delivery in the log.
#[derive(Debug, Clone, Deserialize)]
pub struct DeliveryRow {
    /// Everything but the body and the attempts.
    #[serde(flatten)]
    pub summary: DeliverySummary,
    /// `X-DocIntell-Timestamp` header.
    pub occurred_at: Timestamp,
    /// The exact body of the request.
    pub body: String,
    /// At most 50, in order.
    pub attempts: Vec<Attempt>,
    /// Unix time in seconds after which DynamoDB deletes the row.
    pub ttl: i64,
}

/// A delivery without its body and its attempts. The index of what is not delivered has these attributes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeliverySummary {
    /// Partition key.
    pub webhook: WebhookKey,
    /// Sort key.
    pub delivery_id: DeliveryId,
    /// Partition key of the index; absent from a delivered row, which is therefore not in the index.
    #[serde(default)]
    pub undelivered: Option<WebhookKey>,
    /// The event's type.
    pub event: EventType,
    /// The same for all deliveries of the event.
    pub event_id: EventId,
    /// `None` if the body has none.
    #[serde(default)]
    pub document_id: Option<String>,
    /// `None` if the body has none.
    #[serde(default)]
    pub job_id: Option<String>,
    /// The status after the last logged receive. [`Self::status_at`] is what people see.
    pub status: DeliveryStatus,
    /// The latest chain of attempts, from 1.
    pub chain: u32,
    /// Attempts of all chains.
    pub attempt_count: u32,
    /// Number of the latest chain's last logged attempt; 0 if there is none.
    pub last_attempt: u32,
    /// HTTP status of the last attempt.
    #[serde(default)]
    pub last_status_code: Option<u16>,
    /// Why the last attempt or the delivery failed, as a sentence.
    #[serde(default)]
    pub last_error: Option<String>,
    /// When the delivery reached its final status.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// When the next attempt of a pending delivery is due.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
    /// The replay that started the latest chain.
    #[serde(default)]
    pub replay_id: Option<ReplayId>,
}

impl DeliverySummary {
    /// When the event happened.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.delivery_id.created_at()
    }

    /// The status at `now`: no delivery is pending for ever. One whose next attempt is overdue by 15 minutes counts as
    /// failed, because its message was lost.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> DeliveryStatus {
        if self.is_lost(now) { DeliveryStatus::Failed } else { self.status }
    }

    /// Why the delivery failed, or why its last attempt did; `attempts_lost` for an overdue one.
    #[must_use]
    pub fn error_at(&self, now: Timestamp) -> Option<&str> {
        if self.is_lost(now) { Some(ATTEMPTS_LOST) } else { self.last_error.as_deref() }
    }

    fn is_lost(&self, now: Timestamp) -> bool {
        let due = self.next_attempt_at.unwrap_or_else(|| self.created_at());
        self.status == DeliveryStatus::Pending && now.since(due) >= LOST_AFTER
    }
}

impl DeliveryRow {
    /// A row with the content of `entry` alone. It expires `keep` after the entry.
    pub(super) fn new(entry: &LogEntry<'_>, keep: Duration) -> Self {
        let message = entry.message;
        let (webhook, body) = (message.webhook(), message.body.get());
        let subject = Subject::of_body(body);
        let (document_id, job_id) = subject.map(|it| (it.document_id, it.job_id)).unzip();
        let attempt = entry.attempt.as_ref();
        let attempt_error = || attempt.and_then(|attempt| attempt.error.clone());
        Self {
            summary: DeliverySummary {
                webhook,
                delivery_id: message.delivery_id,
                undelivered: (entry.status != DeliveryStatus::Delivered).then_some(webhook),
                event: message.event,
                event_id: message.event_id,
                document_id,
                job_id,
                status: entry.status,
                chain: message.chain,
                attempt_count: u32::from(attempt.is_some()),
                last_attempt: entry.last_attempt(),
                last_status_code: attempt.and_then(|attempt| attempt.status_code),
                last_error: entry.reason.clone().or_else(attempt_error),
                completed_at: entry.completed_at(),
                next_attempt_at: entry.next_attempt_at,
                replay_id: None,
            },
            occurred_at: message.occurred_at,
            body: body.to_owned(),
            attempts: attempt.into_iter().cloned().collect(),
            ttl: expiry(entry.at, keep),
        }
    }

    /// The row in DynamoDB's format.
    pub fn to_item(&self) -> Result<Item, StoreError> {
        serde_dynamo::to_item(Attributes::of(self)).map_err(StoreError::Encode)
    }

    /// Number of attempts of `chain`, as far as they were logged.
    #[must_use]
    pub fn attempts_of(&self, chain: u32) -> u32 {
        let listed = self.attempts.iter().filter(|attempt| attempt.chain == chain).count();
        let listed = u32::try_from(listed).unwrap_or(u32::MAX);
        // The list of a full or large row lacks attempts.
        let is_partial = self.attempts.len() < self.summary.attempt_count as usize;
        if is_partial && self.summary.chain == chain {
            listed.max(self.summary.last_attempt)
        } else {
            listed
        }
    }

    /// The message that begins the row's latest chain.
    pub fn message(&self) -> Result<DeliveryMessage, StoreError> {
        let DeliverySummary { webhook, delivery_id, event_id, event, chain, .. } = self.summary;
        let body = RawValue::from_string(self.body.clone()).map_err(|source| {
            StoreError::CorruptRow { key: delivery_id.to_string(), source: source.into() }
        })?;
        Ok(DeliveryMessage {
            v: FormatVersion,
            delivery_id,
            event_id,
            tenant_id: webhook.tenant_id,
            webhook_config_id: webhook.webhook_id,
            event,
            occurred_at: self.occurred_at,
            chain,
            attempts_before: 0,
            blocked_since: None,
            body,
        })
    }
}

/// The `ttl` of a row that changes at `at`.
pub(super) fn expiry(at: Timestamp, keep: Duration) -> i64 {
    at.plus(keep).unix_seconds()
}

/// Parses an item of the table. The error contains the delivery's id.
pub fn read(item: SdkItem) -> Result<DeliveryRow, StoreError> {
    parse(item, "delivery_id")
}

/// Parses an item of the index, or a part of one of the table.
pub(super) fn read_summary(item: SdkItem) -> Result<DeliverySummary, StoreError> {
    parse(item, "delivery_id")
}

/// The id of a row that may otherwise be corrupt.
pub(super) fn read_id(item: &SdkItem) -> Option<DeliveryId> {
    item.get("delivery_id")?.as_s().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"v":1,"delivery_id":"019ae3c0-0000-7000-8000-000000000001",
        "event_id":"019ae3c0-0000-7000-8000-000000000002",
        "tenant_id":"770e8400-e29b-41d4-a716-446655440002",
        "webhook_config_id":"550e8400-e29b-41d4-a716-446655440000","event":"document.uploaded",
        "occurred_at":"2025-12-03T10:30:00Z","attempts_before":0,
        "body":{"data":{"document_id":"d","job_id":"j","status": 1.50}}}"#;

    fn message() -> DeliveryMessage {
        serde_json::from_str(JSON).unwrap()
    }

    /// A row that waits for its second attempt.
    fn pending(next_attempt_at: Option<Timestamp>) -> DeliveryRow {
        let message = message();
        let entry = LogEntry {
            message: &message,
            status: DeliveryStatus::Pending,
            attempt: Some(Attempt {
                chain: 1,
                number: 1,
                at: Timestamp::from_unix_millis(0),
                duration_ms: 1,
                phases: crate::delivery::Phases { first_byte_ms: Some(1), ..Default::default() },
                first_status_code: None,
                status_code: Some(500),
                error: Some("the endpoint answered 500".to_owned()),
                response_body: None,
            }),
            reason: None,
            next_attempt_at,
            at: Timestamp::from_unix_millis(0),
        };
        DeliveryRow::new(&entry, Duration::from_hours(1))
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let row = pending(Some(Timestamp::from_unix_millis(1000)));
        let item: SdkItem = row.to_item().unwrap().into();
        let again = read(item.clone()).unwrap();
        assert_eq!((&again.summary, &again.attempts), (&row.summary, &row.attempts));
        assert_eq!((again.body, again.ttl), (row.body, row.ttl));
        assert_eq!(read_summary(item).unwrap(), row.summary);
        assert_eq!(row.summary.document_id.as_deref(), Some("d"));
        assert_eq!(row.summary.last_error.as_deref(), Some("the endpoint answered 500"));
    }

    #[test]
    fn a_row_has_all_of_its_message() {
        let row = pending(None);
        assert_eq!(row.message().unwrap().to_json().unwrap(), message().to_json().unwrap());
        let broken = DeliveryRow { body: "{".to_owned(), ..row };
        assert!(broken.message().is_err());
    }

    #[test]
    fn the_attempts_of_a_chain_are_counted_even_if_the_list_lacks_some() {
        let mut row = pending(None);
        assert_eq!([1, 2].map(|chain| row.attempts_of(chain)), [1, 0]);
        let later = Attempt { chain: 2, ..row.attempts[0].clone() };
        row.attempts.extend([later.clone(), later]);
        row.summary.chain = 2;
        (row.summary.attempt_count, row.summary.last_attempt) = (3, 2);
        assert_eq!([1, 2].map(|chain| row.attempts_of(chain)), [1, 2]);
        (row.summary.attempt_count, row.summary.last_attempt) = (5, 4);
        assert_eq!([1, 2].map(|chain| row.attempts_of(chain)), [1, 4], "two are not in the list");
    }

    #[test]
    fn a_pending_delivery_without_an_attempt_for_15_minutes_is_failed() {
        let minutes = |n: u64| Timestamp::from_unix_millis(n * 60_000);
        let summary = pending(Some(minutes(20))).summary;
        assert_eq!(summary.status_at(minutes(34)), DeliveryStatus::Pending);
        assert_eq!(summary.error_at(minutes(34)), Some("the endpoint answered 500"));
        assert_eq!(summary.status_at(minutes(35)), DeliveryStatus::Failed);
        assert_eq!(summary.error_at(minutes(35)), Some("attempts_lost"));
        for status in [DeliveryStatus::Delivered, DeliveryStatus::Cancelled] {
            let ended = DeliverySummary { status, ..summary.clone() };
            assert_eq!(ended.status_at(minutes(60)), status);
        }
    }
}
