//! Skipped deliveries: what replaces their row, and what they never replace.

use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus, Phases};
use webhooks::id::ReplayId;
use webhooks::store::deliveries::{DeliveryRow, LogEntry, Order, Range};
use webhooks::timestamp::Timestamp;
use webhooks::withheld::Withheld;

use super::{Logged, ids, of_statuses};

impl Logged {
    async fn skip(&self) {
        let skipped = self.log.skip(&self.message, Withheld::SwitchedOff, Timestamp::now()).await;
        skipped.expect("the log can be written");
    }

    /// Logs that the webhook was switched off when the sender received `message`.
    async fn cancel(&self, message: &DeliveryMessage) {
        let entry = LogEntry {
            message,
            status: DeliveryStatus::Cancelled,
            attempt: None,
            reason: Some("the webhook is switched off".to_owned()),
            next_attempt_at: None,
            at: Timestamp::now(),
        };
        self.log.append(&entry).await.expect("the log can be written");
    }

    async fn status(&self) -> DeliveryStatus {
        self.row().await.summary.status
    }
}

#[tokio::test]
async fn a_retry_or_replay_of_a_skipped_delivery_sends_the_message_that_was_held_back() {
    for replay in [None, Some(ReplayId::random())] {
        let logged = Logged::new().await;
        logged.skip().await;
        let filter = of_statuses(&[DeliveryStatus::Skipped]);
        let page = logged.list(&filter, Range::default(), Order::OldestFirst, 10).await;
        assert_eq!(ids(&page), [logged.message.delivery_id]);

        let started = logged.log.start_chain(&page.deliveries[0], replay, Timestamp::now()).await;
        let row = started.expect("the log can be written").expect("nobody else did it");
        let second = row.message().expect("the row has its message");
        let held_back = DeliveryMessage { chain: 2, ..logged.message.clone() };
        assert_eq!(second.to_json().expect("JSON"), held_back.to_json().expect("JSON"));
        assert_eq!(row.summary.replay_id, replay);

        logged.append_to(&second, 1, DeliveryStatus::Delivered).await;
        let DeliveryRow { summary, .. } = logged.row().await;
        assert_eq!((summary.status, summary.chain), (DeliveryStatus::Delivered, 2));
        assert_eq!(
            (summary.attempt_count, summary.last_error, summary.undelivered),
            (1, None, None)
        );
        assert_eq!(logged.attempts().await, [(2, 1)]);
    }
}

#[tokio::test]
async fn a_skip_changes_no_row() {
    use DeliveryStatus::{Delivered, Failed, Pending};
    for status in [Pending, Delivered, Failed] {
        let logged = Logged::new().await;
        logged.append(1, status).await;
        let before = logged.row().await.summary;
        logged.skip().await;
        assert_eq!(logged.row().await.summary, before);
    }
    let logged = Logged::new().await;
    logged.skip().await;
    let before = logged.row().await;
    logged.skip().await;
    assert_eq!((logged.row().await.summary, logged.row().await.ttl), (before.summary, before.ttl));
    logged.next_chain().await;
    let before = logged.row().await.summary;
    logged.skip().await;
    assert_eq!(logged.row().await.summary, before);
}

#[tokio::test]
async fn a_skipped_delivery_whose_message_is_queued_too_shows_what_became_of_the_message() {
    let logged = Logged::new().await;
    logged.skip().await;
    logged.append(1, DeliveryStatus::Pending).await;
    logged.append(2, DeliveryStatus::Delivered).await;
    assert_eq!(logged.attempts().await, [(1, 1), (1, 2)]);
    assert_eq!(logged.status().await, DeliveryStatus::Delivered);

    let logged = Logged::new().await;
    logged.skip().await;
    logged.cancel(&logged.message).await;
    assert_eq!(logged.status().await, DeliveryStatus::Cancelled);
    let second = logged.next_chain().await;
    assert_eq!(second.body.get(), logged.message.body.get());

    let logged = Logged::new().await;
    logged.skip().await;
    let entry = LogEntry {
        message: &logged.message,
        status: DeliveryStatus::Delivered,
        attempt: Some(Attempt {
            chain: 1,
            number: 1,
            at: Timestamp::now(),
            duration_ms: 1,
            phases: Phases::default(),
            first_status_code: None,
            status_code: Some(200),
            error: None,
            response_body: None,
        }),
        reason: None,
        next_attempt_at: None,
        at: Timestamp::now(),
    };
    logged.log.put_all(&[entry]).await.expect("the log can be written");
    let summary = logged.row().await.summary;
    assert_eq!((summary.status, summary.undelivered), (DeliveryStatus::Delivered, None));
}

#[tokio::test]
async fn the_first_chains_message_does_not_cancel_a_retry_of_its_skipped_delivery() {
    let logged = Logged::new().await;
    logged.skip().await;
    let second = logged.next_chain().await;
    logged.cancel(&logged.message).await;
    let summary = logged.row().await.summary;
    assert_eq!((summary.status, summary.chain), (DeliveryStatus::Pending, 2));
    logged.append_to(&second, 1, DeliveryStatus::Delivered).await;
    logged.cancel(&logged.message).await;
    assert_eq!(logged.status().await, DeliveryStatus::Delivered);
}
