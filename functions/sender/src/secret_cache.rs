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
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;

use crate::reason::BlockReason;

/// Maximum webhooks. Beyond it, a new webhook replaces another. A webhook takes 200 bytes for each secret in force,
/// so the cache stays below 4 MB.
const MAX_WEBHOOKS: usize = 10_000;

/// Reads each version of a secret once.
#[derive(Debug)]
pub(crate) struct SecretCache {
    store: SecretStore,
    /// At most two versions each: those that the webhook's row named when the last one was added.
    webhooks: Mutex<HashMap<WebhookId, Vec<CachedVersion>>>,
}

#[derive(Debug)]
struct CachedVersion {
    version: String,
    secret: SecretCell,
}

/// The first delivery that needs the secret reads it, and the others of the batch wait.
type SecretCell = Arc<OnceCell<Arc<SigningSecret>>>;

/// The secrets that sign a delivery.
#[derive(Debug)]
pub(crate) struct SigningSecrets {
    pub(crate) current: Arc<SigningSecret>,
    /// Signs too while a rotation overlaps.
    pub(crate) previous: Option<Arc<SigningSecret>>,
}

impl SecretCache {
    pub(crate) fn new(store: SecretStore) -> Self {
        Self { store, webhooks: Mutex::default() }
    }

    /// The secrets of `webhook` that are in force at `now`. A failed read is not cached.
    pub(crate) async fn in_force(
        &self,
        webhook: &Webhook,
        now: Timestamp,
    ) -> Result<SigningSecrets, BlockReason<'static>> {
        let Some(previous) = webhook.previous_secret_at(now) else {
            let current = self.get(webhook, &webhook.secret_version).await;
            let current = current.map_err(BlockReason::SecretUnreadable)?;
            return Ok(SigningSecrets { current, previous: None });
        };
        // Boxed, because outside of an overlap no delivery needs it.
        Box::pin(self.both(webhook, &previous.version)).await
    }

    /// Reads both at the same time.
    async fn both(
        &self,
        webhook: &Webhook,
        previous: &str,
    ) -> Result<SigningSecrets, BlockReason<'static>> {
        let (current, previous) =
            tokio::join!(self.get(webhook, &webhook.secret_version), self.get(webhook, previous));
        Ok(SigningSecrets {
            current: current.map_err(BlockReason::SecretUnreadable)?,
            previous: Some(previous.map_err(BlockReason::PreviousSecretUnreadable)?),
        })
    }

    async fn get(
        &self,
        webhook: &Webhook,
        version: &str,
    ) -> Result<Arc<SigningSecret>, SecretError> {
        let cell = self.cell(webhook, version);
        if let Some(secret) = cell.get() {
            return Ok(Arc::clone(secret));
        }
        // Boxed, because each version is read only once, while inline every delivery's future would reserve
        // space for the read.
        let read =
            || async { self.store.get(webhook.tenant_id, webhook.id, version).await.map(Arc::new) };
        Box::pin(cell.get_or_try_init(read)).await.cloned()
    }

    fn cell(&self, webhook: &Webhook, version: &str) -> SecretCell {
        let mut webhooks = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = webhooks.get(&webhook.id).and_then(|cached| find(cached, version)) {
            return cached;
        }
        if webhooks.len() >= MAX_WEBHOOKS && !webhooks.contains_key(&webhook.id) {
            // Removes any one webhook. If the cache were cleared, every secret would have to be read again.
            let other = webhooks.keys().next().copied();
            other.and_then(|id| webhooks.remove(&id));
        }
        let cached = webhooks.entry(webhook.id).or_default();
        cached.retain(|cached| is_named(webhook, &cached.version));
        let secret = SecretCell::default();
        cached.push(CachedVersion { version: version.to_owned(), secret: Arc::clone(&secret) });
        secret
    }
}

fn find(cached: &[CachedVersion], version: &str) -> Option<SecretCell> {
    let found = cached.iter().find(|cached| cached.version == version)?;
    Some(Arc::clone(&found.secret))
}

/// True if the webhook's row names the version, so that a read of the other one does not remove it.
fn is_named(webhook: &Webhook, version: &str) -> bool {
    let previous = webhook.previous_secret.as_ref();
    webhook.secret_version == version || previous.is_some_and(|it| it.version == version)
}
