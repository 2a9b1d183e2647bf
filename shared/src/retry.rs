//! How often a delivery is tried, and the delay between attempts.

use std::time::Duration;

/// Maximum value of a webhook's `max_retries`.
pub const MAX_RETRIES_LIMIT: u8 = 10;

/// A webhook's retry settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// If false, each delivery gets one attempt.
    pub enabled: bool,
    /// Total number of attempts, 0 to [`MAX_RETRIES_LIMIT`]; 0 and 1 both mean one attempt.
    pub max_retries: u8,
}

impl RetryPolicy {
    /// Attempts per delivery, at least 1.
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

/// Delay after the failure of attempt `attempt` (from 1): 1, 2, 4, 8 s and so on, at most 1,024 s.
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
    fn the_longest_delay_is_within_the_sqs_message_delay() {
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
