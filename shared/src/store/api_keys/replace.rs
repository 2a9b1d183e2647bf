//! Replaces a key by a new one.
//!
//! The rule: the new key's row and the end of the old one are one transaction.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};

use super::{ApiKeyRecord, ApiKeyStore, KeyStatus};
use crate::store::StoreError;
use crate::store::transaction::transact;
use crate::store::update::text;
use crate::timestamp::Timestamp;

impl ApiKeyStore {
    /// Stores `new`, and makes `old` end at `old_ends_at`. Returns false if `old` has been revoked or replaced since it
    /// was read.
    pub async fn replace(
        &self,
        old: &ApiKeyRecord,
        old_ends_at: Timestamp,
        new: &ApiKeyRecord,
    ) -> Result<bool, StoreError> {
        let writes = vec![self.end(old, old_ends_at, new), self.put(new)?];
        match transact(&self.dynamodb.client, writes).await {
            Ok(()) => Ok(true),
            Err(error) if error.failed_condition == Some(0) => Ok(false),
            Err(error) => Err(error.source.into()),
        }
    }

    fn end(&self, old: &ApiKeyRecord, ends_at: Timestamp, new: &ApiKeyRecord) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.table)
            .key("key_hash", text(&old.key_hash))
            .update_expression("SET expires_at = :end, replaced_by = :new")
            .condition_expression("#status = :active AND attribute_not_exists(replaced_by)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":end", text(ends_at))
            .expression_attribute_values(":new", text(new.key_id))
            .expression_attribute_values(":active", text(KeyStatus::Active))
            .build()
            .expect("table, key and expression are set");
        TransactWriteItem::builder().update(update).build()
    }

    fn put(&self, record: &ApiKeyRecord) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(serde_dynamo::to_item(record).map_err(StoreError::Encode)?))
            .condition_expression("attribute_not_exists(key_hash)")
            .build()
            .expect("table and item are set");
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
