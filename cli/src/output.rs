//! Prints results to standard output, and notes to standard error.
//!
//! The rules: a reader that closes the pipe, such as `head`, ends the command quietly. The `print` macros would panic.
//! JSON cannot control a terminal either: it escapes what other texts replace.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{ErrorKind, Write as _, stderr};

use anyhow::{Context as _, Result};
use serde_json::Value;
use webhooks::text::{is_printable, visible};

/// The reader of standard output has closed it.
#[derive(Debug)]
pub(crate) struct Closed;

impl Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl Error for Closed {}

/// Ends the program with this exit code. Everything has been said already.
#[derive(Debug)]
pub(crate) struct Exit(pub(crate) u8);

impl Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl Error for Exit {}

/// Prints a line to standard output; colours only on terminals.
pub(crate) fn line(text: impl Display) -> Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints a value as one line of JSON to standard output.
pub(crate) fn json(value: &Value) -> Result<()> {
    line(json_line(value))
}

/// Escapes all characters that are not printable.
fn json_line(value: &Value) -> String {
    // Outside of strings, JSON has only printable characters.
    value.to_string().chars().map(escaped).collect()
}

fn escaped(c: char) -> String {
    let mut text = c.to_string();
    if !is_printable(&text) {
        let escapes: Vec<String> = text.encode_utf16().map(|it| format!("\\u{it:04x}")).collect();
        text = escapes.concat();
    }
    text
}

/// Prints lines to standard error, without characters that could control a terminal: errors quote strangers. The command
/// continues even if nobody can read it.
pub(crate) fn note(text: impl Display) {
    for line in text.to_string().lines() {
        writeln!(stderr(), "{}", visible(line)).ok();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_line_keeps_the_value_and_escapes_what_is_not_printable() {
        let value = json!({"body": "é\u{7f}\u{9b}2J\u{202e}\u{e0041}\n世"});
        let line = json_line(&value);
        assert_eq!(line, r#"{"body":"é\u007f\u009b2J\u202e\udb40\udc41\n世"}"#);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
