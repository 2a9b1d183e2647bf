//! When a failed delivery is tried again.

use std::time::Duration;

/// The largest `max_retries` a webhook may have.
pub const MAX_RETRIES_LIMIT: u8 = 10;

/// A webhook's own say in how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Whether a failed attempt is followed by another at all.
    pub enabled: bool,
    /// Attempts in all, 0 to [`MAX_RETRIES_LIMIT`]; 0 and 1 both mean one attempt.
    pub max_retries: u8,
}

impl RetryPolicy {
    /// How many attempts a delivery gets, at least one.
    #[must_use]
    pub fn max_attempts(self) -> u32 {
        if self.enabled { u32::from(self.max_retries).max(1) } else { 1 }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { enabled: true, max_retries: 5 }
    }
}

/// The wait between the failure of attempt `attempt` (from 1) and the next: 1, 2, 4, 8 s and so on.
#[must_use]
pub fn delay_after(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.saturating_sub(1).min(u32::from(MAX_RETRIES_LIMIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_attempts_wait_1_2_4_and_8_seconds() {
        assert_eq!([1, 2, 3, 4].map(|n| delay_after(n).as_secs()), [1, 2, 4, 8]);
    }

    #[test]
    fn the_longest_wait_fits_the_delay_of_a_queue_message() {
        assert!(delay_after(u32::from(MAX_RETRIES_LIMIT) - 1).as_secs() <= 900);
    }

    #[test]
    fn zero_one_and_disabled_all_mean_one_attempt() {
        for (enabled, max_retries) in [(true, 0), (true, 1), (false, 5)] {
            assert_eq!(RetryPolicy { enabled, max_retries }.max_attempts(), 1);
        }
        assert_eq!(RetryPolicy::default().max_attempts(), 5);
    }
}
