//! The event source mappings, through which Lambda reads the stream and the queues for the functions.
//!
//! The rule: a mapping that is off or missing raises no error anywhere, so every state but `Enabled` is reported.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};

use super::advice::{self, Section};
use super::failure::Failure;
use super::finding::{Finding, Problem};
use super::functions::{self, Function};
use crate::stack::Outputs;

/// A function that a mapping of template.yaml invokes.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) function: &'static Function,
    /// What does not happen without it.
    effect: &'static str,
}

const FANOUT: Mapping =
    Mapping { function: &functions::FANOUT, effect: "no event is read from the jobs table" };
const SENDER: Mapping = Mapping { function: &functions::SENDER, effect: "no delivery is sent" };
const REPLAY: Mapping =
    Mapping { function: &functions::REPLAY, effect: "no replay makes progress" };

/// In the template's order.
pub(crate) const ALL: [&Mapping; 3] = [&FANOUT, &SENDER, &REPLAY];

/// A mapping as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    id: String,
    /// ARN of the function, with the alias.
    function: String,
    /// ARN of the stream or queue.
    source: String,
    state: String,
    last_result: String,
    reports_failures: bool,
}

/// All mappings of the account in this region: a filter by the alias would hide a mapping that invokes another version.
pub(crate) async fn gather(client: &Client) -> Result<Vec<Facts>, Failure> {
    let mut mappings = Vec::new();
    let mut pages = client.list_event_source_mappings().into_paginator().items().send();
    while let Some(mapping) = pages.next().await {
        let mapping = mapping.map_err(Failure::of("lambda:ListEventSourceMappings"))?;
        mappings.push(facts(mapping));
    }
    Ok(mappings)
}

fn facts(mapping: EventSourceMappingConfiguration) -> Facts {
    let types = mapping.function_response_types.unwrap_or_default();
    Facts {
        id: mapping.uuid.unwrap_or_default(),
        function: mapping.function_arn.unwrap_or_default(),
        source: mapping.event_source_arn.unwrap_or_default(),
        state: mapping.state.unwrap_or_default(),
        last_result: mapping.last_processing_result.unwrap_or_default(),
        reports_failures: types.contains(&FunctionResponseType::ReportBatchItemFailures),
    }
}

impl Mapping {
    pub(crate) fn check(&self) -> String {
        format!("event source of {}", self.function.name)
    }

    /// `source` is the ARN that the function should read, if it is known.
    pub(crate) fn finding(
        &self,
        gathered: &Result<Vec<Facts>, Failure>,
        source: Option<&str>,
        outputs: &Outputs,
    ) -> Finding {
        let problems = match gathered {
            Ok(all) => judge(self, all, source, outputs),
            Err(failure) => vec![failure.problem()],
        };
        Finding::of(self.check(), "enabled", &problems)
    }
}

fn judge(
    expected: &Mapping,
    all: &[Facts],
    source: Option<&str>,
    outputs: &Outputs,
) -> Vec<Problem> {
    let (name, effect) = ((expected.function.of)(outputs), expected.effect);
    let of_function: Vec<&Facts> = all.iter().filter(|it| it.invokes(name)).collect();
    let is_expected = |it: &&&Facts| source.is_none_or(|source| it.source == source);
    let Some(mapping) = of_function.iter().find(is_expected) else {
        let from = source.map_or_else(String::new, |source| format!(" from {source}"));
        let instead = of_function.first().map(|it| format!(" It reads {} instead.", it.source));
        return vec![Problem::fault(
            format!(
                "It has no event source mapping{from}: {effect}.{}",
                instead.unwrap_or_default()
            ),
            if source.is_some_and(|source| source.contains(":dynamodb:")) {
                format!(
                    "If the table was restored: {}. If not: {}.",
                    Section::RestoreTable.named(),
                    Section::RestoreByHand.named()
                )
            } else {
                advice::restore_by_hand()
            },
        )];
    };
    let mut problems = Vec::new();
    match mapping.state.as_str() {
        "Enabled" => {}
        "Disabled" | "Disabling" => problems.push(Problem::fault(
            format!("Its event source mapping is off: {effect}."),
            format!(
                "Unless somebody has stopped the flow on purpose ({}): \
                 `aws lambda update-event-source-mapping --enabled --uuid {}`.",
                Section::StopTheFlow.named(),
                mapping.id
            ),
        )),
        state => problems.push(Problem::warning(
            format!("Its event source mapping is {state}: until it is Enabled, {effect}."),
            "Wait a minute and run doctor again.",
        )),
    }
    let alias = &outputs.function_alias;
    if !mapping.function.ends_with(&format!(":{alias}")) {
        problems.push(Problem::fault(
            format!(
                "Its event source mapping invokes {}, expected the alias {alias}: it may run another version.",
                mapping.function
            ),
            advice::restore_by_hand(),
        ));
    }
    if !mapping.reports_failures {
        problems.push(Problem::fault(
            "Its event source mapping lacks ReportBatchItemFailures: the records that a function reports as failed are \
             lost.",
            advice::restore_by_hand(),
        ));
    }
    if mapping.last_result.starts_with("PROBLEM") {
        problems.push(Problem::warning(
            format!("Lambda reports: {}.", mapping.last_result.trim_end_matches('.')),
            Section::FunctionFails.see(),
        ));
    }
    problems
}

