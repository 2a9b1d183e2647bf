//! What the states of the secrets mean. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::super::advice::Section;
use super::super::failure::Failure;
use super::super::finding::Problem;
use super::{Facts, State};
use crate::words::count;

pub(super) fn judge(prefix: &str, facts: &Facts) -> Vec<Problem> {
    let of = facts.states.len();
    let some = |names: &[&str]| {
        format!("{} of {}, such as {}", names.len(), count(of, "webhook"), names[0])
    };
    let with = |wanted: fn(&State) -> bool| -> Vec<&str> {
        let matching = facts.states.iter().filter(|(_, state)| wanted(state));
        matching.map(|(name, _)| name.as_str()).collect()
    };
    let mut problems = Vec::new();

    let empty = BTreeMap::new();
    let elsewhere = facts.elsewhere.as_ref().unwrap_or(&empty);
    let (moved, gone): (Vec<&str>, Vec<&str>) = with(|state| *state == State::Missing)
        .into_iter()
        .partition(|name| elsewhere.contains_key(*name));
    let prefixes: BTreeSet<&str> = moved.iter().map(|name| elsewhere[*name].as_str()).collect();
    for other in prefixes {
        let names: Vec<&str> = moved.iter().copied().filter(|it| elsewhere[*it] == other).collect();
        problems.push(Problem::fault(
            format!(
                "SecretsPrefix is `{prefix}`, but the secrets of {} are under `{other}`: their deliveries are blocked.",
                some(&names)
            ),
            format!(
                "If the stack was deployed with another SecretsPrefix, set `{other}` again: {}.",
                Section::Deploy.named()
            ),
        ));
    }
    if !gone.is_empty() {
        problems.push(Problem::fault(
            format!(
                "There is no secret under `{prefix}/` for {}: their deliveries are blocked.",
                some(&gone)
            ),
            Section::WebhooksWithoutSecrets.see(),
        ));
        if let Err(failure) = &facts.elsewhere {
            problems.push(failure.problem());
        }
    }
    let deleted = with(|state| *state == State::Deleted);
    if let Some(first) = deleted.first() {
        problems.push(Problem::fault(
            format!("The secrets of {} are being deleted.", some(&deleted)),
            format!(
                "Bring each back: `aws secretsmanager restore-secret --secret-id {prefix}/{first}`."
            ),
        ));
    }
    let without = with(|state| matches!(state, State::NoVersion(_)));
    if !without.is_empty() {
        problems.push(Problem::fault(
            format!(
                "A version that signs is missing from the secrets of {}: their deliveries are blocked.",
                some(&without)
            ),
            Section::WebhooksWithoutSecrets.see(),
        ));
    }
    let unknown = facts.states.iter().find_map(|(_, state)| match state {
        State::Unknown(failure) => Some(failure),
        _ => None,
    });
    problems.extend(unknown.map(Failure::problem));
    problems
}

#[cfg(test)]
mod tests {
    use super::super::super::advice;
    use super::*;

    const NAME: &str = "770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000";

    fn judged(state: State, elsewhere: Result<BTreeMap<String, String>, Failure>) -> Vec<Problem> {
        let states = vec![(NAME.to_owned(), state), ("t/w".to_owned(), State::Readable)];
        judge("prod", &Facts { states, elsewhere })
    }

    #[test]
    fn secrets_under_another_prefix_are_told_apart_from_those_that_are_gone() {
        let other = [(NAME.to_owned(), "staging".to_owned())].into();
        let [problem] = &judged(State::Missing, Ok(other))[..] else { panic!("one problem") };
        assert!(
            problem.message.contains("SecretsPrefix is `prod`, but the secrets of 1 of 2 webhooks"),
            "{problem:?}"
        );
        assert!(problem.action.contains("set `staging` again"), "{problem:?}");
        let [problem] = &judged(State::Missing, Ok(BTreeMap::new()))[..] else { panic!("one") };
        assert!(problem.message.contains("no secret under `prod/`"), "{problem:?}");
        let denied = Failure::Denied("secretsmanager:ListSecrets");
        let problems = judged(State::Missing, Err(denied));
        assert!(problems[1].message.contains("secretsmanager:ListSecrets"), "{problems:?}");
    }

    #[test]
    fn each_other_state_is_a_fault_that_names_a_webhook() {
        assert_eq!(judged(State::Readable, Ok(BTreeMap::new())), []);
        for (state, expected) in [
            (State::Deleted, "are being deleted"),
            (State::NoVersion("v".to_owned()), "A version that signs is missing"),
        ] {
            let problem = judged(state, Ok(BTreeMap::new())).remove(0);
            assert!(problem.message.contains(expected), "{problem:?}");
            assert!(problem.message.contains(NAME), "{problem:?}");
        }
        let denied = State::Unknown(Failure::Denied("secretsmanager:DescribeSecret"));
        let problem = judged(denied, Ok(BTreeMap::new())).remove(0);
        assert_eq!(problem.action, advice::PERMISSIONS);
    }
}
