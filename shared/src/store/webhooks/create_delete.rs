//! Creates and deletes webhooks within the limit of each tenant.
//!
//! The rule: the row, the tenant's count and the row of the history change in one transaction.

use aws_sdk_dynamodb::types::builders::{DeleteBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use tokio::time::sleep;

use super::edit::{AS_SEEN, seen, waits};
use super::idempotency::note_create;
use super::{EditError, SdkItem, WebhookEditor, WebhookStore, key, key_of, row};
use crate::audit::{Action, Actor, Change, Edit};
use crate::id::{TenantId, WebhookId, WebhookKey};
use crate::idempotency::IdempotentRequest;
use crate::store::StoreError;
use crate::store::transaction::transact;
use crate::timestamp::Timestamp;
use crate::webhook::Webhook;

/// Sort key of the row that counts a tenant's webhooks. The row has a partition of its own, so that a query for
/// the tenant's webhooks does not return it.
const COUNTER: &str = "count";

/// Why a webhook was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The tenant has the maximum number of webhooks.
    #[error("the tenant has reached its limit of webhooks")]
    LimitReached,
    /// Another create has used the request's `Idempotency-Key`.
    #[error("another create has used the Idempotency-Key")]
    KeyUsed,
    /// The table could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WebhookEditor {
    /// Stores a new webhook, unless its tenant already has `limit` webhooks. Concurrent calls cannot exceed the
    /// limit. Of those with the same `request`, one succeeds.
    pub async fn create(
        &self,
        webhook: &Webhook,
        actor: Actor,
        limit: u32,
        request: Option<&IdempotentRequest>,
    ) -> Result<(), CreateError> {
        let change = Change::of(Edit::Created(webhook), actor, Action::Create, webhook.created_at);
        let mut writes = vec![
            self.webhooks.count_one_more(webhook.tenant_id, limit),
            self.webhooks.put(row::write(webhook)?),
            self.audit.put(&change)?,
        ];
        let note = writes.len();
        if let Some(request) = request {
            writes.push(note_create(&self.webhooks.table, request, webhook)?);
        }
        match transact(self.client(), writes).await {
            Ok(()) => Ok(()),
            Err(error) if error.failed_condition == Some(0) => Err(CreateError::LimitReached),
            Err(error) if error.failed_condition == Some(note) => Err(CreateError::KeyUsed),
            Err(error) => Err(StoreError::from(error.source).into()),
        }
    }

    /// Deletes a webhook. Returns false if it does not exist.
    pub async fn delete(
        &self,
        tenant: TenantId,
        id: WebhookId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, EditError> {
        let mut waits = waits();
        loop {
            match self.try_delete(tenant, id, actor, now).await {
                Err(EditError::Conflict) => {
                    sleep(waits.next().ok_or(EditError::Conflict)?).await;
                }
                result => return result,
            }
        }
    }

    async fn try_delete(
        &self,
        tenant: TenantId,
        id: WebhookId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, EditError> {
        let (removal, change) = match self.webhooks.get(tenant, id).await {
            Ok(Some(webhook)) => {
                let at = webhook.next_change_at(now);
                let change = Change::of(Edit::Deleted(&webhook), actor, Action::Delete, at);
                let seen = seen(&webhook)?.into_iter().map(|(name, it)| (name.to_owned(), it));
                let removal = self.webhooks.remove(tenant, id).condition_expression(AS_SEEN);
                (removal.set_expression_attribute_values(Some(seen.collect())), change)
            }
            Ok(None) => return Ok(false),
            Err(StoreError::CorruptRow { .. }) => {
                let key = WebhookKey { tenant_id: tenant, webhook_id: id };
                let exists = "attribute_exists(webhook_config_id)";
                let removal = self.webhooks.remove(tenant, id).condition_expression(exists);
                (removal, Change::of_unreadable(key, actor, now))
            }
            Err(error) => return Err(error.into()),
        };
        let removal = removal.build().expect("table and key are set");
        let writes = vec![
            TransactWriteItem::builder().delete(removal).build(),
            self.webhooks.count_one_less(tenant),
            self.audit.put(&change)?,
        ];
        match transact(self.client(), writes).await {
            Ok(()) => Ok(true),
            Err(error) if error.failed_condition == Some(0) => Err(EditError::Conflict),
            Err(error) => Err(StoreError::from(error.source).into()),
        }
    }
}

impl WebhookStore {
    /// True if `tenant` has fewer than `limit` webhooks. [`WebhookEditor::create`] enforces the limit. This check avoids
    /// creating a secret for a webhook that it would refuse.
    pub async fn has_room(&self, tenant: TenantId, limit: u32) -> Result<bool, StoreError> {
        let row = self.dynamodb.get(&self.table, counter_key(tenant)).await?;
        let Some(row) = row else { return Ok(true) };
        let count = row.get("webhooks").and_then(|count| count.as_n().ok());
        let count: Option<i64> = count.and_then(|digits| digits.parse().ok());
        Ok(count.is_none_or(|count| count < i64::from(limit)))
    }

    fn put(&self, row: SdkItem) -> TransactWriteItem {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(webhook_config_id)")
            .build()
            .expect("table and item are set");
        TransactWriteItem::builder().put(put).build()
    }

    fn remove(&self, tenant: TenantId, id: WebhookId) -> DeleteBuilder {
        Delete::builder().table_name(&self.table).set_key(Some(key(tenant, id)))
    }

    /// Fails if the tenant already has `limit` webhooks.
    fn count_one_more(&self, tenant: TenantId, limit: u32) -> TransactWriteItem {
        let update = self
            .count_by(tenant, "1")
            .condition_expression("attribute_not_exists(webhooks) OR webhooks < :limit")
            .expression_attribute_values(":limit", AttributeValue::N(limit.to_string()));
        counted(update)
    }

    fn count_one_less(&self, tenant: TenantId) -> TransactWriteItem {
        counted(self.count_by(tenant, "-1"))
    }

    fn count_by(&self, tenant: TenantId, step: &str) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(counter_key(tenant)))
            .update_expression("ADD webhooks :step")
            .expression_attribute_values(":step", AttributeValue::N(step.to_owned()))
    }
}

fn counted(update: UpdateBuilder) -> TransactWriteItem {
    let update = update.build().expect("table, key and expression are set");
    TransactWriteItem::builder().update(update).build()
}

fn counter_key(tenant: TenantId) -> SdkItem {
    key_of(format!("count#{tenant}"), COUNTER.to_owned())
}
