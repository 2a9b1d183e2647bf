//! Changes of a webhook's health.
//!
//! The rule: each is one conditional `UpdateItem`, and of several concurrent ones exactly one succeeds. Its caller
//! publishes the change.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use uuid::Uuid;

use super::{WebhookStore, encode, key, row};
use crate::aws::AwsError;
use crate::id::{TenantId, WebhookId};
use crate::store::{StoreError, condition_failed};
use crate::timestamp::Timestamp;
use crate::webhook::{DisabledReason, Webhook};

/// The row is still as the owner left it when it was read, and the webhook is on. What an endpoint answers says
/// nothing about a URL that has been changed since, or about a webhook that has been switched off and on.
const UNCHANGED: &str = "updated_at = :updated_at AND is_active = :active";

/// A change of health, as an update expression.
pub(super) struct Update {
    pub(super) set: Vec<(&'static str, AttributeValue)>,
    pub(super) remove: &'static [&'static str],
    pub(super) condition: String,
    pub(super) operands: Vec<(&'static str, AttributeValue)>,
}

impl WebhookStore {
    /// Notes the first dead letter since the last success, unless one is noted. `webhook` is the row as it was read.
    ///
    /// Returns false if another call was first, or if the owner has changed the webhook since.
    pub async fn note_failing(&self, webhook: &Webhook, at: Timestamp) -> Result<bool, StoreError> {
        let set = vec![("failing_since", encode(&at)?)];
        self.change_read(webhook, set, &[], " AND attribute_not_exists(failing_since)").await
    }

    /// Notes the first success after a dead letter. `webhook` is the row as it was read.
    ///
    /// Returns false if another call was first, or if the row no longer has the same `failing_since`: a newer one
    /// is about a newer dead letter.
    pub async fn note_recovered(&self, webhook: &Webhook) -> Result<bool, StoreError> {
        let same = " AND failing_since = :failing_since";
        self.change_read(webhook, Vec::new(), &["failing_since"], same).await
    }

    /// Switches the webhook off because of its endpoint. `webhook` is the row as it was read.
    ///
    /// Returns false if it is off, if the owner has changed it since, or if it was switched off for failing too
    /// long and there was a success meanwhile.
    pub async fn disable(
        &self,
        webhook: &Webhook,
        reason: DisabledReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let set = disabled(reason, at)?;
        let condition = match reason {
            DisabledReason::FailingTooLong => " AND failing_since = :failing_since",
            DisabledReason::Gone | DisabledReason::Owner => "",
        };
        self.change_read(webhook, set, &[], condition).await
    }

    /// A change by the sender, on the row that it read.
    async fn change_read(
        &self,
        webhook: &Webhook,
        set: Vec<(&'static str, AttributeValue)>,
        remove: &'static [&'static str],
        condition: &str,
    ) -> Result<bool, StoreError> {
        let mut operands = vec![
            (":updated_at", encode(&webhook.updated_at)?),
            (":active", AttributeValue::Bool(true)),
        ];
        if condition.contains(":failing_since") {
            operands.push((":failing_since", encode(&webhook.failing_since)?));
        }
        let condition = format!("{UNCHANGED}{condition}");
        let update = Update { set, remove, condition, operands };
        Ok(self.change_health(webhook.tenant_id, webhook.id, update).await?.is_some())
    }

    /// Returns the changed webhook, or `None` if the condition does not hold.
    pub(super) async fn change_health(
        &self,
        tenant: TenantId,
        id: WebhookId,
        update: Update,
    ) -> Result<Option<Webhook>, StoreError> {
        let Update { mut set, remove, condition, operands } = update;
        // The SDK repeats a call whose response was lost. The mark says that the row already has our change.
        set.push(("health_change", AttributeValue::S(Uuid::new_v4().to_string())));
        let assignments: Vec<String> =
            set.iter().map(|(name, _)| format!("#{name} = :new_{name}")).collect();
        let mut expression = vec![format!("SET {}", assignments.join(", "))];
        if !remove.is_empty() {
            expression.push(format!("REMOVE {}", remove.join(", ")));
        }
        let mut request = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(tenant, id)))
            .update_expression(expression.join(" "))
            .condition_expression(format!("({condition}) OR #health_change = :new_health_change"))
            .return_values(ReturnValue::AllNew);
        for (name, value) in set {
            // Every name gets an alias, because `url` is a reserved word of DynamoDB.
            request = request
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":new_{name}"), value);
        }
        for (name, value) in operands {
            request = request.expression_attribute_values(name, value);
        }
        match request.send().await {
            Ok(response) => response.attributes.map(row::read).transpose(),
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(AwsError::of("UpdateItem")(error).into()),
        }
    }
}

/// The owner switches the webhook on or off and changes `attributes`. The condition fails if it already is on or off,
/// or if it does not exist.
pub(super) fn switch(
    is_active: bool,
    attributes: Vec<(&'static str, AttributeValue)>,
    at: Timestamp,
) -> Result<Update, StoreError> {
    let (own, remove): (_, &[_]) = if is_active {
        let on = vec![("is_active", AttributeValue::Bool(true))];
        (on, &["failing_since", "disabled_at", "disabled_reason"])
    } else {
        (disabled(DisabledReason::Owner, at)?, &[])
    };
    Ok(Update {
        set: [attributes, own].concat(),
        remove,
        condition: "is_active = :before".to_owned(),
        operands: vec![(":before", AttributeValue::Bool(!is_active))],
    })
}

/// The attributes of a webhook that is switched off.
fn disabled(
    reason: DisabledReason,
    at: Timestamp,
) -> Result<Vec<(&'static str, AttributeValue)>, StoreError> {
    Ok(vec![
        ("is_active", AttributeValue::Bool(false)),
        ("disabled_at", encode(&at)?),
        ("disabled_reason", encode(&reason)?),
    ])
}
