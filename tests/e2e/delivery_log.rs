//! The delivery log's conditional writes and its queries, on a table that evaluates conditions.

mod skipped;

use std::time::Duration;

use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus, Phases};
use webhooks::id::{DeliveryId, WebhookId};
use webhooks::store::deliveries::{DeliveryFilter, DeliveryRow, LogEntry, Order, Page, Range};
use webhooks::store::{DeliveryLog, DynamoDb};
use webhooks::timestamp::Timestamp;

use crate::support::tenant::Tenant;
use crate::support::world::World;

/// A delivery that is on no queue, and the delivery log of the deployed stack.
struct Logged {
    message: DeliveryMessage,
    log: DeliveryLog,
}

impl Logged {
    async fn new() -> Self {
        let (tenant, world) = (Tenant::new().await, World::get());
        let sample = include_str!("../../events/queue-batch.json");
        let batch: serde_json::Value = serde_json::from_str(sample).expect("it is JSON");
        let body = batch["Records"][0]["body"].as_str().expect("it is text");
        let message: DeliveryMessage = serde_json::from_str(body).expect("it is a message");
        let webhook_config_id = WebhookId::random();
        let message = DeliveryMessage { tenant_id: tenant.id, webhook_config_id, ..message };
        let log = DeliveryLog::new(
            DynamoDb::new(&world.aws()),
            world.info().outputs.deliveries_table.clone(),
            Duration::from_hours(1),
        );
        Self { message, log }
    }

    async fn append(&self, number: u32, status: DeliveryStatus) {
        self.append_to(&self.message, number, status).await;
    }

    /// Adds attempt `number` of the message's chain. The attempt's time is `number` seconds after the epoch.
    async fn append_to(&self, message: &DeliveryMessage, number: u32, status: DeliveryStatus) {
        let attempt = Attempt {
            chain: message.chain,
            number,
            at: Timestamp::from_unix_millis(u64::from(number) * 1000),
            duration_ms: 1,
            phases: Phases::default(),
            first_status_code: None,
            status_code: Some(500),
            error: (status != DeliveryStatus::Delivered).then(|| "out of order".to_owned()),
            response_body: None,
        };
        let is_open = status == DeliveryStatus::Pending;
        let entry = LogEntry {
            message,
            status,
            attempt: Some(attempt),
            reason: None,
            next_attempt_at: is_open.then(Timestamp::now),
            at: Timestamp::now(),
        };
        self.log.append(&entry).await.expect("the log can be written");
    }

    async fn row(&self) -> DeliveryRow {
        let row = self.log.get(self.message.webhook(), self.message.delivery_id).await;
        row.expect("the log can be read").expect("there is a row")
    }

    /// Chain and number of each attempt.
    async fn attempts(&self) -> Vec<(u32, u32)> {
        self.row().await.attempts.iter().map(|attempt| (attempt.chain, attempt.number)).collect()
    }

    async fn next_chain(&self) -> DeliveryMessage {
        let seen = self.row().await.summary;
        let started = self.log.start_chain(&seen, None, Timestamp::now()).await;
        let row = started.expect("the log can be written").expect("nobody else did it");
        row.message().expect("the row has its message")
    }

    /// Deliveries of the webhook, one per second since the epoch; every second one is delivered.
    async fn add_deliveries(&self, count: u64) -> Vec<DeliveryId> {
        let mut ids = Vec::new();
        for number in 1..=count {
            let delivery_id = DeliveryId::first_at(Timestamp::from_unix_millis(number * 1000));
            let message = DeliveryMessage { delivery_id, ..self.message.clone() };
            let is_even = number % 2 == 0;
            let status = if is_even { DeliveryStatus::Delivered } else { DeliveryStatus::Failed };
            self.append_to(&message, 1, status).await;
            ids.push(delivery_id);
        }
        ids
    }

    async fn list(
        &self,
        filter: &DeliveryFilter,
        range: Range,
        order: Order,
        limit: usize,
    ) -> Page {
        let page = self
            .log
            .list(self.message.webhook(), filter, range, order, limit, Timestamp::now())
            .await;
        page.expect("the log can be read")
    }
}

