//! Builds the update expression that adds the outcome of one receive to a delivery's row. Pure.
//!
//! The rules: an attempt is added once. Within a chain, a success is never overwritten. A late write of an older chain
//! adds its attempt and changes nothing else.

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

/// Attributes of the last receive: an entry that lacks one removes it.
const OF_THE_LAST_RECEIVE: [&str; 3] = ["undelivered", "completed_at", "next_attempt_at"];

/// Attributes of the last attempt: an entry of an attempt that lacks one removes it.
const OF_THE_LAST_ATTEMPT: [&str; 2] = ["last_status_code", "last_error"];

/// The row has an earlier chain than the entry, or does not exist.
const IS_NEW_CHAIN: &str = "attribute_not_exists(#chain) OR #chain < :chain";

/// The row has the entry's chain, which has not succeeded.
const IS_OPEN: &str = "#chain = :chain AND #status <> :delivered";

/// The parts of an `UpdateItem`.
#[derive(Debug, Default)]
pub(super) struct Update {
    pub key: HashMap<String, AttributeValue>,
    set: Vec<String>,
    remove: Vec<String>,
    /// Joined with `AND`.
    conditions: Vec<String>,
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
        let mut row = SdkItem::from(DeliveryRow::new(entry, keep).to_item()?);
        update.take_key(&mut row);
        let attempts = take_list(&mut row);
        let count = row.remove("attempt_count");
        let number = row.remove("last_attempt");
        update.values.extend(number.map(|number| (":number".to_owned(), number)));
        for (name, value) in row {
            update.set(&name, value);
        }
        update.remove_absent(&OF_THE_LAST_RECEIVE);
        let is_attempt = entry.attempt.is_some();
        if is_attempt {
            update.remove_absent(&OF_THE_LAST_ATTEMPT);
            update.set.push("last_attempt = :number".to_owned());
        } else {
            update.set.push("last_attempt = if_not_exists(last_attempt, :number)".to_owned());
        }
        update.count(count);
        // A success needs no new attempt number: the queue counts the receives of a message that it moved back from
        // the dead-letter queue from 1 again.
        let is_added = if is_attempt && entry.status != DeliveryStatus::Delivered {
            " AND last_attempt < :number"
        } else {
            ""
        };
        update.conditions.push(format!("({IS_NEW_CHAIN} OR ({IS_OPEN}{is_added}))"));
        let delivered = DeliveryStatus::Delivered.as_str().to_owned();
        update.value(":delivered", AttributeValue::S(delivered));
        update.put_attempts(attempts, place);
        Ok(update)
    }

    /// Adds the attempt of `entry` to a row that has a later chain.
    pub(super) fn of_an_older_chain(
        entry: &LogEntry<'_>,
        keep: Duration,
    ) -> Result<Self, StoreError> {
        let mut update = Self::default();
        let mut row = SdkItem::from(DeliveryRow::new(entry, keep).to_item()?);
        update.take_key(&mut row);
        update.count(row.remove("attempt_count"));
        let attempts = take_list(&mut row);
        // The same attempt has the same time.
        update.conditions.push("NOT contains(attempts, :attempt)".to_owned());
        for attempt in &attempts {
            update.value(":attempt", attempt.clone());
        }
        update.put_attempts(attempts, Place::AtTheEnd);
        Ok(update)
    }

    fn take_key(&mut self, row: &mut SdkItem) {
        for name in ["webhook", "delivery_id"] {
            self.key.extend(row.remove(name).map(|id| (name.to_owned(), id)));
        }
    }

    /// Adds `count` to the row's number of attempts.
    fn count(&mut self, count: Option<AttributeValue>) {
        self.set.push("attempt_count = if_not_exists(attempt_count, :zero) + :count".to_owned());
        self.value(":zero", AttributeValue::N("0".to_owned()));
        self.values.extend(count.map(|count| (":count".to_owned(), count)));
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
        let set = self.set.join(", ");
        match self.remove.as_slice() {
            [] => format!("SET {set}"),
            remove => format!("SET {set} REMOVE {}", remove.join(", ")),
        }
    }

    pub(super) fn condition(&self) -> String {
        self.conditions.join(" AND ")
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

    fn remove_absent(&mut self, names: &[&str]) {
        let absent = names.iter().filter(|name| !self.names.contains_key(&format!("#{name}")));
        self.remove.extend(absent.map(|name| (*name).to_owned()));
    }

    fn value(&mut self, placeholder: &str, value: AttributeValue) {
        self.values.insert(placeholder.to_owned(), value);
    }
}

fn take_list(row: &mut SdkItem) -> Vec<AttributeValue> {
    match row.remove("attempts") {
        Some(AttributeValue::L(attempts)) => attempts,
        _ => Vec::new(),
    }
}
