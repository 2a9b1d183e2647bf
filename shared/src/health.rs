//! A webhook's health: whether its endpoint accepts deliveries, and the event that announces a change.
//!
//! The rule: only an endpoint's own answers and its owner change the health. An internal error never does.

use serde::Serialize;

use crate::id::{TenantId, WebhookId};
use crate::named::named;
use crate::timestamp::Timestamp;
use crate::webhook::{DisabledReason, Webhook};

named! {
    /// The state that the API shows.
    pub enum Health {
        /// No dead letter since the last success.
        Ok = "ok",
        /// At least one dead letter since the last success.
        Failing = "failing",
        /// Switched off, by its owner or by us.
        Disabled = "disabled",
    }
}

impl Webhook {
    /// A webhook that is switched off is [`Health::Disabled`], even if it was failing before.
    #[must_use]
    pub fn health(&self) -> Health {
        match (self.disabled, self.failing_since) {
            (Some(_), _) => Health::Disabled,
            (None, Some(_)) => Health::Failing,
            (None, None) => Health::Ok,
        }
    }
}

/// What happened to a webhook's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthChange {
    /// The first dead letter since the last success.
    Failing {
        /// Why the delivery failed, as a sentence.
        error: String,
    },
    /// The first success after a dead letter.
    Recovered,
    /// Switched off.
    Disabled(DisabledReason),
    /// Switched on again, by its owner.
    Enabled,
}

impl HealthChange {
    /// The event's `detail-type`.
    #[must_use]
    pub fn detail_type(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "Webhook Failing",
            Self::Recovered => "Webhook Recovered",
            Self::Disabled(_) => "Webhook Disabled",
            Self::Enabled => "Webhook Enabled",
        }
    }

    fn health(&self) -> Health {
        match self {
            Self::Failing { .. } => Health::Failing,
            Self::Recovered | Self::Enabled => Health::Ok,
            Self::Disabled(_) => Health::Disabled,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Failing { error } => Some(error),
            Self::Disabled(reason) => Some(reason.as_str()),
            Self::Recovered | Self::Enabled => None,
        }
    }
}

/// A change of one webhook's health, as an event for DocIntell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthEvent {
    /// The webhook's owner.
    pub tenant_id: TenantId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// What happened.
    pub change: HealthChange,
    /// The time that the webhook's row has for the change.
    pub at: Timestamp,
}

/// The event's `detail`.
#[derive(Serialize)]
struct Detail<'a> {
    tenant_id: TenantId,
    webhook_config_id: WebhookId,
    health: Health,
    reason: Option<&'a str>,
    at: Timestamp,
}

impl HealthEvent {
    /// The owner has switched the webhook on or off; `webhook` is the row after that.
    #[must_use]
    pub fn of_switch(webhook: &Webhook) -> Self {
        let change = webhook
            .disabled
            .map_or(HealthChange::Enabled, |disabled| HealthChange::Disabled(disabled.reason));
        let at = webhook.updated_at;
        Self { tenant_id: webhook.tenant_id, webhook_id: webhook.id, change, at }
    }

    /// The event's `detail`, a JSON object.
    pub(crate) fn detail(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Detail {
            tenant_id: self.tenant_id,
            webhook_config_id: self.webhook_id,
            health: self.change.health(),
            reason: self.change.reason(),
            at: self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_change_names_the_new_health_and_its_reason_as_documented() {
        let operations = include_str!("../../docs/OPERATIONS.md");
        let failing = || HealthChange::Failing { error: "the endpoint answered 500".to_owned() };
        for (change, detail_type, health, reason) in [
            (failing(), "Webhook Failing", "failing", json!("the endpoint answered 500")),
            (HealthChange::Recovered, "Webhook Recovered", "ok", Value::Null),
            (
                HealthChange::Disabled(DisabledReason::FailingTooLong),
                "Webhook Disabled",
                "disabled",
                json!("failing_too_long"),
            ),
            (HealthChange::Enabled, "Webhook Enabled", "ok", Value::Null),
        ] {
            let event = HealthEvent {
                tenant_id: "770e8400-e29b-41d4-a716-446655440002".parse().unwrap(),
                webhook_id: "550e8400-e29b-41d4-a716-446655440000".parse().unwrap(),
                change,
                at: Timestamp::from_unix_millis(1_764_757_800_000),
            };
            assert_eq!(event.change.detail_type(), detail_type);
            let row =
                operations.lines().find(|row| row.starts_with(&format!("| `{detail_type}` |")));
            let documented = row.is_some_and(|row| row.contains(&format!("| `{health}` |")));
            assert!(documented, "docs/OPERATIONS.md has no row for {detail_type}");
            let detail: Value = serde_json::from_str(&event.detail().unwrap()).unwrap();
            let expected = json!({
                "tenant_id": "770e8400-e29b-41d4-a716-446655440002",
                "webhook_config_id": "550e8400-e29b-41d4-a716-446655440000",
                "health": health,
                "reason": reason,
                "at": "2025-12-03T10:30:00Z",
            });
            assert_eq!(detail, expected);
        }
    }
}
