//! The `ApiKeys` table: partition key `key_hash`, the hex SHA-256 of a key; an index on `tenant_id`.
//!
//! The rule: only a key's hash is stored and looked up, never the key itself.

mod replace;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{DynamoDb, SdkItem, StoreError, parse};
use crate::aws::AwsError;
use crate::id::{KeyId, TenantId};
use crate::named::named;
use crate::secret::{ApiKey, KeyEnvironment};
use crate::timestamp::Timestamp;

/// Finds the keys of a tenant.
const TENANT_INDEX: &str = "tenant_id-index";

/// Reads and writes the API keys of all tenants.
#[derive(Debug, Clone)]
pub struct ApiKeyStore {
    dynamodb: DynamoDb,
    table: String,
}

/// The stored part of an API key. The key itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// See [`ApiKey::hash`].
    pub key_hash: String,
    /// The tenant whose webhooks the key can access.
    pub tenant_id: TenantId,
    /// Identifies the key in responses and logs.
    pub key_id: KeyId,
    /// Name chosen by a person.
    pub name: String,
    /// See [`ApiKey::suffix`].
    pub key_suffix: String,
    /// `live` or `test`.
    pub environment: KeyEnvironment,
    /// A revoked key is refused.
    pub status: KeyStatus,
    /// When the key stops working; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The key that a rotation made instead of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<KeyId>,
    /// Set once, when the key is created.
    pub created_at: Timestamp,
}

named! {
    /// Set by a person; [`ApiKeyRecord::is_valid_at`] also checks the expiry.
    pub enum KeyStatus {
        /// The key works until it expires.
        Active = "active",
        /// The key never works again.
        Revoked = "revoked",
    }
}

impl ApiKeyRecord {
    /// True if the key is active and has not expired at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.status == KeyStatus::Active && self.expires_at.is_none_or(|end| now < end)
    }
}

impl ApiKeyStore {
    /// Keys in `table`.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, table: String) -> Self {
        Self { dynamodb, table }
    }

    /// Stores the record of a new key. Fails if the key is already stored.
    pub async fn insert(&self, record: &ApiKeyRecord) -> Result<(), StoreError> {
        self.dynamodb
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(serde_dynamo::to_item(record).map_err(StoreError::Encode)?))
            .condition_expression("attribute_not_exists(key_hash)")
            .send()
            .await
            .map(drop)
            .map_err(|error| AwsError::of("PutItem")(error).into())
    }

    /// The record of `key`. The read is consistent, so that a revocation takes effect at once.
    pub async fn find(&self, key: &ApiKey) -> Result<Option<ApiKeyRecord>, StoreError> {
        let key = [("key_hash".to_owned(), AttributeValue::S(key.hash()))].into();
        let item = self.dynamodb.get(&self.table, key).await?;
        item.map(read).transpose()
    }

    /// Every key of `tenant`, including revoked ones. A key created in the last second may be missing.
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let mut records = Vec::new();
        let mut pages = self
            .dynamodb
            .client
            .query()
            .table_name(&self.table)
            .index_name(TENANT_INDEX)
            .key_condition_expression("tenant_id = :tenant")
            .expression_attribute_values(":tenant", AttributeValue::S(tenant.to_string()))
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            for item in page.map_err(AwsError::of("Query"))?.items.unwrap_or_default() {
                records.push(read(item)?);
            }
        }
        Ok(records)
    }

    /// The key of `tenant` with this id. The index finds it, so it can be missing for a second after its creation, and
    /// its fields can be a second old.
    pub async fn by_id(
        &self,
        tenant: TenantId,
        id: KeyId,
    ) -> Result<Option<ApiKeyRecord>, StoreError> {
        let records = self.list(tenant).await?;
        Ok(records.into_iter().find(|record| record.key_id == id))
    }

    /// Revokes the key. Returns false if `tenant` has no key with this id.
    pub async fn revoke(&self, tenant: TenantId, id: KeyId) -> Result<bool, StoreError> {
        let Some(record) = self.by_id(tenant, id).await? else { return Ok(false) };
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .key("key_hash", AttributeValue::S(record.key_hash))
            .update_expression("SET #status = :revoked")
            .condition_expression("attribute_exists(key_hash)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(
                ":revoked",
                AttributeValue::S(KeyStatus::Revoked.to_string()),
            )
            .send()
            .await
            .map(|_| true)
            .map_err(|error| AwsError::of("UpdateItem")(error).into())
    }
}

fn read(item: SdkItem) -> Result<ApiKeyRecord, StoreError> {
    parse(item, "key_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_version_0_1_0_is_read() {
        let json = include_str!("../../../tests/formats/0.1.0/api-key-row.json");
        let item: serde_dynamo::Item = serde_json::from_str(json).unwrap();
        let record = read(item.into()).unwrap();
        let key = ApiKey::parse("dk_test_EXAMPLE-EXAMPLE-EXAMPLE-EXAMPLE-EXAMPLE-abc").unwrap();
        assert_eq!(record.key_hash, key.hash());
        assert!(record.is_valid_at(Timestamp::now()));
    }
}
