//! The conditional writes of health, on a table that evaluates conditions.

use std::time::Duration;

use futures_util::future::join_all;
use harness::{Receiver, status};
use serde_json::json;
use webhooks::id::WebhookId;
use webhooks::store::{AuditStore, DynamoDb, WebhookEditor, WebhookStore};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::{DisabledReason, Webhook};

use crate::support::tenant::{Hook, Tenant};
use crate::support::world::World;

/// A webhook that gets no deliveries, and the stores of the deployed stack.
struct Stored {
    tenant: Tenant,
    hook: Hook,
    store: WebhookStore,
    editor: WebhookEditor,
}

impl Stored {
    async fn new() -> Self {
        let (tenant, _receiver, hook) = Tenant::subscribed(status(200)).await;
        let world = World::get();
        let outputs = &world.info().outputs;
        let dynamodb = DynamoDb::new(&world.aws());
        let store = WebhookStore::new(dynamodb.clone(), outputs.webhooks_table.clone());
        let table = outputs.webhook_audit_table.clone();
        let audit = AuditStore::new(dynamodb, table, Duration::from_hours(24));
        Self { tenant, hook, editor: WebhookEditor::new(store.clone(), audit), store }
    }

    /// Switches the webhook off as a sender that has read `webhook`. Returns false if the write is refused.
    async fn disable(&self, webhook: &Webhook, reason: DisabledReason) -> bool {
        let disabled = self.editor.disable(webhook, reason, at(9)).await;
        disabled.expect("the table can be written").is_some()
    }

    async fn read(&self) -> Webhook {
        let id: WebhookId = self.hook.id.parse().expect("it is an id");
        let found = self.store.get(self.tenant.id, id).await.expect("the row can be read");
        found.expect("the webhook exists")
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_unix_millis(1_764_757_800_000 + millis)
}

/// The number of writes that succeeded.
async fn winners<E: std::fmt::Debug>(
    writes: impl Iterator<Item = impl Future<Output = Result<bool, E>>>,
) -> usize {
    let results = join_all(writes).await;
    results.into_iter().filter(|result| *result.as_ref().expect("the table can be written")).count()
}

#[tokio::test]
async fn exactly_one_of_ten_concurrent_writers_makes_each_change() {
    let stored = Stored::new().await;
    let row = stored.read().await;
    assert_eq!(winners((0..10).map(|n| stored.store.note_failing(&row, at(n)))).await, 1);
    let row = stored.read().await;
    assert!(row.failing_since.is_some());
    assert_eq!(winners((0..10).map(|_| stored.store.note_recovered(&row))).await, 1);
    let row = stored.read().await;
    assert_eq!(row.failing_since, None);
    let disabled = join_all((0..10).map(|_| stored.disable(&row, DisabledReason::Gone))).await;
    assert_eq!(disabled.into_iter().filter(|it| *it).count(), 1);
    let disabled = stored.read().await.disabled.expect("it is switched off");
    assert_eq!(disabled.reason, DisabledReason::Gone);
}

#[tokio::test]
async fn an_old_success_does_not_clear_a_newer_failing_since() {
    let stored = Stored::new().await;
    let healthy = stored.read().await;
    assert!(stored.store.note_failing(&healthy, at(1)).await.expect("it is written"));
    let read_by_a_slow_sender = stored.read().await;
    assert!(stored.store.note_recovered(&read_by_a_slow_sender).await.expect("it is written"));
    assert!(stored.store.note_failing(&healthy, at(2)).await.expect("it is written"));
    assert!(!stored.store.note_recovered(&read_by_a_slow_sender).await.expect("it is refused"));
    let too_long = DisabledReason::FailingTooLong;
    let is_disabled = stored.disable(&read_by_a_slow_sender, too_long).await;
    assert!(!is_disabled, "there was a success meanwhile");
    let row = stored.read().await;
    assert_eq!((row.failing_since, row.is_active()), (Some(at(2)), true));
}

#[tokio::test]
async fn an_answer_from_before_a_change_by_the_owner_does_not_count() {
    let stored = Stored::new().await;
    let before = stored.read().await;
    let elsewhere = Receiver::start(status(200)).await;
    stored.tenant.change(&stored.hook, json!({"url": elsewhere.url()})).await;
    assert!(!stored.store.note_failing(&before, at(1)).await.expect("it is refused"));
    let is_disabled = stored.disable(&before, DisabledReason::Gone).await;
    assert!(!is_disabled, "the old URL is gone, not the new one");

    let before = stored.read().await;
    stored.tenant.change(&stored.hook, json!({"is_active": false})).await;
    assert!(!stored.store.note_failing(&before, at(1)).await.expect("it is refused"));
    let row = stored.read().await;
    assert_eq!(
        (row.failing_since, row.disabled.map(|it| it.reason)),
        (None, Some(DisabledReason::Owner))
    );
}

#[tokio::test]
async fn a_deleted_webhook_is_not_created_again() {
    let stored = Stored::new().await;
    let row = stored.read().await;
    let path = format!("/v1/webhooks/{}", stored.hook.id);
    stored.tenant.request(reqwest::Method::DELETE, &path, None).await;
    assert!(!stored.store.note_failing(&row, at(1)).await.expect("it is refused"));
    assert!(!stored.disable(&row, DisabledReason::Gone).await);
    let found = stored.store.get(stored.tenant.id, row.id).await.expect("the table can be read");
    assert_eq!(found, None);
}
