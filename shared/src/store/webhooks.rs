//! The `WebhookConfigs` table: partition key `tenant_id`, sort key `webhook_config_id`.
//!
//! The rules: every write has a condition, and an update names only the attributes that it changes. A change of a
//! webhook's configuration is written only together with its row in the history ([`WebhookEditor`]).

mod create_delete;
mod edit;
mod health;
mod idempotency;
mod row;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::update::{Update, number};
use super::{DynamoDb, SdkItem, StoreError};
use crate::aws::{AwsError, CALL_TIMEOUT};
use crate::id::{TenantId, WebhookId};
use crate::timestamp::Timestamp;
use crate::webhook::Webhook;

pub use create_delete::CreateError;
pub use edit::{EditError, Updated, WebhookEditor};
pub use idempotency::EarlierCreate;

/// How long a rotation's claim lasts, in calls with all retries: one each for the claim, the limit and the secret, three
/// for the row, and one to spare.
const ROTATION_CLAIM_MILLIS: u64 = 7 * CALL_TIMEOUT.as_secs() * 1000;

/// Reads webhooks, writes their health, and claims rotations. [`WebhookEditor`] makes all other changes, each with its
/// row in the history.
#[derive(Debug, Clone)]
pub struct WebhookStore {
    dynamodb: DynamoDb,
    table: String,
}

impl WebhookStore {
    /// Webhooks in `table`.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, table: String) -> Self {
        Self { dynamodb, table }
    }

    /// One webhook of `tenant`; `None` if it does not exist.
    pub async fn get(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError> {
        let item = self.dynamodb.get(&self.table, key(tenant, id)).await?;
        item.map(row::read).transpose()
    }

    /// The current state of up to 100 webhooks of any tenants. Missing webhooks are left out.
    pub async fn get_many(
        &self,
        ids: &[(TenantId, WebhookId)],
    ) -> Result<HashMap<WebhookId, Result<Webhook, StoreError>>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = ids.iter().map(|&(tenant, id)| key(tenant, id).into()).collect();
        let rows = self.dynamodb.get_all(&self.table, keys).await?;
        let by_id = |row| Some((row::id(&row)?, row::read(row)));
        Ok(rows.into_iter().filter_map(by_id).collect())
    }

    /// Every webhook of `tenant`. Each row is parsed separately, so that a corrupt row does not affect the
    /// others.
    pub async fn list(
        &self,
        tenant: TenantId,
    ) -> Result<Vec<Result<Webhook, StoreError>>, StoreError> {
        let mut rows = Vec::new();
        let mut pages = self
            .dynamodb
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("tenant_id = :tenant")
            .expression_attribute_values(":tenant", AttributeValue::S(tenant.to_string()))
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            rows.extend(page.map_err(AwsError::of("Query"))?.items.unwrap_or_default());
        }
        Ok(rows.into_iter().map(row::read).collect())
    }

    /// Claims the next rotation of the webhook's secret for 21 s. Returns the current webhook, or `None` if it
    /// does not exist or another rotation holds the claim.
    ///
    /// Concurrent rotations would store their versions under the same staging label, and the last one would take it
    /// from the version that [`WebhookEditor::replace_secret`] puts in force.
    pub async fn claim_rotation(
        &self,
        tenant: TenantId,
        id: WebhookId,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let until = claim_end(now);
        // An equal claim is our own: the SDK retried a call whose response was lost.
        let free = "attribute_exists(webhook_config_id) \
            AND (attribute_not_exists(#rotating_until) OR #rotating_until <= :now \
            OR #rotating_until = :rotating_until)";
        let update = Update::of(key(tenant, id))
            .set("rotating_until", until)
            .only_if(free)
            .with(":now", number(now.unix_millis()));
        self.change(update).await
    }

    /// Releases the claim made at `claimed_at` by a rotation that does not take place.
    pub async fn release_rotation(
        &self,
        tenant: TenantId,
        id: WebhookId,
        claimed_at: Timestamp,
    ) -> Result<(), StoreError> {
        let update = Update::of(key(tenant, id))
            .set("rotating_until", number(0))
            .only_if("#rotating_until = :claim")
            .with(":claim", claim_end(claimed_at));
        self.change(update).await.map(drop)
    }

    /// Returns the changed webhook, or `None` if the condition does not hold.
    async fn change(&self, update: Update) -> Result<Option<Webhook>, StoreError> {
        let updated = self.dynamodb.update(&self.table, update).await?;
        updated.done().map(row::read).transpose()
    }
}

fn key(tenant: TenantId, id: WebhookId) -> SdkItem {
    key_of(tenant.to_string(), id.to_string())
}

fn key_of(partition: String, sort: String) -> SdkItem {
    HashMap::from([
        ("tenant_id".to_owned(), AttributeValue::S(partition)),
        ("webhook_config_id".to_owned(), AttributeValue::S(sort)),
    ])
}

fn claim_end(claimed_at: Timestamp) -> AttributeValue {
    number(claimed_at.unix_millis() + ROTATION_CLAIM_MILLIS)
}

fn encode<T: Serialize>(value: &T) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(StoreError::Encode)
}
