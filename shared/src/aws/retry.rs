//! Trying a call again.
//!
//! The rule: one loop per call. What is repeated here does not repeat anything itself, so that tries do not multiply.

use std::time::Duration;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use tokio::time::sleep;

use super::{FIRST_BACKOFF, MAX_TRIES};

/// Repeats `operation` while it fails with an error that `is_retryable`, after each wait that `backoff` gives.
///
/// Makes at most one try more than there are waits: with [`backoff`], three. The operation must not retry by
/// itself; an SDK client in it has its own retries switched off.
pub(crate) async fn retry<T, E>(
    backoff: impl IntoIterator<Item = Duration>,
    is_retryable: impl Fn(&E) -> bool,
    mut operation: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    for wait in backoff {
        match operation().await {
            Err(error) if is_retryable(&error) => sleep(wait).await,
            result => return result,
        }
    }
    operation().await
}

/// Whether a call that AWS refused with this code may succeed a moment later: the SDK's own list, and a signature
/// that was made by a wrong clock, which the answer has corrected.
pub(crate) fn is_retryable_code(code: &str) -> bool {
    const WRONG_CLOCK: [&str; 3] =
        ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"];
    [THROTTLING_ERRORS, TRANSIENT_ERRORS, &WRONG_CLOCK].iter().any(|codes| codes.contains(&code))
}

/// The waits between the tries of a call: a random part of 100 ms, then of 200 ms. Calls that failed together
/// would fail together again if they all waited for the same time.
pub(crate) fn backoff() -> impl Iterator<Item = Duration> {
    (0..MAX_TRIES - 1).map(|retry| random_part(FIRST_BACKOFF * 2_u32.pow(retry)))
}

fn random_part(longest: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(u32::MAX);
    longest.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of an operation that fails with these errors and then succeeds, and how often it was tried.
    async fn tries(errors: &[&'static str]) -> (Result<(), &'static str>, usize) {
        let mut tried = 0;
        let waits = [Duration::ZERO; 2];
        let result = retry(
            waits,
            |error| *error == "busy",
            async || {
                tried += 1;
                errors.get(tried - 1).map_or(Ok(()), |error| Err(*error))
            },
        )
        .await;
        (result, tried)
    }

    #[tokio::test]
    async fn an_operation_is_tried_until_it_succeeds_or_fails_for_good_or_no_wait_is_left() {
        assert_eq!(tries(&[]).await, (Ok(()), 1));
        assert_eq!(tries(&["busy", "busy"]).await, (Ok(()), 3));
        assert_eq!(tries(&["busy", "wrong"]).await, (Err("wrong"), 2));
        assert_eq!(tries(&["busy"; 5]).await, (Err("busy"), 3));
    }

    #[test]
    fn a_call_waits_twice_and_at_most_300_ms_in_all() {
        let waits: Vec<Duration> = backoff().collect();
        assert_eq!(waits.len(), 2);
        assert!(waits[0] <= Duration::from_millis(100) && waits[1] <= Duration::from_millis(200));
    }
}