impl Facts {
    /// Whether it invokes the function `name`, or a version of it.
    fn invokes(&self, name: &str) -> bool {
        let (_, function) = self.function.split_once(":function:").unwrap_or_default();
        function.split(':').next() == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::outputs;
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:1:deliveries";
    const STREAM: &str = "arn:aws:dynamodb:eu-west-1:1:table/jobs/stream/2";

    fn healthy() -> Facts {
        Facts {
            id: "550e8400".to_owned(),
            function: "arn:aws:lambda:eu-west-1:1:function:sender:live".to_owned(),
            source: QUEUE.to_owned(),
            state: "Enabled".to_owned(),
            last_result: "OK".to_owned(),
            reports_failures: true,
        }
    }

    fn of(facts: &[Facts]) -> Vec<Problem> {
        judge(&SENDER, facts, Some(QUEUE), &outputs())
    }

    #[test]
    fn a_mapping_of_the_template_has_no_problem_beside_those_of_other_functions() {
        let other = Facts {
            function: "arn:aws:lambda:eu-west-1:1:function:sender-of-others:live".to_owned(),
            state: "Disabled".to_owned(),
            ..healthy()
        };
        assert_eq!(of(&[other, healthy()]), []);
    }

    #[test]
    fn each_difference_from_the_template_is_a_problem() {
        type Change = fn(&mut Facts);
        let cases: [(Change, &str); 5] = [
            (|facts| facts.state = "Disabled".to_owned(), "is off: no delivery is sent"),
            (|facts| facts.state = "Enabling".to_owned(), "is Enabling: until it is Enabled"),
            (|facts| facts.reports_failures = false, "lacks ReportBatchItemFailures"),
            (
                |facts| facts.last_result = "PROBLEM: Function call failed".to_owned(),
                "Lambda reports: PROBLEM: Function call failed.",
            ),
            (
                |facts| facts.function = facts.function.replace(":live", ":3"),
                "function:sender:3, expected the alias live",
            ),
        ];
        for (change, expected) in cases {
            let mut facts = healthy();
            change(&mut facts);
            let problems = of(&[facts]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn the_command_that_switches_a_mapping_on_names_it() {
        let off = Facts { state: "Disabled".to_owned(), ..healthy() };
        let action = of(&[off]).remove(0).action;
        assert!(
            action.contains("update-event-source-mapping --enabled --uuid 550e8400"),
            "{action}"
        );
    }

    #[test]
    fn a_function_without_a_mapping_and_one_that_reads_an_old_stream_are_told_apart() {
        assert!(of(&[])[0].message.contains("no event source mapping from arn:aws:sqs"));
        let old = Facts {
            function: "arn:aws:lambda:eu-west-1:1:function:fanout:live".to_owned(),
            source: STREAM.replace("/2", "/1"),
            ..healthy()
        };
        let read_of = |source| judge(&FANOUT, std::slice::from_ref(&old), source, &outputs());
        let problem = read_of(Some(STREAM)).remove(0);
        assert!(problem.message.contains("It reads arn:aws:dynamodb"), "{problem:?}");
        assert!(problem.action.contains("Restore a table"), "{problem:?}");
        // Another table's stream may be any.
        assert_eq!(read_of(None), []);
    }
}
