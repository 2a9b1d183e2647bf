//! One conditional update of a replay's row.

use std::fmt::Display;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{ReplayStore, key, read};
use crate::aws::AwsError;
use crate::replay::Replay;
use crate::store::{SdkItem, StoreError};

/// The parts of an `UpdateItem`. `#name` and `:name` are an attribute and its new value.
#[derive(Debug)]
pub(super) struct Update {
    key: SdkItem,
    set: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
    condition: &'static str,
    operands: Vec<(&'static str, AttributeValue)>,
}

/// The result of an update.
#[derive(Debug)]
pub(super) enum Updated {
    /// The row after the update.
    Done(Replay),
    /// The condition does not hold for this row.
    Refused(Option<Replay>),
}

impl Updated {
    pub(super) fn done(self) -> Option<Replay> {
        match self {
            Self::Done(replay) => Some(replay),
            Self::Refused(_) => None,
        }
    }
}

impl Update {
    pub(super) fn of(replay: &Replay) -> Self {
        Self {
            key: key(replay.webhook, replay.replay_id),
            set: Vec::new(),
            remove: Vec::new(),
            condition: "",
            operands: Vec::new(),
        }
    }

    pub(super) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, value));
        self
    }

    pub(super) fn remove(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.remove.extend(names);
        self
    }

    /// The condition may use `#name` for any attribute, `:name` for one that is set, and the values of
    /// [`with`](Self::with).
    pub(super) fn only_if(self, condition: &'static str) -> Self {
        Self { condition, ..self }
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
        let text = self.expression() + " " + self.condition;
        let words = text.split(|c: char| !(c == '#' || c == '_' || c.is_ascii_alphanumeric()));
        let mut names: Vec<_> =
            words.filter_map(|word| word.strip_prefix('#')).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl ReplayStore {
    pub(super) async fn update(&self, update: Update) -> Result<Updated, StoreError> {
        let mut request = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .update_expression(update.expression())
            .condition_expression(update.condition)
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
        let error = match request.set_key(Some(update.key)).send().await {
            Ok(response) => {
                return Ok(Updated::Done(read(response.attributes.unwrap_or_default())?));
            }
            Err(error) => error,
        };
        if let Some(UpdateItemError::ConditionalCheckFailedException(failed)) =
            error.as_service_error()
        {
            let row = failed.item().cloned();
            return Ok(Updated::Refused(row.map(read).transpose()?));
        }
        Err(AwsError::of("UpdateItem")(error).into())
    }
}

pub(super) fn text(value: impl Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(super) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
