//! Changes of a webhook's health, which its owner does not make and its history does not have.
//!
//! The rule: each is one conditional `UpdateItem`, and of several concurrent ones exactly one succeeds. Its caller
//! publishes the change.

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::{WebhookStore, encode, key};
use crate::store::StoreError;
use crate::store::update::{Update, text};
use crate::timestamp::Timestamp;
use crate::webhook::Webhook;

/// The row is still as the owner left it when it was read, and the webhook is on. What an endpoint answers says
/// nothing about a URL that has been changed since, or about a webhook that has been switched off and on.
const UNCHANGED: &str = "updated_at = :updated_at AND is_active = :active";

impl WebhookStore {
    /// Notes the first dead letter since the last success, unless one is noted. `webhook` is the row as it was read.
    ///
    /// Returns false if another call was first, or if the owner has changed the webhook since.
    pub async fn note_failing(&self, webhook: &Webhook, at: Timestamp) -> Result<bool, StoreError> {
        let update =
            Update::of(key(webhook.tenant_id, webhook.id)).set("failing_since", encode(&at)?);
        self.change_read(webhook, update, " AND attribute_not_exists(failing_since)").await
    }

    /// Notes the first success after a dead letter. `webhook` is the row as it was read.
    ///
    /// Returns false if another call was first, or if the row no longer has the same `failing_since`: a newer one
    /// is about a newer dead letter.
    pub async fn note_recovered(&self, webhook: &Webhook) -> Result<bool, StoreError> {
        let update = Update::of(key(webhook.tenant_id, webhook.id)).remove(["failing_since"]);
        self.change_read(webhook, update, " AND failing_since = :failing_since").await
    }

    /// A change on the row that the sender read.
    async fn change_read(
        &self,
        webhook: &Webhook,
        update: Update,
        condition: &str,
    ) -> Result<bool, StoreError> {
        let mut update = update
            .only_if(format!("{UNCHANGED}{condition}"))
            .with(":updated_at", encode(&webhook.updated_at)?)
            .with(":active", AttributeValue::Bool(true));
        if condition.contains(":failing_since") {
            update = update.with(":failing_since", encode(&webhook.failing_since)?);
        }
        // The SDK repeats a call whose response was lost. The mark says that the row already has our change.
        let update = update
            .set("health_change", text(Uuid::new_v4()))
            .or_if("#health_change = :health_change");
        Ok(self.change(update).await?.is_some())
    }
}
