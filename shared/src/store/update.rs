//! One conditional `UpdateItem`.

use std::fmt::Display;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    self, AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::{DynamoDb, SdkItem};
use crate::aws::AwsError;

/// The parts of an `UpdateItem`. `#name` and `:name` are an attribute and its new value.
#[derive(Debug, Clone)]
pub(super) struct Update {
    key: SdkItem,
    set: Vec<(String, AttributeValue)>,
    remove: Vec<String>,
    condition: String,
    operands: Vec<(&'static str, AttributeValue)>,
}

/// The result of an update.
#[derive(Debug)]
pub(super) enum Updated {
    /// The row after the update.
    Done(SdkItem),
    /// The condition does not hold for this row.
    Refused(Option<SdkItem>),
}

impl Updated {
    pub(super) fn done(self) -> Option<SdkItem> {
        match self {
            Self::Done(row) => Some(row),
            Self::Refused(_) => None,
        }
    }
}

impl Update {
    pub(super) fn of(key: SdkItem) -> Self {
        Self {
            key,
            set: Vec::new(),
            remove: Vec::new(),
            condition: String::new(),
            operands: Vec::new(),
        }
    }

    pub(super) fn set(mut self, name: impl Into<String>, value: AttributeValue) -> Self {
        self.set.push((name.into(), value));
        self
    }

    /// Sets the attribute if there is a value.
    pub(super) fn set_some(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    pub(super) fn remove(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.remove.extend(names.into_iter().map(Into::into));
        self
    }

    /// The condition may use `#name` for any attribute, `:name` for one that is set, and the values of
    /// [`with`](Self::with).
    pub(super) fn only_if(self, condition: impl Into<String>) -> Self {
        Self { condition: condition.into(), ..self }
    }

    /// Adds another condition.
    pub(super) fn and_if(self, other: &str) -> Self {
        let condition = format!("{} AND {other}", self.condition);
        self.only_if(condition)
    }

    /// Adds an alternative to the condition.
    pub(super) fn or_if(self, alternative: &str) -> Self {
        let condition = format!("({}) OR {alternative}", self.condition);
        self.only_if(condition)
    }

    pub(super) fn with(mut self, placeholder: &'static str, value: AttributeValue) -> Self {
        self.operands.push((placeholder, value));
        self
    }

    fn expression(&self) -> String {
        let set: Vec<_> = self.set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let remove: Vec<_> = self.remove.iter().map(|name| format!("#{name}")).collect();
        match remove.as_slice() {
            [] => format!("SET {}", set.join(", ")),
            remove => format!("SET {} REMOVE {}", set.join(", "), remove.join(", ")),
        }
    }

    /// The attributes that the expressions name. Each has an alias, because some are reserved words of DynamoDB.
    fn names(&self) -> Vec<String> {
        let text = self.expression() + " " + &self.condition;
        let words = text.split(|c: char| !(c == '#' || c == '_' || c.is_ascii_alphanumeric()));
        let mut names: Vec<_> =
            words.filter_map(|word| word.strip_prefix('#')).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The update as one write of a transaction.
    pub(super) fn in_transaction(self, table: &str) -> TransactWriteItem {
        let mut update = types::Update::builder()
            .table_name(table)
            .update_expression(self.expression())
            .condition_expression(&self.condition);
        for name in self.names() {
            update = update.expression_attribute_names(format!("#{name}"), name);
        }
        for (name, value) in self.set {
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        for (placeholder, value) in self.operands {
            update = update.expression_attribute_values(placeholder, value);
        }
        let update = update.set_key(Some(self.key)).build();
        let update = update.expect("table, key and expression are set");
        TransactWriteItem::builder().update(update).build()
    }
}

impl DynamoDb {
    pub(super) async fn update(&self, table: &str, update: Update) -> Result<Updated, AwsError> {
        let mut request = self
            .client
            .update_item()
            .table_name(table)
            .update_expression(update.expression())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for name in update.names() {
            request = request.expression_attribute_names(format!("#{name}"), name);
        }
        for (name, value) in update.set {
            request = request.expression_attribute_values(format!(":{name}"), value);
        }
        for (placeholder, value) in update.operands {
            request = request.expression_attribute_values(placeholder, value);
        }
        let request = request.condition_expression(update.condition).set_key(Some(update.key));
        match request.send().await {
            Ok(response) => Ok(Updated::Done(response.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Updated::Refused(failed.item().cloned()))
                }
                _ => Err(AwsError::of("UpdateItem")(error)),
            },
        }
    }
}

pub(super) fn text(value: impl Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(super) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
