//! Writes the report of a full run into `docs/PERFORMANCE.md`.
//!
//! The rule: only the text between `<!-- bench -->` and `<!-- end -->` is replaced.

use std::fs;

use anyhow::{Context as _, Result};
use docintell::checkout::Checkout;

pub(crate) fn write(report: &str) -> Result<()> {
    let path = Checkout::find()?.root().join("docs/PERFORMANCE.md");
    let document = fs::read_to_string(&path).context("docs/PERFORMANCE.md cannot be read")?;
    let document = replace(&document, report)
        .context("docs/PERFORMANCE.md lacks `<!-- bench -->` and `<!-- end -->`")?;
    fs::write(&path, document).context("docs/PERFORMANCE.md cannot be written")
}

fn replace(document: &str, report: &str) -> Option<String> {
    let (before, rest) = document.split_once("<!-- bench -->\n")?;
    let (_, after) = rest.split_once("<!-- end -->\n")?;
    Some(format!("{before}<!-- bench -->\n{}\n<!-- end -->\n{after}", report.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_marks_is_replaced() {
        let document = "before\n<!-- bench -->\nold\n<!-- end -->\nafter\n";
        let expected = "before\n<!-- bench -->\nnew\n<!-- end -->\nafter\n";
        assert_eq!(replace(document, "new\n").unwrap(), expected);
        assert_eq!(replace("no marks\n", "new"), None);
    }

    #[test]
    fn the_document_has_the_marks() {
        let document = include_str!("../../docs/PERFORMANCE.md");
        assert!(replace(document, "new").is_some());
    }
}
