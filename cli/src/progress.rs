//! Shows the progress of a command on standard error, one line per task.
//!
//! The rule: a task that takes more than two seconds shows that it is running.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{IsTerminal, Write as _, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::style::GOOD;

/// Width of a progress line: a terminal's usual 80 columns, minus one for the cursor.
const COLUMNS: usize = 79;

/// When a task begins to show that it is running.
const FIRST_REPORT_AFTER: Duration = Duration::from_secs(2);

/// Whether tasks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Shown,
    Silent,
}

#[derive(Debug)]
pub struct Task {
    title: &'static str,
    started: Instant,
    progress: Progress,
    /// The last line of the program that runs for this task.
    note: Mutex<String>,
    /// Time of the next report.
    due: Mutex<Instant>,
}

impl Progress {
    /// Begins a task; `title` is a phrase such as "building the functions".
    #[must_use]
    pub fn begin(self, title: &'static str) -> Task {
        let started = Instant::now();
        let due = Mutex::new(started + FIRST_REPORT_AFTER);
        Task { title, started, progress: self, note: Mutex::default(), due }
    }

    /// Reports a completed task.
    pub fn done(self, text: impl Display) {
        if self == Self::Shown {
            // Continues even if standard error is closed.
            writeln!(anstream::stderr(), "  {GOOD}✓{GOOD:#} {text}").ok();
        }
    }
}

impl Task {
    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    /// Shows `line` beside the title from now on.
    pub(crate) fn note(&self, line: &str) {
        line.trim().clone_into(&mut locked(&self.note));
    }

    /// Waits for `work` and shows how long it takes.
    pub(crate) async fn watch<F: Future>(&self, work: F) -> F::Output {
        if self.progress == Progress::Silent {
            return work.await;
        }
        let on_terminal = stderr().is_terminal();
        let period = Duration::from_secs(if on_terminal { 1 } else { 15 });
        let mut work = std::pin::pin!(work);
        let mut shown = false;
        let result = loop {
            let due = *locked(&self.due);
            tokio::select! {
                result = &mut work => break result,
                () = tokio::time::sleep_until(due.into()) => self.show(on_terminal),
            }
            *locked(&self.due) = due + period;
            shown = on_terminal;
        };
        if shown {
            print("\r\x1b[2K");
        }
        result
    }

    /// Ends the task and reports its result.
    pub fn done(self, text: impl Display) {
        let took = self.started.elapsed();
        if took < FIRST_REPORT_AFTER {
            self.progress.done(text);
        } else {
            self.progress.done(format_args!("{text} ({:.1} s)", took.as_secs_f64()));
        }
    }

    fn show(&self, on_terminal: bool) {
        let note = locked(&self.note);
        let line = format!("  … {} ({} s) {note}", self.title, self.started.elapsed().as_secs());
        let line = line.trim_end();
        if on_terminal {
            print(format_args!("\r\x1b[2K{}", fit(line)));
        } else {
            print(format_args!("{line}\n"));
        }
    }
}

/// Cuts `line` after the last word that fits into a terminal's line, and adds an ellipsis.
fn fit(line: &str) -> Cow<'_, str> {
    let start_of = |number| line.char_indices().nth(number).map(|(start, _)| start);
    let (Some(_), Some(end)) = (start_of(COLUMNS), start_of(COLUMNS - 1)) else {
        return line.into();
    };
    let words = line[..end].rsplit_once(' ').map_or("", |(words, _)| words);
    format!("{} …", words.trim_end()).into()
}

/// Writes to standard error directly: the test harness captures the print macros, but the progress of a stack that
/// tests start must be visible.
fn print(text: impl Display) {
    // The task continues even if standard error is closed.
    write!(stderr(), "{text}").ok();
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_fits_is_not_cut() {
        let line = "é".repeat(COLUMNS);
        assert_eq!(fit(&line), line);
    }

    #[test]
    fn a_longer_line_is_cut_after_a_word() {
        let words = "1234567 ".repeat(9);
        assert_eq!(fit(&format!("{words}12345678")), format!("{} …", words.trim_end()));
        assert_eq!(fit(&format!("{words}12345 more")), format!("{words}12345 …"));
    }
}
