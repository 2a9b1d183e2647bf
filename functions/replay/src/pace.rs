//! The pace of a replay. Pure.
//!
//! The rule: a replay never sends faster than its rate, not even to make up for lost time.

use std::time::Duration;

/// Steps per second, so that deliveries are spread over each second.
const STEPS_PER_SECOND: u32 = 5;
/// Maximum deliveries of a step; bounds memory.
const MAX_STEP: u32 = 200;

/// Deliveries per second, at least 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(u32);

impl Pace {
    pub(crate) fn of(rate_per_second: u32) -> Self {
        Self(rate_per_second.max(1))
    }

    /// Deliveries to read at a time.
    pub(crate) fn step(self) -> usize {
        (self.0 / STEPS_PER_SECOND).clamp(1, MAX_STEP) as usize
    }

    /// The time from the start of a step that sent `sent` deliveries to the start of the next one.
    pub(crate) fn time_of(self, sent: u64) -> Duration {
        Duration::from_millis((sent * 1000).div_ceil(u64::from(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_a_fifth_of_a_second_or_has_one_delivery() {
        for (rate, step, millis) in
            [(0, 1, 1000), (1, 1, 1000), (4, 1, 250), (10, 2, 200), (50, 10, 200), (1000, 200, 200)]
        {
            let pace = Pace::of(rate);
            assert_eq!(pace.step(), step, "{rate}");
            assert_eq!(pace.time_of(step as u64), Duration::from_millis(millis), "{rate}");
        }
    }

    #[test]
    fn what_is_left_out_takes_no_time() {
        assert_eq!(Pace::of(1).time_of(0), Duration::ZERO);
        assert_eq!(Pace::of(3).time_of(1), Duration::from_millis(334));
    }
}