fn ids(page: &Page) -> Vec<DeliveryId> {
    page.deliveries.iter().map(|delivery| delivery.delivery_id).collect()
}

fn of_statuses(statuses: &[DeliveryStatus]) -> DeliveryFilter {
    DeliveryFilter { statuses: Some(statuses.to_vec()), ..DeliveryFilter::default() }
}

#[tokio::test]
async fn the_log_keeps_the_first_49_attempts_and_the_latest_one() {
    let logged = Logged::new().await;
    for number in 1..=52 {
        logged.append(number, DeliveryStatus::Pending).await;
    }
    let numbers = |range: std::ops::RangeInclusive<u32>| range.map(|number| (1, number));
    assert_eq!(logged.attempts().await, numbers(1..=49).chain([(1, 52)]).collect::<Vec<_>>());
    logged.append(53, DeliveryStatus::Delivered).await;
    logged.append(54, DeliveryStatus::Failed).await;
    assert_eq!(logged.attempts().await[49..], [(1, 53)], "a success is never overwritten");
    let summary = logged.row().await.summary;
    assert_eq!((summary.status, summary.attempt_count), (DeliveryStatus::Delivered, 53));
}

#[tokio::test]
async fn a_repeated_or_earlier_attempt_is_not_added() {
    let logged = Logged::new().await;
    for number in [1, 1, 3, 2] {
        logged.append(number, DeliveryStatus::Pending).await;
    }
    assert_eq!(logged.attempts().await, [(1, 1), (1, 3)]);
    assert_eq!(logged.row().await.summary.attempt_count, 2);
}

#[tokio::test]
async fn a_new_chain_keeps_the_attempts_and_can_fail_after_a_success() {
    let logged = Logged::new().await;
    logged.append(1, DeliveryStatus::Delivered).await;
    let second = logged.next_chain().await;
    assert_eq!((second.chain, second.attempts_before), (2, 0));
    assert_eq!(second.body.get(), logged.message.body.get());
    let summary = logged.row().await.summary;
    assert_eq!((summary.status, summary.completed_at), (DeliveryStatus::Pending, None));
    assert!(summary.undelivered.is_some() && summary.next_attempt_at.is_some());

    logged.append_to(&second, 1, DeliveryStatus::Pending).await;
    logged.append_to(&second, 2, DeliveryStatus::Failed).await;
    assert_eq!(logged.attempts().await, [(1, 1), (2, 1), (2, 2)]);
    assert_eq!(logged.row().await.summary.status, DeliveryStatus::Failed);

    let third = logged.next_chain().await;
    logged.append_to(&third, 1, DeliveryStatus::Delivered).await;
    let summary = logged.row().await.summary;
    assert_eq!((summary.status, summary.chain), (DeliveryStatus::Delivered, 3));
    assert_eq!((summary.undelivered, summary.last_error), (None, None));
}

#[tokio::test]
async fn a_late_write_of_an_older_chain_adds_its_attempt_once_and_changes_nothing_else() {
    let logged = Logged::new().await;
    logged.append(1, DeliveryStatus::Pending).await;
    let second = logged.next_chain().await;
    logged.append_to(&second, 1, DeliveryStatus::Delivered).await;
    for _ in 0..2 {
        logged.append(2, DeliveryStatus::Failed).await;
    }
    assert_eq!(logged.attempts().await, [(1, 1), (2, 1), (1, 2)]);
    let summary = logged.row().await.summary;
    assert_eq!((summary.status, summary.chain), (DeliveryStatus::Delivered, 2));
    assert_eq!((summary.last_attempt, summary.undelivered), (1, None));
    assert_eq!(summary.last_error, None);
}

#[tokio::test]
async fn only_one_of_two_callers_starts_a_chain() {
    let logged = Logged::new().await;
    logged.append(1, DeliveryStatus::Failed).await;
    let seen = logged.row().await.summary;
    let start = || logged.log.start_chain(&seen, None, Timestamp::now());
    let (first, second) = tokio::join!(start(), start());
    let started = [first, second].map(|it| it.expect("the log can be written").is_some());
    assert_eq!(started.into_iter().filter(|it| *it).count(), 1);
    assert_eq!(logged.row().await.summary.chain, 2);
}

