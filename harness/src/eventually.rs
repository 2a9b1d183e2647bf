//! Waits for another process.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Calls `ask` until it returns a value. Panics with `what` after two minutes.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + TIMEOUT;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < give_up_at, "waited {TIMEOUT:?} for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
