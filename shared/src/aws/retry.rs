//! Retrying a call.
//!
//! The rule: one loop per call. The repeated operation does not retry on its own, so tries do not multiply.

use std::time::Duration;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use tokio::time::sleep;

use super::{FIRST_BACKOFF, MAX_TRIES};

/// Repeats `operation` while it fails with an error that `is_retryable`. Sleeps for the next item of `backoff`
/// before each retry.
///
/// Makes one try more than there are waits: at most three with [`backoff`]. The operation must not retry on its
/// own. If it calls an SDK client, turn the client's retries off.
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

/// True if a call that failed with this AWS error code may succeed a moment later: the codes that the SDK
/// retries, and signature errors caused by a wrong clock. The response to such an error corrects the clock.
pub(crate) fn is_retryable_code(code: &str) -> bool {
    const WRONG_CLOCK: [&str; 3] =
        ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"];
    [THROTTLING_ERRORS, TRANSIENT_ERRORS, &WRONG_CLOCK].iter().any(|codes| codes.contains(&code))
}

/// The waits between the tries of a call: random, up to 100 ms and then up to 200 ms. Without randomness, calls
/// that fail together would fail together again.
pub(crate) fn backoff() -> impl Iterator<Item = Duration> {
    (0..MAX_TRIES - 1).map(|retry| random_part(FIRST_BACKOFF * 2_u32.pow(retry)))
}

/// A random part of a time.
pub(crate) fn random_part(longest: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(u32::MAX);
    longest.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of an operation that fails with these errors and then succeeds, and the number of tries.
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
    async fn tries_end_at_a_success_a_permanent_error_or_the_last_wait() {
        assert_eq!(tries(&[]).await, (Ok(()), 1));
        assert_eq!(tries(&["busy", "busy"]).await, (Ok(()), 3));
        assert_eq!(tries(&["busy", "wrong"]).await, (Err("wrong"), 2));
        assert_eq!(tries(&["busy"; 5]).await, (Err("busy"), 3));
    }

    #[test]
    fn the_waits_of_a_call_add_up_to_at_most_300_ms() {
        let waits: Vec<Duration> = backoff().collect();
        assert_eq!(waits.len(), 2);
        assert!(waits[0] <= Duration::from_millis(100) && waits[1] <= Duration::from_millis(200));
    }
}
