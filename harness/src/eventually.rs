//! Waiting for what another process does.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a busy machine may take for anything.
const PATIENCE: Duration = Duration::from_mins(2);

/// Asks again and again until there is an answer; panics, naming `what`, when there is none for very long.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < give_up_at, "waited {PATIENCE:?} in vain for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
