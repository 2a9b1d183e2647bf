//! Creates that a client can repeat: which webhook an `Idempotency-Key` has created.
//!
//! The rule: the transaction that stores the webhook also writes the key's row. A key therefore has a row exactly if it
//! has created a webhook. The rows have a partition of their own for each tenant, without webhooks.

use std::time::Duration;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::{SdkItem, WebhookStore, key_of};
use crate::id::{TenantId, WebhookId};
use crate::idempotency::IdempotentRequest;
use crate::store::update::number;
use crate::store::{StoreError, parse};
use crate::timestamp::Timestamp;
use crate::webhook::Webhook;

/// How long a key counts as used. DynamoDB deletes its row some time after that.
const KEPT: Duration = Duration::from_hours(24);

/// The create that has used a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierCreate {
    /// The webhook that it created.
    pub webhook_id: WebhookId,
    /// True if its body had the same bytes.
    pub has_same_body: bool,
}

#[derive(Serialize, Deserialize)]
struct Row {
    tenant_id: String,
    webhook_config_id: String,
    body_hash: String,
    created_webhook: WebhookId,
    /// Unix seconds.
    ttl: i64,
}

impl WebhookStore {
    /// The create of `tenant` that has used the request's key in the last 24 hours.
    pub async fn earlier_create(
        &self,
        tenant: TenantId,
        request: &IdempotentRequest,
        now: Timestamp,
    ) -> Result<Option<EarlierCreate>, StoreError> {
        let key = key_of(partition(tenant), request.key_hash.clone());
        let Some(item) = self.dynamodb.get(&self.table, key).await? else { return Ok(None) };
        let row: Row = parse(item, "webhook_config_id")?;
        let earlier = EarlierCreate {
            webhook_id: row.created_webhook,
            has_same_body: row.body_hash == request.body_hash,
        };
        Ok(Some(earlier).filter(|_| now.unix_seconds() < row.ttl))
    }
}

/// Notes in `table` that the request creates the webhook. Fails if its key has been used in the last 24 hours.
pub(super) fn note_create(
    table: &str,
    request: &IdempotentRequest,
    webhook: &Webhook,
) -> Result<TransactWriteItem, StoreError> {
    let now = webhook.created_at;
    let row = Row {
        tenant_id: partition(webhook.tenant_id),
        webhook_config_id: request.key_hash.clone(),
        body_hash: request.body_hash.clone(),
        created_webhook: webhook.id,
        ttl: now.plus(KEPT).unix_seconds(),
    };
    let row: SdkItem = serde_dynamo::to_item(row).map_err(StoreError::Encode)?;
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(row))
        .condition_expression("attribute_not_exists(webhook_config_id) OR #ttl <= :now")
        .expression_attribute_names("#ttl", "ttl")
        .expression_attribute_values(":now", number(now.unix_seconds()))
        .build()
        .expect("table and item are set");
    Ok(TransactWriteItem::builder().put(put).build())
}

/// Tenant ids contain no `#`.
fn partition(tenant: TenantId) -> String {
    format!("idempotency#{tenant}")
}
