//! The secrets that this execution environment has read. A version never changes, so an entry is never
//! stale: a rotation puts another version in the webhook's row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use webhooks::id::WebhookId;
use webhooks::secret::SigningSecret;
use webhooks::secrets::{SecretError, SecretStore};
use webhooks::webhook::Webhook;

/// Entries at which each new one takes another's place; at 200 bytes each they stay below 2 MB.
const MAX_ENTRIES: usize = 10_000;

/// Reads secrets, each version once.
#[derive(Debug)]
pub struct SecretCache {
    store: SecretStore,
    entries: Mutex<HashMap<WebhookId, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    version: String,
    /// Filled by the first delivery that needs it, while the others of the batch wait.
    secret: Arc<OnceCell<Arc<SigningSecret>>>,
}

impl SecretCache {
    /// An empty cache before `store`.
    #[must_use]
    pub fn new(store: SecretStore) -> Self {
        Self { store, entries: Mutex::default() }
    }

    /// The secret that is in force for `webhook`.
    pub async fn get(&self, webhook: &Webhook) -> Result<Arc<SigningSecret>, SecretError> {
        let entry = self.entry(webhook);
        if let Some(secret) = entry.secret.get() {
            return Ok(Arc::clone(secret));
        }
        // Boxed: it is needed once for each version, and room for it would be kept by every delivery.
        let read = || async {
            let Webhook { tenant_id, id, secret_version, .. } = webhook;
            self.store.get(*tenant_id, *id, secret_version).await.map(Arc::new)
        };
        Box::pin(entry.secret.get_or_try_init(read)).await.cloned()
    }

    fn entry(&self, webhook: &Webhook) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.get(&webhook.id) {
            Some(entry) if entry.version == webhook.secret_version => entry.clone(),
            _ => {
                if entries.len() >= MAX_ENTRIES {
                    // Any one will do. To forget all of them would mean to read all of them again.
                    let other = entries.keys().next().copied();
                    other.and_then(|id| entries.remove(&id));
                }
                let version = webhook.secret_version.clone();
                let entry = Entry { version, secret: Arc::default() };
                entries.insert(webhook.id, entry.clone());
                entry
            }
        }
    }
}
