//! Changes of a webhook's configuration.
//!
//! The rules: the change and its row in the history are one transaction, on the condition that the webhook is still as it
//! was read. Otherwise the webhook is read again and the change applied again. Changes of health do not interfere: they
//! write other attributes.

use std::iter::repeat_with;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::{Instant, sleep};

use super::{WebhookStore, encode, row};
use crate::audit::{Action, Actor, Change, Edit};
use crate::aws::CALL_TIMEOUT;
use crate::aws::retry::random_part;
use crate::id::{TenantId, WebhookId};
use crate::rotation::RotatedSecrets;
use crate::store::transaction::transact;
use crate::store::update::{number, text};
use crate::store::{AuditStore, StoreError};
use crate::timestamp::Timestamp;
use crate::webhook::{Disabled, DisabledReason, Webhook, WebhookChanges};

/// Tries of a change while others change the same webhook.
const TRIES: usize = 8;
/// Longest wait before the next try.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Holds if the configuration is still as it was read; [`seen`] gives the values. `updated_at` shows every change but
/// one: switching off by the service changes only `is_active`.
pub(super) const AS_SEEN: &str = "updated_at = :seen_updated_at AND is_active = :seen_is_active \
     AND secret_version = :seen_secret_version";

/// Writes changes of the webhooks of all tenants, each with its row in the history.
#[derive(Debug, Clone)]
pub struct WebhookEditor {
    pub(super) webhooks: WebhookStore,
    pub(super) audit: AuditStore,
}

/// A webhook after an update.
#[derive(Debug)]
pub struct Updated {
    /// With the changes.
    pub webhook: Webhook,
    /// False if it had them already.
    pub is_changed: bool,
    /// True if this update switched it off or on.
    pub is_switched: bool,
}

/// Why a webhook was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Others changed the webhook during each try. The caller can ask again.
    #[error("others changed the webhook at the same time; try again in a few seconds")]
    Conflict,
    /// A table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A webhook before and after a change; the two are equal if there was nothing to change.
pub(super) struct Edited {
    before: Webhook,
    after: Webhook,
}

impl WebhookEditor {
    /// Changes `webhooks` and notes each change in `audit`.
    #[must_use]
    pub fn new(webhooks: WebhookStore, audit: AuditStore) -> Self {
        Self { webhooks, audit }
    }

