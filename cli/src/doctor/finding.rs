//! What a check found, and how it is shown: for people, or as JSON. Pure.
//!
//! The rule: a problem says what is wrong, what was expected and what to do.

use anstyle::Style;
use serde_json::{Value, json};
use webhooks::text::visible;

use crate::style;
use crate::words::count;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    check: String,
    status: Status,
    /// Sentences; empty if there is nothing to say.
    message: String,
    /// What to do; empty if all is well.
    action: String,
}

/// From the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Ok,
    Skipped,
    Warning,
    Fault,
}

/// Something that is wrong. Both texts are sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: Status,
    pub(crate) message: String,
    pub(crate) action: String,
}

impl Problem {
    /// The service does not do what it should.
    pub(crate) fn fault(message: impl Into<String>, action: impl Into<String>) -> Self {
        Self { status: Status::Fault, message: message.into(), action: action.into() }
    }

    /// The service works, and somebody should look.
    pub(crate) fn warning(message: impl Into<String>, action: impl Into<String>) -> Self {
        Self { status: Status::Warning, message: message.into(), action: action.into() }
    }
}

impl Finding {
    pub(crate) fn ok(check: impl Into<String>, message: impl Into<String>) -> Self {
        let (check, message) = (check.into(), message.into());
        Self { check, status: Status::Ok, message, action: String::new() }
    }

    pub(crate) fn skipped(check: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(check, reason) }
    }

    /// `message` is for a check without a problem.
    pub(crate) fn of(
        check: impl Into<String>,
        message: impl Into<String>,
        problems: &[Problem],
    ) -> Self {
        let Some(worst) = problems.iter().map(|problem| problem.status).max() else {
            return Self::ok(check, message);
        };
        let sentences = |part: fn(&Problem) -> &String| {
            let mut texts: Vec<&str> = Vec::new();
            for text in problems.iter().map(|problem| part(problem).as_str()) {
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            texts.join(" ")
        };
        Self {
            check: check.into(),
            status: worst,
            message: sentences(|problem| &problem.message),
            action: sentences(|problem| &problem.action),
        }
    }

    pub(crate) fn is_fault(&self) -> bool {
        self.status == Status::Fault
    }

    /// A line with the mark, and another one with the sentences if something is wrong.
    pub(crate) fn text(&self) -> String {
        let (style, mark) = self.status.marked();
        let (check, message) = (visible(&self.check), visible(&self.message));
        let head = format!("{style}{mark}{style:#} {check}");
        match self.status {
            Status::Ok | Status::Skipped if message.is_empty() => head,
            Status::Ok | Status::Skipped => format!("{head}: {message}"),
            Status::Warning | Status::Fault => {
                format!("{head}\n    {message} {}", visible(&self.action))
            }
        }
    }

    pub(crate) fn json(&self) -> Value {
        let or_null = |text: &String| (!text.is_empty()).then_some(text.clone());
        json!({
            "check": self.check,
            "status": self.status.as_str(),
            "message": or_null(&self.message),
            "action": or_null(&self.action),
        })
    }
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }

    fn marked(self) -> (Style, char) {
        match self {
            Self::Ok => (style::GOOD, '✓'),
            Self::Skipped => (Style::new(), '–'),
            Self::Warning => (style::WAITING, '!'),
            Self::Fault => (style::BAD, '✗'),
        }
    }
}

/// The last line.
pub(crate) fn summary(findings: &[Finding]) -> String {
    let number = |status| findings.iter().filter(|it| it.status == status).count();
    let (faults, warnings) = (number(Status::Fault), number(Status::Warning));
    let verdict = match (faults, warnings) {
        (0, 0) => "All is well".to_owned(),
        (0, _) => format!("It works, with {}", count(warnings, "warning")),
        (_, 0) => format!("Something is wrong: {}", count(faults, "fault")),
        _ => {
            let faults = count(faults, "fault");
            format!("Something is wrong: {faults} and {}", count(warnings, "warning"))
        }
    };
    let checks = count(findings.len(), "check");
    match number(Status::Skipped) {
        0 => format!("{verdict}, in {checks}."),
        skipped => format!("{verdict}, in {checks}, of which {skipped} skipped."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(finding: &Finding) -> String {
        anstream::adapter::strip_str(&finding.text()).to_string()
    }

    #[test]
    fn each_status_has_its_mark_and_only_a_problem_has_sentences_below() {
        let fault = Problem::fault("It is gone.", "Make it again.");
        let warning = Problem::warning("It is old.", "Renew it.");
        for (finding, text) in [
            (Finding::ok("table A", ""), "✓ table A"),
            (Finding::ok("table A", "2 rows"), "✓ table A: 2 rows"),
            (Finding::skipped("delivery", "no receiver"), "– delivery: no receiver"),
            (Finding::of("a", "", std::slice::from_ref(&warning)), "! a\n    It is old. Renew it."),
            (
                Finding::of("a", "", &[warning, fault]),
                "✗ a\n    It is old. It is gone. Renew it. Make it again.",
            ),
            (Finding::of("a", "fine", &[]), "✓ a: fine"),
        ] {
            assert_eq!(plain(&finding), text);
        }
    }

    #[test]
    fn an_action_that_mends_two_problems_is_said_once() {
        let problems = ["One.", "Two."].map(|text| Problem::fault(text, "Do this."));
        assert_eq!(plain(&Finding::of("a", "", &problems)), "✗ a\n    One. Two. Do this.");
    }

    #[test]
    fn text_from_outside_cannot_control_the_terminal() {
        let problem = Problem::fault("It says \u{1b}[2J.", "Look.");
        assert!(plain(&Finding::of("a\u{7}", "", &[problem])).contains("␛[2J"));
        assert!(plain(&Finding::ok("a\u{7}", "\u{9b}")).chars().all(|c| !c.is_control()));
    }

    #[test]
    fn json_has_the_four_fields() {
        let fault = Finding::of("a", "", &[Problem::fault("It is gone.", "Make it.")]);
        let expected = json!({"check": "a", "status": "fault", "message": "It is gone.", "action": "Make it."});
        assert_eq!(fault.json(), expected);
        let fine = json!({"check": "a", "status": "ok", "message": null, "action": null});
        assert_eq!(Finding::ok("a", "").json(), fine);
    }

    #[test]
    fn the_summary_counts_what_is_not_well() {
        let ok = || Finding::ok("a", "");
        let bad = |problem: fn(&'static str, &'static str) -> Problem| {
            Finding::of("a", "", &[problem("b", "c")])
        };
        let fault = || bad(Problem::fault);
        let warning = || bad(Problem::warning);
        for (findings, text) in [
            (vec![ok()], "All is well, in 1 check."),
            (
                vec![ok(), Finding::skipped("b", "")],
                "All is well, in 2 checks, of which 1 skipped.",
            ),
            (vec![ok(), warning()], "It works, with 1 warning, in 2 checks."),
            (vec![fault(), fault()], "Something is wrong: 2 faults, in 2 checks."),
            (vec![fault(), warning()], "Something is wrong: 1 fault and 1 warning, in 2 checks."),
        ] {
            assert_eq!(summary(&findings), text);
        }
    }
}
