//! A parked message together with its delivery's row in the delivery log. Pure.
//!
//! The rule: the message is the authority. The row adds what SQS does not keep: why a message that it moved had failed,
//! and what has happened since.

use std::time::Duration;

use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus};
use webhooks::event_type::EventType;
use webhooks::id::{DeliveryId, WebhookKey};
use webhooks::store::deliveries::DeliveryRow;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use super::content::{Content, Record};
use super::queue::Received;
use crate::age;

/// The reason of a delivery that SQS moved before all of its attempts were made.
const UNATTEMPTED: &str = "ours: SQS moved it before all its attempts were made";

#[derive(Debug)]
pub(super) struct Parked {
    pub(super) received: Received,
    pub(super) content: Content,
    /// `None` if there is no delivery, or no row of it.
    pub(super) row: Option<DeliveryRow>,
    /// `None` until it is looked up, or if it cannot be read.
    pub(super) webhook: Option<WebhookState>,
}

/// Whether a webhook can receive deliveries now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WebhookState {
    Active,
    SwitchedOff,
    NeedsTest,
    Deleted,
}

impl Parked {
    pub(super) fn new(received: Received) -> Self {
        Self { content: Content::of(&received.body), received, row: None, webhook: None }
    }

    pub(super) fn delivery(&self) -> Option<&DeliveryMessage> {
        self.content.delivery()
    }

    /// The key of the delivery's row.
    pub(super) fn key(&self) -> Option<(WebhookKey, DeliveryId)> {
        self.delivery().map(|delivery| (delivery.webhook(), delivery.delivery_id))
    }

    /// Why the message is parked: as the sender or fanout said, or as the log says. Printable.
    pub(super) fn reason(&self, now: Timestamp) -> String {
        if self.is_unattempted() {
            return UNATTEMPTED.to_owned();
        }
        let attribute = self.received.attributes.get("reason").map(String::as_str);
        let parked = match &self.content {
            Content::Fault { fault, .. } => Some(fault.reason.as_ref()),
            Content::StreamBatch { reason } | Content::Unreadable(reason) => Some(reason.as_str()),
            Content::Delivery(_) => None,
        };
        let attempt = self.last_attempt().and_then(|attempt| attempt.error.as_deref());
        let row = self.row.as_ref().and_then(|row| row.summary.error_at(now));
        let reason = attribute.or(parked).or(attempt).or(row);
        printable(reason.unwrap_or("unknown: SQS moved it, and the delivery log has no reason"))
    }

    /// Attempts of the message's chain; `None` if neither the message nor the log says.
    pub(super) fn attempts(&self) -> Option<u32> {
        let attribute = self.received.attributes.get("attempts");
        let counted = attribute.and_then(|number| number.parse().ok());
        let logged = || self.last_attempt().map(|attempt| attempt.number);
        let carried = || self.delivery().map(|delivery| delivery.attempts_before);
        counted.or_else(logged).or_else(|| carried().filter(|_| self.is_unattempted()))
    }

    /// True if SQS moved the delivery before all of its attempts were made: by the log, its chain has no attempt or has
    /// not ended. Internal failures used up the receives of its message. If attempts were made but not logged, it looks
    /// the same. False while a later chain is pending: its attempts are under way.
    pub(super) fn is_unattempted(&self) -> bool {
        let Content::Delivery(delivery) = &self.content else { return false };
        // The sender says why it moves a delivery.
        if self.received.attributes.contains_key("reason") {
            return false;
        }
        let Some(row) = &self.row else { return true };
        let is_latest_chain = row.summary.chain == delivery.chain;
        match row.summary.status {
            DeliveryStatus::Delivered => false,
            DeliveryStatus::Cancelled if is_latest_chain => false,
            DeliveryStatus::Pending => is_latest_chain,
            _ => row.attempts_of(delivery.chain) == 0,
        }
    }

    /// The last attempt of the message's chain in the log.
    fn last_attempt(&self) -> Option<&Attempt> {
        let chain = self.delivery()?.chain;
        self.row.as_ref()?.attempts.iter().rev().find(|attempt| attempt.chain == chain)
    }

    /// The delivery's status in the log.
    pub(super) fn status(&self, now: Timestamp) -> Option<DeliveryStatus> {
        self.row.as_ref().map(|row| row.summary.status_at(now))
    }

    pub(super) fn is_delivered_since(&self, now: Timestamp) -> bool {
        self.status(now) == Some(DeliveryStatus::Delivered)
    }

    pub(super) fn event(&self) -> Option<EventType> {
        self.delivery().map(|delivery| delivery.event)
    }

    /// The owner, even if it is not a tenant's id. Printable.
    pub(super) fn tenant(&self) -> Option<String> {
        match self.delivery() {
            Some(delivery) => Some(delivery.tenant_id.to_string()),
            None => self.content.ids().tenant_id,
        }
    }