    /// Makes these changes. Returns `None` if the webhook does not exist. A webhook that has them already stays as it
    /// is.
    pub async fn update(
        &self,
        tenant: TenantId,
        id: WebhookId,
        changes: &WebhookChanges,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Option<Updated>, EditError> {
        let apply = |webhook: &Webhook, at| Some(changes.apply(webhook, at));
        let edited = self.edit(tenant, id, (actor, Action::Update), now, apply).await?;
        Ok(edited.map(|Edited { before, after }| {
            let is_switched = before.is_active() != after.is_active();
            Updated { is_changed: before != after, is_switched, webhook: after }
        }))
    }

    /// Puts the secrets `new` in force and ends the rotation. Returns `None` if version `old` is no longer in force
    /// or the webhook no longer exists.
    pub async fn replace_secret(
        &self,
        tenant: TenantId,
        id: WebhookId,
        old: &str,
        new: &RotatedSecrets,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Option<Webhook>, EditError> {
        let rotate = |webhook: &Webhook, _| {
            (webhook.secret_version == old).then(|| Webhook {
                secret_version: new.version.clone(),
                secret_label: Some(new.label),
                previous_secret: new.previous.clone(),
                ..webhook.clone()
            })
        };
        let edited = self.edit(tenant, id, (actor, Action::Rotate), now, rotate).await?;
        Ok(edited.map(|edited| edited.after))
    }

    /// Ends the overlap after the rotation to version `current`. Returns `None` if that version is no longer in
    /// force or the webhook no longer exists.
    pub async fn end_overlap(
        &self,
        tenant: TenantId,
        id: WebhookId,
        current: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Option<Webhook>, EditError> {
        let end = |webhook: &Webhook, _| {
            (webhook.secret_version == current)
                .then(|| Webhook { previous_secret: None, ..webhook.clone() })
        };
        let edited = self.edit(tenant, id, (actor, Action::EndOverlap), now, end).await?;
        Ok(edited.map(|edited| edited.after))
    }

    /// Notes that the endpoint at `url` has answered a test with 2xx. `tested` is the row as it was read before the test.
    /// Returns false if the webhook has got another URL since, also if it has the same one again, or was deleted.
    pub async fn verify(
        &self,
        tested: &Webhook,
        url: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, EditError> {
        let verify = |webhook: &Webhook, _| {
            let is_tested =
                webhook.needs_test_since == tested.needs_test_since && webhook.url.as_str() == url;
            is_tested.then(|| Webhook { needs_test_since: None, ..webhook.clone() })
        };
        let by = (actor, Action::Verify);
        let edited = self.edit(tested.tenant_id, tested.id, by, now, verify).await?;
        Ok(edited.is_some())
    }

    /// Switches the webhook off because of its endpoint. `webhook` is the row as it was read. Returns when it was
    /// switched off.
    ///
    /// Returns `None` if it is off, if the owner has changed it since, or if it was to be switched off for failing too
    /// long and there was a success meanwhile.
    pub async fn disable(
        &self,
        webhook: &Webhook,
        reason: DisabledReason,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        if !webhook.is_active() {
            return Ok(None);
        }
        let at = webhook.next_change_at(now);
        let disabled = Some(Disabled { at, reason });
        let edited =
            Edited { after: Webhook { disabled, ..webhook.clone() }, before: webhook.clone() };
        let is_written = self.write(&edited, (Actor::Service, Action::Disable), at).await?;
        Ok(is_written.then_some(at))
    }

    /// Applies `change` to the webhook. Its second argument is the time of the change, which is also the new
    /// `updated_at`. Returns `None` if the webhook does not exist or `change` returns `None`. Writes nothing if `change`
    /// returns an equal webhook.
    pub(super) async fn edit(
        &self,
        tenant: TenantId,
        id: WebhookId,
        by: (Actor, Action),
        now: Timestamp,
        change: impl Fn(&Webhook, Timestamp) -> Option<Webhook>,
    ) -> Result<Option<Edited>, EditError> {
        let mut waits = waits();
        loop {
            let Some(before) = self.webhooks.get(tenant, id).await? else { return Ok(None) };
            let at = before.next_change_at(now);
            let Some(after) = change(&before, at) else { return Ok(None) };
            if after == before {
                return Ok(Some(Edited { before, after }));
            }
            let edited = Edited { before, after: Webhook { updated_at: at, ..after } };
            if self.write(&edited, by, at).await? {
                return Ok(Some(edited));
            }
            sleep(waits.next().ok_or(EditError::Conflict)?).await;
        }
    }

    /// Returns false if the webhook is no longer as it was before.
    async fn write(
        &self,
        Edited { before, after }: &Edited,
        (actor, action): (Actor, Action),
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut update = row::update(before, after)?.only_if(AS_SEEN);
        for (name, value) in seen(before)? {
            update = update.with(name, value);
        }
        update = match (action, after.disabled.map(|disabled| disabled.reason)) {
            // The rotation's claim ends with it.
            (Action::Rotate, _) => update.set("rotating_until", number(0)),
            // There was no success meanwhile.
            (Action::Disable, Some(DisabledReason::FailingTooLong)) => update
                .and_if("failing_since = :seen_failing_since")
                .with(":seen_failing_since", encode(&before.failing_since)?),
            _ => update,
        };
        let change = Change::of(Edit::Changed { before, after }, actor, action, at);
        let writes = vec![update.in_transaction(&self.webhooks.table), self.audit.put(&change)?];
        match transact(self.client(), writes).await {
            Ok(()) => Ok(true),
            Err(error) if error.failed_condition == Some(0) => Ok(false),
            Err(error) => Err(error.source.into()),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.webhooks.dynamodb.client
    }
}

/// Random waits between the tries of a change. No try begins more than about 3 s after the first.
pub(super) fn waits() -> impl Iterator<Item = Duration> {
    let last_wait = Instant::now() + CALL_TIMEOUT;
    let waits = repeat_with(|| random_part(LONGEST_WAIT)).take(TRIES - 1);
    waits.take_while(move |_| Instant::now() < last_wait)
}

/// The values of [`AS_SEEN`].
pub(super) fn seen(webhook: &Webhook) -> Result<[(&'static str, AttributeValue); 3], StoreError> {
    Ok([
        (":seen_updated_at", encode(&webhook.updated_at)?),
        (":seen_is_active", AttributeValue::Bool(webhook.is_active())),
        (":seen_secret_version", text(&webhook.secret_version)),
    ])
}
