//! The history of a webhook: who has changed it, what and when. Pure.
//!
//! The rules: a change shows only fields that the API shows, so a signing secret cannot be in it. An update shows only
//! the fields that it changed; a creation and a deletion show all of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::id::{ChangeId, KeyId, WebhookKey};
use crate::named::named;
use crate::timestamp::Timestamp;
use crate::webhook::Webhook;

/// Who changes a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "actor", content = "key_id", rename_all = "snake_case")]
pub enum Actor {
    /// The tenant, with this API key.
    Key(KeyId),
    /// DocIntell Webhooks itself.
    Service,
    /// A person who operates the service, with `docintell`.
    Operator,
}

named! {
    /// What an actor does to a webhook.
    pub enum Action {
        /// Creates it.
        Create = "create",
        /// Changes its settings.
        Update = "update",
        /// Replaces its signing secret.
        Rotate = "rotate",
        /// Ends the overlap of its signing secrets.
        EndOverlap = "end_overlap",
        /// Deletes it.
        Delete = "delete",
        /// Switches it off because of its endpoint.
        Disable = "disable",
        /// Tests it with success, so that it gets other events too.
        Verify = "verify",
    }
}

/// One change of a webhook's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose configuration.
    pub webhook: WebhookKey,
    /// In the order of the webhook's changes.
    #[serde(rename = "change_id")]
    pub id: ChangeId,
    /// When; each change of a webhook is at least a millisecond later than the one before.
    pub at: Timestamp,
    /// Who.
    #[serde(flatten)]
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// `None` for a creation.
    pub before: Option<Fields>,
    /// `None` for a deletion.
    pub after: Option<Fields>,
}

/// Some of a webhook's fields, with the names and values of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(Map<String, Value>);

