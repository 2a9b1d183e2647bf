//! The functions: the version in force is active, not stopped, and configured for this stack.

mod template;

use std::collections::HashMap;

use aws_sdk_lambda::Client;

use super::advice::{self, Section};
use super::failure::Failure;
use super::finding::{Finding, Problem};
use crate::stack::Outputs;
use template::SECRETS_PREFIX;
pub(crate) use template::{ALL, FANOUT, Function, REPLAY, SENDER};

/// The version in force of a function, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    version: String,
    state: String,
    /// Why it has this state.
    reason: Option<String>,
    /// Seconds.
    pub(crate) timeout: u32,
    environment: HashMap<String, String>,
    /// Concurrency reserved for it; 0 stops it.
    reserved: Result<Option<i32>, Failure>,
}

/// What is known about one function of the stack.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) function: &'static Function,
    pub(crate) facts: Result<Facts, Failure>,
}

pub(crate) async fn gather(
    client: &Client,
    function: &'static Function,
    outputs: &Outputs,
) -> Gathered {
    let name = (function.of)(outputs);
    let alias = &outputs.function_alias;
    let (version, reserved) = tokio::join!(
        client.get_function_configuration().function_name(name).qualifier(alias).send(),
        client.get_function_concurrency().function_name(name).send(),
    );
    let reserved = reserved.map_err(Failure::of("lambda:GetFunctionConcurrency"));
    let version = version.map_err(Failure::of("lambda:GetFunctionConfiguration"));
    let facts = version.map(|version| Facts {
        version: version.version.unwrap_or_default(),
        state: version.state.map(|state| state.to_string()).unwrap_or_default(),
        reason: version.state_reason,
        timeout: version.timeout.and_then(|timeout| timeout.try_into().ok()).unwrap_or(0),
        environment: version.environment.and_then(|it| it.variables).unwrap_or_default(),
        reserved: reserved.map(|reserved| reserved.reserved_concurrent_executions),
    });
    Gathered { function, facts }
}

impl Gathered {
    pub(crate) fn finding(&self, outputs: &Outputs) -> Finding {
        let name = (self.function.of)(outputs);
        let alias = &outputs.function_alias;
        let (message, problems) = match &self.facts {
            Ok(facts) => {
                let message = format!("version {} is {alias}", facts.version);
                (message, judge(self.function, facts, outputs))
            }
            Err(failure) => {
                let missing = || {
                    Problem::fault(
                        format!("There is no function {name} with an alias {alias}."),
                        format!(
                            "Deploy it again, or move the alias: {}.",
                            Section::RestoreByHand.named()
                        ),
                    )
                };
                (String::new(), vec![failure.or_missing(missing)])
            }
        };
        Finding::of(self.function.check(), message, &problems)
    }
}

fn judge(expected: &Function, facts: &Facts, outputs: &Outputs) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = (expected.of)(outputs);
    // Lambda takes the resources of an unused version away, and gives them back when it is invoked.
    if !["Active", "Inactive"].contains(&facts.state.as_str()) {
        let reason = facts.reason.as_deref().unwrap_or("no reason given");
        problems.push(Problem::fault(
            format!(
                "Its version {} is {} ({reason}), expected Active.",
                facts.version, facts.state
            ),
            format!("If it stays so for a minute: {}.", Section::FunctionFails.named()),
        ));
    }
    match &facts.reserved {
        Err(failure) => problems.push(failure.problem()),
        Ok(Some(0)) => problems.push(Problem::fault(
            "It is stopped: its reserved concurrency is 0, so every invocation is throttled.",
            format!(
                "Start it again: `aws lambda delete-function-concurrency --function-name {name}`."
            ),
        )),
        Ok(_) => {}
    }
    for (variable, of) in expected.variables {
        let wanted = of(outputs);
        let effect = if *variable == SECRETS_PREFIX {
            ": it looks for signing secrets under names that other parts of the stack do not use"
        } else {
            ""
        };
        let problem = match facts.environment.get(*variable) {
            Some(value) if value == wanted => continue,
            Some(value) => format!("Its {variable} is `{value}`, expected `{wanted}`{effect}."),
            None => format!("It has no {variable}, expected `{wanted}`."),
        };
        problems.push(Problem::fault(problem, advice::restore_by_hand()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::sample::outputs;
    use super::template::API;
    use super::*;

    fn healthy(function: &Function) -> Facts {
        let outputs = outputs();
        let variables = function.variables.iter();
        Facts {
            version: "3".to_owned(),
            state: "Active".to_owned(),
            reason: None,
            timeout: 20,
            environment: variables
                .map(|(name, of)| ((*name).to_owned(), of(&outputs).to_owned()))
                .collect(),
            reserved: Ok(None),
        }
    }

    #[test]
    fn a_function_of_the_template_has_no_problem() {
        for function in ALL {
            assert_eq!(judge(function, &healthy(function), &outputs()), [], "{}", function.name);
        }
        let idle =
            Facts { state: "Inactive".to_owned(), reserved: Ok(Some(50)), ..healthy(&SENDER) };
        assert_eq!(judge(&SENDER, &idle, &outputs()), []);
    }

    #[test]
    fn each_difference_from_the_template_is_a_fault() {
        type Change = fn(&mut Facts);
        let cases: [(&Function, Change, &str); 5] = [
            (&API, |facts| facts.state = "Failed".to_owned(), "version 3 is Failed (no reason"),
            (&SENDER, |facts| facts.reserved = Ok(Some(0)), "its reserved concurrency is 0"),
            (
                &SENDER,
                |facts| {
                    facts.environment.insert(SECRETS_PREFIX.to_owned(), "old".to_owned());
                },
                "SECRETS_PREFIX is `old`, expected `prod`: it looks",
            ),
            (
                &FANOUT,
                |facts| {
                    facts.environment.insert("WEBHOOKS_TABLE".to_owned(), "x".to_owned());
                },
                "WEBHOOKS_TABLE is `x`, expected `webhooks`.",
            ),
            (
                &REPLAY,
                |facts| {
                    facts.environment.remove("REPLAYS_TABLE");
                },
                "no REPLAYS_TABLE, expected `replays`",
            ),
        ];
        for (function, change, expected) in cases {
            let mut facts = healthy(function);
            change(&mut facts);
            let problems = judge(function, &facts, &outputs());
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.contains(expected), "{problems:?}");
        }
    }
}
