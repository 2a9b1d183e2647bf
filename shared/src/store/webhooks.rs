//! The `WebhookConfigs` table: partition key `tenant_id`, sort key `webhook_config_id`.
//!
//! The rule: every write has a condition, and an update names only the attributes that it changes.

mod create_delete;
mod health;
mod row;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::Serialize;

use super::{DynamoDb, SdkItem, StoreError, condition_failed};
use crate::aws::{AwsError, CALL_TIMEOUT};
use crate::id::{TenantId, WebhookId};
use crate::rotation::RotatedSecrets;
use crate::timestamp::Timestamp;
use crate::webhook::{PreviousSecret, Webhook, WebhookChanges};

pub use create_delete::CreateError;

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
        let mut attributes = vec![("updated_at", encode(&now)?)];
        let mut change = |name, value: Option<AttributeValue>| {
            attributes.extend(value.map(|value| (name, value)));
        };
        change("url", changes.url.as_ref().map(|url| AttributeValue::S(url.as_str().to_owned())));
        change("events", changes.events.as_ref().map(encode).transpose()?);
        change("retry_enabled", changes.retry_enabled.map(AttributeValue::Bool));
        change("max_retries", changes.max_retries.map(|n| AttributeValue::N(n.to_string())));
        if let Some(is_active) = changes.is_active {
            let switched = health::switch(is_active, attributes.clone(), now)?;
            if let Some(webhook) = self.change_health(tenant, id, switched).await? {
                return Ok(Some(Updated { webhook, is_switched: true }));
            }
        }
        let exists = "attribute_exists(webhook_config_id)";
        let webhook = self.set(tenant, id, attributes, exists, None).await?;
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
        let now = (":now", millis(now.unix_millis()));
        self.set(tenant, id, vec![("rotating_until", until)], free, Some(now)).await
    }

    /// Releases the claim made at `claimed_at` by a rotation that does not take place.
    pub async fn release_rotation(
        &self,
        tenant: TenantId,
        id: WebhookId,
        claimed_at: Timestamp,
    ) -> Result<(), StoreError> {
        let claim = (":claim", claim_end(claimed_at));
        let none = vec![("rotating_until", millis(0))];
        self.set(tenant, id, none, "#rotating_until = :claim", Some(claim)).await.map(drop)
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
        let attributes = vec![
            ("updated_at", encode(&now)?),
            ("secret_version", AttributeValue::S(new.version.clone())),
            ("secret_label", encode(&new.label)?),
            ("previous_secret", encode(&new.previous)?),
            ("rotating_until", millis(0)),
        ];
        let old = (":old", AttributeValue::S(old.to_owned()));
        self.set(tenant, id, attributes, "secret_version = :old", Some(old)).await
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
        let attributes = vec![
            ("updated_at", encode(&now)?),
            ("previous_secret", encode(&None::<PreviousSecret>)?),
        ];
        let current = (":current", AttributeValue::S(current.to_owned()));
        self.set(tenant, id, attributes, "secret_version = :current", Some(current)).await
    }

    /// One `UpdateItem` that sets `attributes` if `condition` holds. `operand` is a value that the condition
    /// uses.
    async fn set(
        &self,
        tenant: TenantId,
        id: WebhookId,
        attributes: Vec<(&'static str, AttributeValue)>,
        condition: &str,
        operand: Option<(&'static str, AttributeValue)>,
    ) -> Result<Option<Webhook>, StoreError> {
        let assignments: Vec<String> =
            attributes.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let mut request = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(tenant, id)))
            .update_expression(format!("SET {}", assignments.join(", ")))
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew);
        for (name, value) in attributes {
            // Every name gets an alias, because `url` is a reserved word of DynamoDB.
            request = request
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        if let Some((name, value)) = operand {
            request = request.expression_attribute_values(name, value);
        }
        match request.send().await {
            Ok(response) => response.attributes.map(row::read).transpose(),
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(AwsError::of("UpdateItem")(error).into()),
        }
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
    millis(claimed_at.unix_millis() + ROTATION_CLAIM_MILLIS)
}

fn millis(millis: u64) -> AttributeValue {
    AttributeValue::N(millis.to_string())
}

fn encode<T: Serialize>(value: &T) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(StoreError::Encode)
}
