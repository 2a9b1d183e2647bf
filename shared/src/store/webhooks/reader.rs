//! Reading webhooks of any tenants, for those who are about to post to them.

use std::collections::HashMap;

use serde::Serialize;

use super::row;
use crate::aws::direct::Direct;
use crate::id::{TenantId, WebhookId};
use crate::store::StoreError;
use crate::store::batch::process_all;
use crate::store::json::{S, s};
use crate::webhook::Webhook;

/// Reads webhooks and writes none.
#[derive(Debug, Clone)]
pub struct WebhookReader {
    direct: Direct,
    table: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    consistent_read: bool,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    tenant_id: S<TenantId>,
    webhook_config_id: S<WebhookId>,
}

impl WebhookReader {
    /// The webhooks in `table`.
    #[must_use]
    pub fn new(direct: Direct, table: String) -> Self {
        Self { direct, table }
    }

    /// The current state of up to 100 webhooks; those that do not exist are left out.
    pub async fn get_many(
        &self,
        ids: &[(TenantId, WebhookId)],
    ) -> Result<HashMap<WebhookId, Result<Webhook, StoreError>>, StoreError> {
        let mut found = HashMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        let key = |&(tenant, id)| Key { tenant_id: s(tenant), webhook_config_id: s(id) };
        let keys = Keys { consistent_read: true, keys: ids.iter().map(key).collect() };
        process_all(&self.direct, "BatchGetItem", &self.table, keys, |item| {
            if let Some(id) = row::id(&item) {
                found.insert(id, row::read_json(id, item));
            }
        })
        .await?;
        Ok(found)
    }
}