#[tokio::test]
async fn a_chain_without_a_message_is_failed_unless_an_attempt_was_made() {
    let logged = Logged::new().await;
    logged.append(1, DeliveryStatus::Failed).await;
    let second = logged.next_chain().await;
    let started = logged.row().await.summary;
    let give_up = || logged.log.fail_chain(&started, "not queued", Timestamp::now());
    logged.append_to(&second, 1, DeliveryStatus::Pending).await;
    give_up().await.expect("the log can be written");
    assert_eq!(logged.row().await.summary.status, DeliveryStatus::Pending);

    logged.append_to(&second, 2, DeliveryStatus::Failed).await;
    logged.next_chain().await;
    let started = logged.row().await.summary;
    logged.log.fail_chain(&started, "not queued", Timestamp::now()).await.expect("it is written");
    let summary = logged.row().await.summary;
    assert_eq!((summary.status, summary.next_attempt_at), (DeliveryStatus::Failed, None));
    assert_eq!(summary.last_error.as_deref(), Some("not queued"));
}

#[tokio::test]
async fn pages_have_every_delivery_once_in_either_order() {
    let logged = Logged::new().await;
    let mut expected = logged.add_deliveries(7).await;
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for limit in [1, 2, 3, 7, 100] {
            let (mut seen, mut range) = (Vec::new(), Range::default());
            loop {
                let page = logged.list(&DeliveryFilter::default(), range, order, limit).await;
                assert!(page.deliveries.len() <= limit);
                seen.extend(ids(&page));
                let Some(after) = page.next else { break };
                range.after = Some(after);
            }
            assert_eq!(seen, expected, "{order:?}, {limit}");
        }
        expected.reverse();
    }
}

#[tokio::test]
async fn a_filter_finds_deliveries_by_status_time_event_document_and_job() {
    let logged = Logged::new().await;
    let all = logged.add_deliveries(6).await;
    let find = async |filter: &DeliveryFilter, range| {
        ids(&logged.list(filter, range, Order::OldestFirst, 100).await)
    };
    let (delivered, failed) = (DeliveryStatus::Delivered, DeliveryStatus::Failed);
    let any = Range::default();
    assert_eq!(find(&of_statuses(&[failed]), any).await, [all[0], all[2], all[4]]);
    assert_eq!(find(&of_statuses(&[delivered]), any).await, [all[1], all[3], all[5]]);
    assert_eq!(find(&of_statuses(&[failed, delivered]), any).await, all);
    assert_eq!(find(&of_statuses(&[DeliveryStatus::Pending]), any).await, []);

    let second = |second: u64| Some(Timestamp::from_unix_millis(second * 1000));
    let late = Some(Timestamp::from_unix_millis(2999));
    for since in [second(2), late] {
        let range = Range { since, until: second(4), after: None };
        assert_eq!(find(&DeliveryFilter::default(), range).await, all[1..4]);
    }
    let range = Range { since: second(2), until: second(4), after: None };
    assert_eq!(find(&DeliveryFilter::default(), range).await, all[1..4]);
    assert_eq!(find(&of_statuses(&[failed]), range).await, [all[2]]);

    let summary = logged.list(&DeliveryFilter::default(), any, Order::OldestFirst, 1).await;
    let summary = &summary.deliveries[0];
    let same = DeliveryFilter {
        event: Some(summary.event),
        document_id: summary.document_id.clone(),
        job_id: summary.job_id.clone(),
        ..of_statuses(&[failed])
    };
    assert_eq!(find(&same, any).await.len(), 3);
    let other = Some("other".to_owned());
    for none in [
        DeliveryFilter { document_id: other.clone(), ..same.clone() },
        DeliveryFilter { job_id: other, ..same },
    ] {
        assert_eq!(find(&none, any).await, []);
    }
}
