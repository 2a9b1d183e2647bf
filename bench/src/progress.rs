//! Shows progress on standard error: on a terminal, one line that is rewritten at each step; and a permanent
//! line for each finished section.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr};

/// A longer line would wrap and could not be overwritten.
const WIDTH: usize = 79;

/// Shows the current step, on a terminal only.
pub(crate) fn step(text: impl Display) {
    if stderr().is_terminal() {
        let line: String = format!("  … {text}").chars().take(WIDTH).collect();
        write(format_args!("\r\x1b[2K{line}"));
    }
}

/// Prints a permanent line.
pub(crate) fn done(text: impl Display) {
    let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    write(format_args!("{clear}  ✓ {text}\n"));
}

fn write(text: impl Display) {
    // The measurement continues if standard error is closed.
    write!(stderr(), "{text}").ok();
}
