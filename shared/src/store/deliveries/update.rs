//! Builds the update expression that adds the outcome of one receive to a delivery's row. Pure.
//!
//! The rule: a success is never overwritten, and an attempt is added once.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::row::DeliveryRow;
use super::{LogEntry, MAX_ATTEMPTS, SdkItem};
use crate::delivery::DeliveryStatus;
use crate::store::StoreError;

/// The position of an attempt in the row's list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Appended, if the list has room.
    AtTheEnd,
    /// In place of the last attempt of a full list. DynamoDB has no expression that both appends to a list and
    /// removes from it.
    OverTheLast,
    /// Not in the list: no attempt was made, or the row is too large for it.
    None,
}

/// The parts of an `UpdateItem`.
#[derive(Debug, Default)]
pub(super) struct Update {
    pub key: HashMap<String, AttributeValue>,
    set: Vec<String>,
    remove: Option<&'static str>,
    /// Joined with `AND`.
    pub conditions: Vec<String>,
    /// By their placeholders.
    pub names: HashMap<String, String>,
    /// By their placeholders.
    pub values: HashMap<String, AttributeValue>,
}

impl Update {
    /// Sets every attribute from `entry` and keeps the attempts of earlier receives. The row expires `keep`
    /// after the entry.
    pub(super) fn new(
        entry: &LogEntry<'_>,
        keep: Duration,
        place: Place,
    ) -> Result<Self, StoreError> {
        let mut update = Self::default();
        let mut attempts = Vec::new();
        for (name, value) in SdkItem::from(DeliveryRow::new(entry, keep).to_item()?) {
            match (name.as_str(), value) {
                ("webhook_config_id" | "delivery_id", id) => {
                    update.key.insert(name, id);
                }
                ("attempts", AttributeValue::L(list)) => attempts = list,
                ("last_attempt", number) => update.value(":number", number),
                (_, value) => update.set(&name, value),
            }
        }
        let is_open = "(attribute_not_exists(#status) OR #status <> :delivered)";
        update.conditions.push(is_open.to_owned());
        let delivered = DeliveryStatus::Delivered.as_str().to_owned();
        update.value(":delivered", AttributeValue::S(delivered));
        update.put_attempts(attempts, place);
        if entry.attempt.is_none() {
            update.set.push("last_attempt = if_not_exists(last_attempt, :number)".to_owned());
            return Ok(update);
        }
        update.set.push("last_attempt = :number".to_owned());
        // A success needs no new attempt number: a message that was redriven from the dead-letter queue counts
        // its attempts from 1 again.
        if entry.status == DeliveryStatus::Delivered {
            update.remove = Some("reason");
        } else {
            let is_new = "(attribute_not_exists(last_attempt) OR last_attempt < :number)";
            update.conditions.push(is_new.to_owned());
        }
        Ok(update)
    }

    fn put_attempts(&mut self, attempts: Vec<AttributeValue>, place: Place) {
        let limit = AttributeValue::N(MAX_ATTEMPTS.to_string());
        match place {
            Place::AtTheEnd => {
                let has_room = "(attribute_not_exists(attempts) OR size(attempts) < :most)";
                self.conditions.push(has_room.to_owned());
                self.value(":most", limit);
                self.append(attempts);
            }
            Place::OverTheLast => {
                self.conditions.push("size(attempts) >= :most".to_owned());
                self.value(":most", limit);
                for attempt in attempts {
                    self.set.push(format!("attempts[{}] = :attempt", MAX_ATTEMPTS - 1));
                    self.value(":attempt", attempt);
                }
            }
            // Creates the list if the row is new.
            Place::None => self.append(Vec::new()),
        }
    }

    pub(super) fn expression(&self) -> String {
        let remove = self.remove.map(|name| format!(" REMOVE {name}")).unwrap_or_default();
        format!("SET {}{remove}", self.set.join(", "))
    }

    fn append(&mut self, attempts: Vec<AttributeValue>) {
        self.set
            .push("attempts = list_append(if_not_exists(attempts, :none), :attempts)".to_owned());
        self.value(":none", AttributeValue::L(Vec::new()));
        self.value(":attempts", AttributeValue::L(attempts));
    }

    /// Uses an alias, because `status` and `ttl` are reserved words of DynamoDB.
    fn set(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = :{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
        self.value(&format!(":{name}"), value);
    }

    fn value(&mut self, placeholder: &str, value: AttributeValue) {
        self.values.insert(placeholder.to_owned(), value);
    }
}
