//! Random numbers that are the same in every run: `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>.

use std::time::Duration;

/// A generator with its state, which starts as the seed.
pub(crate) struct Random(pub u64);

impl Random {
    /// Any number, uniformly.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A uniform duration from the shortest to just below the longest.
    pub(super) fn between(&mut self, (shortest, longest): (Duration, Duration)) -> Duration {
        shortest + longest.saturating_sub(shortest).mul_f64(self.fraction())
    }

    /// The time until the next of independent events that occur every `mean` on average.
    pub(super) fn wait(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.fraction()).ln())
    }

    /// A uniform number from 0 to just below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
    fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

mod tests {
    use super::*;

    #[test]
    fn the_first_random_numbers_match_the_reference() {
        let mut random = Random(1_234_567);
        let first = [(); 3].map(|()| random.number());
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn the_average_wait_is_the_mean() {
        let mut random = Random(1);
        let total: Duration = (0..10_000).map(|_| random.wait(Duration::from_secs(2))).sum();
        assert!((19_500..20_500).contains(&total.as_secs()), "{total:?}");
    }
}
