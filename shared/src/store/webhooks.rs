//! The `WebhookConfigs` table: partition key `tenant_id`, sort key `webhook_config_id`.
//!
//! The rule: every write has a condition, and an update names only the attributes that it changes.

mod create_delete;
mod health;
mod idempotency;
mod row;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::update::{Update, number, text};
use super::{DynamoDb, SdkItem, StoreError};
use crate::aws::{AwsError, CALL_TIMEOUT};
use crate::id::{TenantId, WebhookId};
use crate::rotation::RotatedSecrets;
use crate::timestamp::Timestamp;
use crate::webhook::{DescriptionChange, PreviousSecret, Webhook, WebhookChanges};

use row::StoredEvents;

pub use create_delete::CreateError;
pub use idempotency::EarlierCreate;

/// How long a rotation's claim lasts: time for the claim itself, the limit, the secret and the row, each one call
/// with all retries.
const ROTATION_CLAIM_MILLIS: u64 = 4 * CALL_TIMEOUT.as_secs() * 1000;

/// A webhook after an update.
#[derive(Debug)]
pub struct Updated {
    /// With the changes.
    pub webhook: Webhook,
    /// True if this update switched it off or on.
    pub is_switched: bool,
}

/// Reads and writes the webhooks of all tenants.
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

    /// Changes only the attributes in `changes`. Returns the updated webhook, or `None` if it does not exist.
    ///
    /// One `UpdateItem` makes every change. If `changes` asks for the state that the webhook already has, on or
    /// off, another one precedes it and changes nothing.
    pub async fn update(
        &self,
        tenant: TenantId,
        id: WebhookId,
        changes: &WebhookChanges,
        now: Timestamp,
    ) -> Result<Option<Updated>, StoreError> {
        let url = changes.url.as_ref().map(|url| text(url.as_str()));
        let description = changes.description.clone().map(DescriptionChange::into_value);
        let stored = changes.events.as_ref().map(StoredEvents::from);
        let update = Update::of(key(tenant, id))
            .set("updated_at", encode(&now)?)
            .set_some("url", url)
            .set_some("description", description.as_ref().map(encode).transpose()?)
            .set_some("events", stored.as_ref().map(|it| encode(&it.events)).transpose()?)
            .set_some("all_events", stored.as_ref().map(|it| encode(&it.all_events)).transpose()?)
            .set_some("retry_enabled", changes.retry_enabled.map(AttributeValue::Bool))
            .set_some("max_retries", changes.max_retries.map(number));
        if let Some(is_active) = changes.is_active {
            let switched = health::switch(update.clone(), is_active, now)?;
            if let Some(webhook) = self.change_health(switched).await? {
                return Ok(Some(Updated { webhook, is_switched: true }));
            }
        }
        let webhook = self.change(update.only_if("attribute_exists(webhook_config_id)")).await?;
        Ok(webhook.map(|webhook| Updated { webhook, is_switched: false }))
    }

    /// Claims the next rotation of the webhook's secret for 12 s. Returns the current webhook, or `None` if it
    /// does not exist or another rotation holds the claim.
    ///
    /// Concurrent rotations would store their versions under the same staging label, and the last one would take it
    /// from the version that [`Self::replace_secret`] puts in force.
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

    /// Puts the secrets `new` in force and ends the rotation. Returns `None` if version `old` is no longer in force
    /// or the webhook no longer exists.
    pub async fn replace_secret(
        &self,
        tenant: TenantId,
        id: WebhookId,
        old: &str,
        new: &RotatedSecrets,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let update = Update::of(key(tenant, id))
            .set("updated_at", encode(&now)?)
            .set("secret_version", text(&new.version))
            .set("secret_label", encode(&new.label)?)
            .set("previous_secret", encode(&new.previous)?)
            .set("rotating_until", number(0))
            .only_if("secret_version = :old")
            .with(":old", text(old));
        self.change(update).await
    }

    /// Ends the overlap after the rotation to version `current`. Returns `None` if that version is no longer in
    /// force or the webhook no longer exists.
    pub async fn end_overlap(
        &self,
        tenant: TenantId,
        id: WebhookId,
        current: &str,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let update = Update::of(key(tenant, id))
            .set("updated_at", encode(&now)?)
            .set("previous_secret", encode(&None::<PreviousSecret>)?)
            .only_if("secret_version = :current")
            .with(":current", text(current));
        self.change(update).await
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
