//! The update that adds one receive's outcome to a delivery's row, as expressions. Pure.
//!
//! The rule: a success is never overwritten, and an attempt is added once.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{LogEntry, MAX_ATTEMPTS, text};
use crate::delivery::DeliveryStatus;

/// Where an attempt goes in the row's list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// Behind the others, if there is room.
    AtTheEnd(&'a AttributeValue),
    /// Over the last one of a full list. DynamoDB takes no expression that appends to a list and removes from it.
    OverTheLast(&'a AttributeValue),
    /// Nowhere: there was none, or the row cannot take it.
    None,
}

/// The parts of an `UpdateItem`.
#[derive(Debug)]
pub(super) struct Update {
    set: Vec<String>,
    remove: Option<&'static str>,
    /// All must hold.
    pub conditions: Vec<String>,
    /// By their placeholders.
    pub values: HashMap<String, AttributeValue>,
}

impl Update {
    /// Everything that `entry` says, its attempt in `place`; the row is kept for `keep` from now on.
    pub(super) fn new(entry: &LogEntry<'_>, keep: Duration, place: Place<'_>) -> Self {
        let message = entry.message;
        let mut update = Self {
            set: Vec::new(),
            remove: None,
            conditions: vec!["(attribute_not_exists(#status) OR #status <> :delivered)".to_owned()],
            values: HashMap::from([
                (":delivered".to_owned(), text(DeliveryStatus::Delivered.as_str())),
                (":number".to_owned(), number(entry.last_attempt())),
            ]),
        };
        update.set("#status", text(entry.status.as_str()));
        update.set("tenant_id", text(message.tenant_id));
        update.set("#event", text(message.event.as_str()));
        update.set("event_id", text(message.event_id));
        update.set("body", text(message.body.get()));
        update.set("created_at", text(message.delivery_id.created_at()));
        update.set("#ttl", number(entry.expiry(keep)));
        if let Some(reason) = &entry.reason {
            update.set("reason", text(reason.as_str()));
        }
        if let Some(completed_at) = entry.completed_at() {
            update.set("completed_at", text(completed_at));
        }
        update.put_attempt(place);
        if entry.attempt.is_none() {
            update.set.push("last_attempt = if_not_exists(last_attempt, :number)".to_owned());
            return update;
        }
        update.set.push("last_attempt = :number".to_owned());
        // A success is told also when a message that was moved back from the dead-letter queue, and
        // counts its attempts from 1 again, brings it.
        if entry.status == DeliveryStatus::Delivered {
            update.remove = Some("reason");
        } else {
            let is_new = "(attribute_not_exists(last_attempt) OR last_attempt < :number)";
            update.conditions.push(is_new.to_owned());
        }
        update
    }

    fn put_attempt(&mut self, place: Place<'_>) {
        match place {
            Place::AtTheEnd(attempt) => {
                let has_room = "(attribute_not_exists(attempts) OR size(attempts) < :most)";
                self.conditions.push(has_room.to_owned());
                self.value(":most", number(MAX_ATTEMPTS));
                self.append(vec![attempt.clone()]);
            }
            Place::OverTheLast(attempt) => {
                self.conditions.push("size(attempts) >= :most".to_owned());
                self.value(":most", number(MAX_ATTEMPTS));
                self.set.push(format!("attempts[{}] = :attempt", MAX_ATTEMPTS - 1));
                self.value(":attempt", attempt.clone());
            }
            // A row always has a list.
            Place::None => self.append(Vec::new()),
        }
    }

    /// The update expression.
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

    fn set(&mut self, name: &str, value: AttributeValue) {
        let placeholder = format!(":{}", name.trim_start_matches('#'));
        self.set.push(format!("{name} = {placeholder}"));
        self.values.insert(placeholder, value);
    }

    fn value(&mut self, placeholder: &str, value: AttributeValue) {
        self.values.insert(placeholder.to_owned(), value);
    }
}

fn number(value: impl ToString + Copy) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
