//! What a command is doing, one line per step, on standard error.
//!
//! The rule: nothing that takes over two seconds is silent.

use std::fmt::Display;
use std::io::{IsTerminal, Write as _, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a step begins to say that it is still going on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether steps are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// To a person.
    Shown,
    /// Not at all; errors say all there is to say.
    Silent,
}

/// Something that may take time.
#[derive(Debug)]
pub struct Step {
    title: &'static str,
    started: Instant,
    steps: Steps,
    /// What a program that works for this step said last.
    note: Mutex<String>,
    /// When the step has to say next that it is still going on.
    due: Mutex<Instant>,
}

impl Steps {
    /// Begins the step that `title` names, as in "building the functions".
    #[must_use]
    pub fn begin(self, title: &'static str) -> Step {
        let started = Instant::now();
        let due = Mutex::new(started + PATIENCE);
        Step { title, started, steps: self, note: Mutex::default(), due }
    }

    /// Shows something that is done.
    pub fn done(self, text: impl Display) {
        if self == Self::Shown {
            say(format_args!("  ✓ {text}\n"));
        }
    }
}

impl Step {
    /// The step's name.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// Takes what a program says as the latest news.
    pub fn note(&self, line: &str) {
        line.trim().clone_into(&mut locked(&self.note));
    }

    /// Waits for `work`, showing how long that takes.
    pub async fn watch<F: Future>(&self, work: F) -> F::Output {
        if self.steps == Steps::Silent {
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

    /// Ends the step with what it has brought.
    pub fn done(self, text: impl Display) {
        let took = self.started.elapsed();
        if took < PATIENCE {
            self.steps.done(text);
        } else {
            self.steps.done(format_args!("{text} ({:.1} s)", took.as_secs_f64()));
        }
    }

    fn show(&self, on_terminal: bool) {
        let note = locked(&self.note);
        let line = format!("  … {} ({} s) {note}", self.title, self.started.elapsed().as_secs());
        // Longer than a terminal's usual width, it would not be overwritten by the next.
        let line: String = line.trim_end().chars().take(79).collect();
        if on_terminal {
            say(format_args!("\r\x1b[2K{line}"));
        } else {
            say(format_args!("{line}\n"));
        }
    }
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