/// A webhook's configuration before and after a change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit<'a> {
    Created(&'a Webhook),
    Changed { before: &'a Webhook, after: &'a Webhook },
    Deleted(&'a Webhook),
}

impl Actor {
    /// The API key with which the tenant has made the change.
    #[must_use]
    pub fn key_id(self) -> Option<KeyId> {
        match self {
            Self::Key(id) => Some(id),
            Self::Service | Self::Operator => None,
        }
    }
}

impl Change {
    pub(crate) fn of(edit: Edit<'_>, actor: Actor, action: Action, at: Timestamp) -> Self {
        let (webhook, before, after) = match edit {
            Edit::Created(webhook) => (webhook, None, Some(Fields::of(webhook, at))),
            Edit::Deleted(webhook) => (webhook, Some(Fields::of(webhook, at)), None),
            Edit::Changed { before, after } => {
                let (old, new) = differences(Fields::of(before, at), Fields::of(after, at));
                (after, Some(old), Some(new))
            }
        };
        Self { webhook: webhook.key(), id: ChangeId::at(at), at, actor, action, before, after }
    }

    /// The deletion of a webhook whose row cannot be read.
    pub(crate) fn of_unreadable(webhook: WebhookKey, actor: Actor, at: Timestamp) -> Self {
        let (before, after) = (Some(Fields::default()), None);
        Self { webhook, id: ChangeId::at(at), at, actor, action: Action::Delete, before, after }
    }
}

impl Fields {
    /// What the owner, an operator or the service can change. Health and times are left out: each has its own source.
    fn of(webhook: &Webhook, at: Timestamp) -> Self {
        let disabled_reason = webhook.disabled.map(|disabled| disabled.reason);
        let expires_at = webhook.previous_secret_at(at).map(|previous| previous.until);
        let fields = [
            ("url", json!(webhook.url.as_str())),
            ("description", json!(webhook.description)),
            ("events", json!(webhook.events)),
            ("is_active", json!(webhook.is_active())),
            ("needs_test", json!(webhook.needs_test())),
            ("disabled_reason", json!(disabled_reason)),
            ("retry_enabled", json!(webhook.retry.enabled)),
            ("max_retries", json!(webhook.retry.max_retries)),
            ("previous_secret_expires_at", json!(expires_at)),
        ];
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The fields with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of this field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// The fields that differ, as they are in each.
fn differences(Fields(mut before): Fields, Fields(mut after): Fields) -> (Fields, Fields) {
    before.retain(|name, old| match after.get(name) {
        Some(new) if new == old => {
            after.remove(name);
            false
        }
        _ => true,
    });
    (Fields(before), Fields(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::retry::RetryPolicy;
    use crate::rotation::StagingLabel;
    use crate::webhook::{Disabled, DisabledReason, PreviousSecret};

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_764_757_800_000 + second * 1000)
    }

    fn webhook() -> Webhook {
        Webhook::example(at(0))
    }

    /// `before` and `after` of the change, as JSON.
    fn shown(edit: Edit<'_>, action: Action, second: u64) -> (Value, Value) {
        let change = Change::of(edit, Actor::Service, action, at(second));
        (json!(change.before), json!(change.after))
    }

    #[test]
    fn a_creation_and_a_deletion_show_every_field() {
        let webhook = webhook();
        let all = json!({
            "url": "https://example.com/",
            "description": null,
            "events": ["document.processing.completed", "document.processing.failed"],
            "is_active": true,
            "needs_test": false,
            "disabled_reason": null,
            "retry_enabled": true,
            "max_retries": 5,
            "previous_secret_expires_at": null,
        });
        let created = shown(Edit::Created(&webhook), Action::Create, 1);
        assert_eq!(created, (Value::Null, all.clone()));
        assert_eq!(shown(Edit::Deleted(&webhook), Action::Delete, 1), (all, Value::Null));
    }

    #[test]
    fn an_update_shows_only_the_fields_that_it_changed() {
        let before = webhook();
        let after = Webhook {
            retry: RetryPolicy { max_retries: 9, ..before.retry },
            disabled: Some(Disabled { at: at(1), reason: DisabledReason::Gone }),
            failing_since: Some(at(1)),
            updated_at: at(1),
            ..before.clone()
        };
        let (old, new) = shown(Edit::Changed { before: &before, after: &after }, Action::Update, 1);
        assert_eq!(old, json!({"is_active": true, "disabled_reason": null, "max_retries": 5}));
        assert_eq!(new, json!({"is_active": false, "disabled_reason": "gone", "max_retries": 9}));
    }

    #[test]
    fn a_rotation_shows_when_the_replaced_secret_expires_and_nothing_of_the_secrets() {
        let first = webhook();
        let previous = PreviousSecret { version: "the-version".to_owned(), until: at(10) };
        let second = Webhook {
            secret_version: "the-next-version".to_owned(),
            secret_label: Some(StagingLabel::A),
            previous_secret: Some(previous),
            ..first.clone()
        };
        let third = Webhook { secret_label: Some(StagingLabel::B), ..first.clone() };
        let expires = |value: Value| json!({"previous_secret_expires_at": value});
        let until = || json!("2025-12-03T10:30:10Z");
        for (before, after, second, expected) in [
            (&first, &second, 1, (expires(Value::Null), expires(until()))),
            // A secret that has expired is not shown, as in the API.
            (&second, &third, 10, (json!({}), json!({}))),
            (&second, &third, 9, (expires(until()), expires(Value::Null))),
        ] {
            let found = shown(Edit::Changed { before, after }, Action::Rotate, second);
            assert_eq!(found, expected, "{second}");
        }
    }

    #[test]
    fn a_change_is_read_as_it_is_written_whoever_made_it() {
        let webhook = webhook();
        let key = KeyId::random();
        for (actor, name, key_id) in [
            (Actor::Key(key), "key", json!(key)),
            (Actor::Service, "service", Value::Null),
            (Actor::Operator, "operator", Value::Null),
        ] {
            let change = Change::of(Edit::Created(&webhook), actor, Action::Create, at(1));
            let written = serde_json::to_value(&change).unwrap();
            assert_eq!((&written["actor"], &written["key_id"]), (&json!(name), &key_id));
            assert_eq!(serde_json::from_value::<Change>(written).unwrap(), change);
            let row: serde_dynamo::Item = serde_dynamo::to_item(&change).unwrap();
            assert_eq!(serde_dynamo::from_item::<_, Change>(row).unwrap(), change);
        }
    }
}
