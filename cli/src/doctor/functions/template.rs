//! The functions of template.yaml, as far as doctor checks them.

use crate::stack::Outputs;

#[derive(Debug)]
pub(crate) struct Function {
    /// Its name in the template.
    pub(crate) name: &'static str,
    pub(crate) of: fn(&Outputs) -> &str,
    /// Environment variables that are outputs too.
    pub(super) variables: &'static [Variable],
}

/// An environment variable, and the output with its value.
type Variable = (&'static str, fn(&Outputs) -> &str);

pub(super) const SECRETS_PREFIX: &str = "SECRETS_PREFIX";
const WEBHOOKS: Variable = ("WEBHOOKS_TABLE", |outputs| &outputs.webhooks_table);
const AUDIT: Variable = ("WEBHOOK_AUDIT_TABLE", |outputs| &outputs.webhook_audit_table);
const API_KEYS: Variable = ("API_KEYS_TABLE", |outputs| &outputs.api_keys_table);
const DELIVERIES: Variable = ("DELIVERIES_TABLE", |outputs| &outputs.deliveries_table);
const REPLAYS: Variable = ("REPLAYS_TABLE", |outputs| &outputs.replays_table);
const DELIVERY_QUEUE: Variable = ("DELIVERY_QUEUE_URL", |outputs| &outputs.delivery_queue_url);
const REPLAY_QUEUE: Variable = ("REPLAY_QUEUE_URL", |outputs| &outputs.replay_queue_url);
const DEAD_LETTERS: Variable = ("DEAD_LETTER_QUEUE_URL", |outputs| &outputs.dead_letter_queue_url);
const FAULTS: Variable =
    ("PIPELINE_FAULTS_QUEUE_URL", |outputs| &outputs.pipeline_faults_queue_url);
const LOG_DAYS: Variable = ("DELIVERY_LOG_DAYS", |outputs| &outputs.delivery_log_days);
const AUDIT_DAYS: Variable = ("AUDIT_DAYS", |outputs| &outputs.audit_days);
const PREFIX: Variable = (SECRETS_PREFIX, |outputs| &outputs.secrets_prefix);

pub(super) const API: Function = Function {
    name: "ApiFunction",
    of: |outputs| &outputs.api_function_name,
    variables: &[
        WEBHOOKS,
        AUDIT,
        AUDIT_DAYS,
        API_KEYS,
        DELIVERIES,
        REPLAYS,
        DELIVERY_QUEUE,
        REPLAY_QUEUE,
        LOG_DAYS,
        PREFIX,
    ],
};
pub(crate) const FANOUT: Function = Function {
    name: "FanoutFunction",
    of: |outputs| &outputs.fanout_function_name,
    variables: &[WEBHOOKS, DELIVERIES, DELIVERY_QUEUE, FAULTS, LOG_DAYS],
};
pub(crate) const SENDER: Function = Function {
    name: "SenderFunction",
    of: |outputs| &outputs.sender_function_name,
    variables: &[
        WEBHOOKS,
        AUDIT,
        AUDIT_DAYS,
        DELIVERIES,
        DELIVERY_QUEUE,
        DEAD_LETTERS,
        FAULTS,
        LOG_DAYS,
        PREFIX,
    ],
};
pub(crate) const REPLAY: Function = Function {
    name: "ReplayFunction",
    of: |outputs| &outputs.replay_function_name,
    variables: &[WEBHOOKS, REPLAYS, DELIVERIES, DELIVERY_QUEUE, REPLAY_QUEUE, FAULTS, LOG_DAYS],
};

/// In the template's order.
pub(crate) const ALL: [&Function; 4] = [&API, &FANOUT, &SENDER, &REPLAY];

impl Function {
    pub(crate) fn check(&self) -> String {
        format!("function {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::super::template_text::{TEMPLATE, names_of_type, section, values};
    use super::*;

    #[test]
    fn each_function_has_the_variables_of_the_template_that_are_outputs() {
        assert_eq!(ALL.map(|function| function.name), *names_of_type("AWS::Serverless::Function"));
        let (_, outputs) = TEMPLATE.split_once("\nOutputs:\n").expect("the template has outputs");
        let outputs = values(outputs, "Value");
        for function in ALL {
            let text = section(TEMPLATE, function.name);
            let (_, variables) = text.split_once("        Variables:\n").expect("it has variables");
            let variables = variables.lines().take_while(|it| it.starts_with("          "));
            let variables = variables.filter_map(|it| it.trim().split_once(": "));
            let expected: BTreeSet<&str> = variables
                .filter(|(_, value)| outputs.contains(value))
                .map(|(name, _)| name)
                .collect();
            let checked: BTreeSet<&str> =
                function.variables.iter().map(|(name, _)| *name).collect();
            assert_eq!(checked, expected, "{}", function.name);
        }
    }
}
