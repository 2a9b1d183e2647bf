//! Reads deliveries by their keys: one in full, or many of different webhooks.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::row::{self, DeliveryRow};
use super::{DeliveryLog, key};
use crate::id::{DeliveryId, WebhookKey};
use crate::store::StoreError;

/// Keys of one `BatchGetItem`. Rows of the largest size then stay below DynamoDB's limit of 16 MB.
const MAX_KEYS: usize = 25;

/// Maximum calls in flight.
const CONCURRENT_CALLS: usize = 4;

impl DeliveryLog {
    /// One delivery of a webhook; `None` if the log has none with this id.
    pub async fn get(
        &self,
        webhook: WebhookKey,
        delivery: DeliveryId,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        let item = self.dynamodb.get(&self.table, key(webhook, delivery)).await?;
        item.map(row::read).transpose()
    }

    /// The rows of these deliveries, in any order; those without a row are left out.
    pub async fn get_all(
        &self,
        deliveries: &BTreeSet<(WebhookKey, DeliveryId)>,
    ) -> Result<Vec<Result<DeliveryRow, StoreError>>, StoreError> {
        let mut rows = Vec::new();
        let keys: Vec<_> =
            deliveries.iter().map(|(webhook, delivery)| key(*webhook, *delivery).into()).collect();
        let batches: Vec<_> = keys.chunks(MAX_KEYS).map(<[_]>::to_vec).collect();
        for batches in batches.chunks(CONCURRENT_CALLS) {
            let calls = batches.iter().map(|keys| self.dynamodb.get_all(&self.table, keys.clone()));
            for items in join_all(calls).await {
                rows.extend(items?.into_iter().map(|item| row::read(item.into())));
            }
        }
        Ok(rows)
    }
}
