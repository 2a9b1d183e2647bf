//! Prints each finding at once, and remembers it for the summary.

use anyhow::Result;

use super::finding::{self, Finding};
use crate::output;

#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, findings: Vec::new() }
    }

    pub(crate) fn add(&mut self, finding: Finding) -> Result<()> {
        let printed =
            if self.json { output::json(&finding.json()) } else { output::line(finding.text()) };
        self.findings.push(finding);
        printed
    }

    pub(crate) fn has_fault(&self) -> bool {
        self.findings.iter().any(Finding::is_fault)
    }

    /// Prints the last line. With JSON it is a note, so that standard output has findings only.
    pub(crate) fn end(&self) -> Result<()> {
        let summary = finding::summary(&self.findings);
        if self.json {
            output::note(summary);
            return Ok(());
        }
        output::line(format_args!("\n{summary}"))
    }
}
