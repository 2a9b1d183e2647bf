//! `docs/PERFORMANCE.md`, into which a whole run can write what it has printed.
//!
//! The rule: only what stands between `<!-- bench NAME -->` and `<!-- end -->` is replaced.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use docintell::checkout;

/// Where the document is.
pub fn path() -> PathBuf {
    checkout::root().join("docs/PERFORMANCE.md")
}

/// Writes each text to the place that has its name.
pub fn write(texts: &[(String, String)]) -> Result<()> {
    let path = path();
    let mut document = fs::read_to_string(&path).context("docs/PERFORMANCE.md cannot be read")?;
    for (name, text) in texts {
        document = replace(&document, name, text)?;
    }
    fs::write(&path, document).context("docs/PERFORMANCE.md cannot be written")
}

/// The document with `text` in the place called `name`.
pub fn replace(document: &str, name: &str, text: &str) -> Result<String> {
    let begin = format!("<!-- bench {name} -->\n");
    let (before, rest) = document
        .split_once(&begin)
        .with_context(|| format!("docs/PERFORMANCE.md has no place called {name}"))?;
    let (_, after) = rest
        .split_once("<!-- end -->")
        .with_context(|| format!("the place called {name} in docs/PERFORMANCE.md has no end"))?;
    Ok(format!("{before}{begin}{}\n<!-- end -->{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_place_is_replaced() {
        let document =
            "a\n<!-- bench one -->\nold\n<!-- end -->\nb\n<!-- bench two -->\n<!-- end -->\n";
        let replaced = replace(document, "one", "new\n").unwrap();
        let expected =
            "a\n<!-- bench one -->\nnew\n<!-- end -->\nb\n<!-- bench two -->\n<!-- end -->\n";
        assert_eq!(replaced, expected);
        assert_eq!(replace(&replaced, "one", "new").unwrap(), expected);
        assert!(replace(document, "three", "new").is_err());
    }
}
