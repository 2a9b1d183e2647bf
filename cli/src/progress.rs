//! What a command is doing, one line per task, on standard error.
//!
//! The rule: nothing that takes over two seconds is silent.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{IsTerminal, Write as _, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The width of a line that the next one overwrites: a terminal's usual 80 columns, less the cursor's.
const COLUMNS: usize = 79;

/// When a task begins to say that it is still going on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether tasks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// To a person.
    Shown,
    /// Not at all; errors say all there is to say.
    Silent,
}

/// Something that may take time.
#[derive(Debug)]
pub struct Task {
    title: &'static str,
    started: Instant,
    progress: Progress,
    /// What a program that works for this task said last.
    note: Mutex<String>,
    /// When the task has to say next that it is still going on.
    due: Mutex<Instant>,
}

impl Progress {
    /// Begins the task that `title` names, as in "building the functions".
    #[must_use]
    pub fn begin(self, title: &'static str) -> Task {
        let started = Instant::now();
        let due = Mutex::new(started + PATIENCE);
        Task { title, started, progress: self, note: Mutex::default(), due }
    }

    /// Shows something that is done.
    pub fn done(self, text: impl Display) {
        if self == Self::Shown {
            say(format_args!("  ✓ {text}\n"));
        }
    }
}

impl Task {
    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    /// Takes what a program says as the latest news.
    pub(crate) fn note(&self, line: &str) {
        line.trim().clone_into(&mut locked(&self.note));
    }

    /// Waits for `work`, showing how long that takes.
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
            say("\r\x1b[2K");
        }
        result
    }

    /// Ends the task with what it has brought.
    pub fn done(self, text: impl Display) {
        let took = self.started.elapsed();
        if took < PATIENCE {
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
            say(format_args!("\r\x1b[2K{}", fit(line)));
        } else {
            say(format_args!("{line}\n"));
        }
    }
}

/// As many whole words of `line` as fit into a terminal's line, with a sign where there are more.
fn fit(line: &str) -> Cow<'_, str> {
    let start_of = |number| line.char_indices().nth(number).map(|(start, _)| start);
    let (Some(_), Some(end)) = (start_of(COLUMNS), start_of(COLUMNS - 1)) else {
        return line.into();
    };
    let words = line[..end].rsplit_once(' ').map_or("", |(words, _)| words);
    format!("{} …", words.trim_end()).into()
}

/// Straight to standard error: the print macros' text is kept back by the test harness, and who runs the
/// tests waits as well.
fn say(text: impl Display) {
    // Nobody reads it any more; that is no reason for the work to fail.
    write!(stderr(), "{text}").ok();
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_fits_is_shown_whole() {
        let line = "é".repeat(COLUMNS);
        assert_eq!(fit(&line), line);
    }

    #[test]
    fn a_longer_line_ends_with_a_whole_word() {
        let words = "1234567 ".repeat(9);
        assert_eq!(fit(&format!("{words}12345678")), format!("{} …", words.trim_end()));
        assert_eq!(fit(&format!("{words}12345 more")), format!("{words}12345 …"));
    }
}
