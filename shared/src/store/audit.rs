//! The `WebhookAudit` table, which is the history of each webhook: partition key `webhook`
//! (`<tenant_id>/<webhook_config_id>`), sort key `change_id`, in the order of the changes.
//!
//! The rule: a row is written only in the transaction of the change that it describes, and never changes.

use std::time::Duration;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use tracing::error;

use super::update::{number, text};
use super::{DynamoDb, SdkItem, StoreError, parse};
use crate::audit::Change;
use crate::aws::chain;
use crate::id::{ChangeId, WebhookKey};

/// Reads and writes the history of all webhooks.
#[derive(Debug, Clone)]
pub struct AuditStore {
    dynamodb: DynamoDb,
    table: String,
    keep: Duration,
}

/// A part of a webhook's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub changes: Vec<Change>,
    /// The change after which the next page begins; `None` on the last page.
    pub next: Option<ChangeId>,
}

impl AuditStore {
    /// The history in `table`. A row expires `keep` after its change.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, table: String, keep: Duration) -> Self {
        Self { dynamodb, table, keep }
    }

    /// At most `limit` changes of a webhook that are older than `after`, newest first. A corrupt row is left out.
    pub async fn list(
        &self,
        webhook: WebhookKey,
        after: Option<ChangeId>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let start = after.map(|after| key(webhook, after));
        // One more shows whether there is another page.
        let one_more = limit.saturating_add(1);
        let response = self.dynamodb.latest_rows(&self.table, webhook, start, one_more).await?;
        let mut rows = response.items.unwrap_or_default();
        let is_last = rows.len() <= limit && response.last_evaluated_key.is_none();
        rows.truncate(limit);
        let next = rows.last().filter(|_| !is_last).and_then(id);
        Ok(Page { changes: rows.into_iter().filter_map(readable).collect(), next })
    }

    /// Adds the change to a transaction.
    pub(super) fn put(&self, change: &Change) -> Result<TransactWriteItem, StoreError> {
        let mut row: SdkItem = serde_dynamo::to_item(change).map_err(StoreError::Encode)?;
        row.insert("ttl".to_owned(), number(change.at.plus(self.keep).unix_seconds()));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(change_id)")
            .build()
            .expect("table and item are set");
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

fn key(webhook: WebhookKey, change: ChangeId) -> SdkItem {
    SdkItem::from([("webhook".to_owned(), text(webhook)), ("change_id".to_owned(), text(change))])
}

fn id(row: &SdkItem) -> Option<ChangeId> {
    row.get("change_id")?.as_s().ok()?.parse().ok()
}

/// Skips a corrupt row: the caller still sees the others.
fn readable(row: SdkItem) -> Option<Change> {
    parse(row, "change_id")
        .inspect_err(|error| error!(error = %chain(error), "a change is missing from a history"))
        .ok()
}
