//! A share of a processor, as a container's quota gives it: so much in every 100 ms, and then nothing until the
//! next 100 ms begin.
//!
//! The rule: a process is stopped only from outside and goes on when the share is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::cpu_time;
use rustix::process::{Pid, Signal, kill_process};

/// The kernel's own period for such quotas.
const PERIOD: Duration = Duration::from_millis(100);
/// How often it is looked how much has been used.
const LOOK: Duration = Duration::from_millis(1);

/// A process that is held to its share, until this is dropped.
#[derive(Debug)]
pub struct Share {
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Share {
    /// Holds the process `pid` to this part of a processor, from 0 to 1.
    #[must_use]
    pub fn of(pid: u32, part: f64) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                while !ended.load(Ordering::Relaxed) {
                    period(pid, PERIOD.mul_f64(part));
                }
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

/// One period: the process runs until it has used up its quota.
fn period(pid: u32, quota: Duration) {
    let ends_at = Instant::now() + PERIOD;
    let used = || cpu_time(pid).unwrap_or_default();
    let begun = used();
    signal(pid, Signal::CONT);
    while Instant::now() < ends_at {
        if used().saturating_sub(begun) >= quota {
            signal(pid, Signal::STOP);
            thread::sleep(ends_at.saturating_duration_since(Instant::now()));
        } else {
            thread::sleep(LOOK);
        }
    }
    signal(pid, Signal::CONT);
}

fn signal(pid: u32, signal: Signal) {
    // A process that has ended needs no signal.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic, and has sent the last signal by then.
            thread.join().ok();
        }
    }
}
