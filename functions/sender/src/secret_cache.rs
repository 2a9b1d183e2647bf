//! Caches the signing secrets that this execution environment has read.
//!
//! The rule: an entry is never stale. A version of a secret never changes, and a rotation puts a new version
//! into the webhook's row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use webhooks::id::WebhookId;
use webhooks::secret::SigningSecret;
use webhooks::secrets::{SecretError, SecretStore};
use webhooks::webhook::Webhook;

/// Maximum entries. Beyond it, a new entry replaces another. An entry takes 200 bytes, so the cache stays below
/// 2 MB.
const MAX_ENTRIES: usize = 10_000;

/// Reads each version of a secret once.
#[derive(Debug)]
pub(crate) struct SecretCache {
    store: SecretStore,
    entries: Mutex<HashMap<WebhookId, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    version: String,
    /// The first delivery that needs the secret reads it, and the others of the batch wait.
    secret: Arc<OnceCell<Arc<SigningSecret>>>,
}

impl SecretCache {
    pub(crate) fn new(store: SecretStore) -> Self {
        Self { store, entries: Mutex::default() }
    }

    /// The secret in the version that `webhook` names. A failed read is not cached.
    pub(crate) async fn get(&self, webhook: &Webhook) -> Result<Arc<SigningSecret>, SecretError> {
        let entry = self.entry(webhook);
        if let Some(secret) = entry.secret.get() {
            return Ok(Arc::clone(secret));
        }
        // Boxed, because each version is read only once, while inline every delivery's future would reserve
        // space for the read.
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
                    // Removes any one entry. If the cache were cleared, every secret would have to be read
                    // again.
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
