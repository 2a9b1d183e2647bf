//! What the benchmark is doing, on standard error: one line, rewritten on a terminal.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr};

/// Shows what is being done now.
pub fn say(text: impl Display) {
    let (before, after) = if stderr().is_terminal() { ("\r\x1b[2K", "") } else { ("", "\n") };
    // Nobody reads it any more; that is no reason for the work to fail.
    write!(stderr(), "{before}  … {text}{after}").ok();
}

/// Ends the line.
pub fn end() {
    if stderr().is_terminal() {
        write!(stderr(), "\r\x1b[2K").ok();
    }
}
