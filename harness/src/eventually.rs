//! Waits for another process.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Calls `ask` until it returns a value. Panics with `what` after two minutes.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(TIMEOUT, what, ask).await
}

/// [`eventually`] with another time limit.
pub async fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let give_up_at = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < give_up_at, "waited {limit:?} for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
