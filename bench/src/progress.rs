//! What the benchmark is doing, on standard error: one line at a terminal, rewritten at each step, and a line
//! for good whenever a section is done.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr};

/// A longer line would not be overwritten by the next.
const WIDTH: usize = 79;

/// Shows the current step, at a terminal only.
pub(crate) fn step(text: impl Display) {
    if stderr().is_terminal() {
        let line: String = format!("  … {text}").chars().take(WIDTH).collect();
        write(format_args!("\r\x1b[2K{line}"));
    }
}

/// Shows what is done.
pub(crate) fn done(text: impl Display) {
    let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    write(format_args!("{clear}  ✓ {text}\n"));
}

fn write(text: impl Display) {
    // A closed standard error is no reason to stop measuring.
    write!(stderr(), "{text}").ok();
}
