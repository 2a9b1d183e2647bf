//! What the benchmark is doing, on standard error.
//!
//! The rule: a person at a terminal sees one line, rewritten at each step; a log gets a line every few
//! seconds, however short the steps are.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The least time between two lines of a log.
const PERIOD: Duration = Duration::from_secs(5);
/// Longer than a terminal's usual width, a line would not be overwritten by the next.
const WIDTH: usize = 79;

/// When a log got its last line.
static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Shows what is being done now.
pub fn say(text: impl Display) {
    let line: String = format!("  … {text}").chars().take(WIDTH).collect();
    if stderr().is_terminal() {
        write(format_args!("\r\x1b[2K{line}"));
    } else if is_due() {
        write(format_args!("{line}\n"));
    }
}

/// Shows for good what has been done.
pub fn done(text: impl Display) {
    let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    write(format_args!("{clear}  ✓ {text}\n"));
}

/// Whether a log may have another line; then it gets one.
fn is_due() -> bool {
    let Ok(mut last) = LAST.lock() else { return false };
    let is_due = last.is_none_or(|last| last.elapsed() >= PERIOD);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

fn write(text: impl Display) {
    // Nobody reads it any more; that is no reason for the work to fail.
    write!(stderr(), "{text}").ok();
}