    /// Since the message was first sent.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        age::of(self.received.sent_at, now)
    }

    /// True for the id of the message, of its delivery, or of the record of a fault.
    pub(super) fn has_id(&self, id: &str) -> bool {
        let delivery = self.delivery().map(|delivery| delivery.delivery_id.to_string());
        let (sequence_number, message_id, job) = match &self.content {
            Content::Fault { fault, record } => {
                let job = match record {
                    Record::JobChange(change) => change.ids.job_id.as_deref(),
                    _ => None,
                };
                (fault.sequence_number.as_deref(), fault.message_id.as_deref(), job)
            }
            _ => (None, None, None),
        };
        [
            Some(self.received.message_id.as_str()),
            delivery.as_deref(),
            sequence_number,
            message_id,
            job,
        ]
        .contains(&Some(id))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::content::tests::{DELIVERY, fault, job_change};
    use super::*;

    /// A message with this body and no attributes, sent at the epoch.
    pub(in crate::dlq) fn parked(body: &str) -> Parked {
        Parked::new(Received {
            message_id: "m1".to_owned(),
            body: body.to_owned(),
            attributes: BTreeMap::new(),
            sent_at: Timestamp::from_unix_millis(0),
            receive_count: 1,
        })
    }

    /// The row of [`DELIVERY`] with this status, after two failed attempts of chain 1.
    pub(in crate::dlq) fn row(status: &str, chain: u32) -> DeliveryRow {
        let attempt = |number: u32, error: &str| {
            serde_json::json!({"M": {
                "number": {"N": number.to_string()},
                "at": {"S": "2025-12-03T10:30:00Z"},
                "duration_ms": {"N": "1"},
                "error": {"S": error},
            }})
        };
        let key = "770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000";
        let item: serde_dynamo::Item = serde_json::from_value(serde_json::json!({
            "webhook": {"S": key},
            "delivery_id": {"S": "019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f"},
            "event_id": {"S": "019ae3b8-7a40-7f00-8a11-0f1e2d3c4b5a"},
            "event": {"S": "document.uploaded"},
            "occurred_at": {"S": "2025-12-03T10:30:00Z"},
            "body": {"S": "{}"},
            "status": {"S": status},
            "chain": {"N": chain.to_string()},
            "attempt_count": {"N": "2"},
            "last_attempt": {"N": "2"},
            "last_error": {"S": "the endpoint answered 503"},
            "attempts": {"L": [attempt(1, "no answer within 10 s"), attempt(2, "the endpoint answered 500")]},
            "ttl": {"N": "1"},
        }))
        .unwrap();
        webhooks::store::deliveries::read(item.into()).unwrap()
    }

    /// [`DELIVERY`] as a message of chain 2.
    fn second_chain() -> String {
        DELIVERY.replace("\"attempts_before\"", "\"chain\":2,\"attempts_before\"")
    }

    fn now() -> Timestamp {
        Timestamp::from_unix_millis(60_000)
    }

    #[test]
    fn the_reason_of_a_message_that_sqs_moved_is_in_the_log() {
        let mut moved = parked(DELIVERY);
        moved.row = Some(row("failed", 1));
        assert_eq!(
            (moved.reason(now()), moved.attempts()),
            ("the endpoint answered 500".to_owned(), Some(2))
        );
    }

    #[test]
    fn what_sqs_moved_without_all_attempts_is_ours() {
        let second_chain = second_chain();
        // The message carries five attempts of earlier copies.
        for (body, row, attempts) in [
            (DELIVERY, None, 5),
            (DELIVERY, Some(row("pending", 1)), 2),
            (second_chain.as_str(), Some(row("failed", 1)), 5),
            (&second_chain, Some(row("pending", 2)), 5),
            (&second_chain, Some(row("failed", 2)), 5),
            (&second_chain, Some(row("failed", 3)), 5),
        ] {
            let moved = Parked { row, ..parked(body) };
            assert!(moved.is_unattempted(), "{moved:?}");
            assert_eq!(
                (moved.reason(now()).as_str(), moved.attempts()),
                (UNATTEMPTED, Some(attempts))
            );
        }
    }

    #[test]
    fn what_was_attempted_or_cancelled_or_delivered_and_what_the_sender_moved_is_not_ours() {
        for (status, chain) in
            [("failed", 1), ("failed", 2), ("pending", 2), ("cancelled", 1), ("delivered", 2)]
        {
            let moved = Parked { row: Some(row(status, chain)), ..parked(DELIVERY) };
            assert!(!moved.is_unattempted(), "{status} {chain}");
        }
        let second_chain = second_chain();
        let under_way = Parked { row: Some(row("pending", 3)), ..parked(&second_chain) };
        assert!(!under_way.is_unattempted(), "a redrive would send it beside its third chain");
        let mut by_the_sender = parked(DELIVERY);
        by_the_sender.received.attributes.insert("reason".to_owned(), "gone".to_owned());
        assert!(!by_the_sender.is_unattempted(), "its log entry was lost");
        assert!(!parked(&fault(DELIVERY.to_owned())).is_unattempted());
        assert!(!parked("{}").is_unattempted());
    }

    #[test]
    fn the_attributes_of_a_message_that_the_sender_moved_come_first() {
        let mut moved = parked(DELIVERY);
        moved.row = Some(row("delivered", 2));
        for (name, value) in [("reason", "gone \u{1b}"), ("attempts", "1")] {
            moved.received.attributes.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!((moved.reason(now()), moved.attempts()), ("gone ␛".to_owned(), Some(1)));
        assert!(moved.is_delivered_since(now()));
    }

    #[test]
    fn a_message_is_found_by_each_of_its_ids() {
        let delivery = parked(DELIVERY);
        assert!(delivery.has_id("m1") && delivery.has_id("019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f"));
        assert!(!delivery.has_id("550e8400-e29b-41d4-a716-446655440000"), "the webhook's id");
        let change = parked(&fault(job_change().to_string()));
        assert!(change.has_id("7") && change.has_id("550e8400-e29b-41d4-a716-446655440000"));
        assert!(!change.has_id(""));
    }
}
