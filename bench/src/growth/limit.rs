//! How much of AWS an operation may use when what it works on grows. Pure.

use harness::{Unit, Usage};

/// Messages that one request to the queue may have.
const MESSAGES: usize = 10;
/// Bytes by which requests of the same size differ: times and durations have more or fewer digits.
const DIGITS: u64 = 64;

/// What one operation used: requests to AWS, bytes of the requests' and the answers' bodies, read units and
/// write units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures(pub [u64; 4]);

/// What the figures are, in their order.
pub const NAMES: [&str; 4] = ["requests", "bytes", "read units", "write units"];

/// How an operation may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Not at all.
    Flat,
    /// As many requests, with bytes and units in proportion.
    Bytes,
    /// The same, and one request more for every ten.
    Batches,
}

impl Figures {
    /// What was counted.
    #[must_use]
    pub fn of(usage: &Usage) -> Self {
        let total = usage.total();
        let bytes = total.bytes_in + total.bytes_out;
        Self([total.calls, bytes, usage.units(Unit::Read), usage.units(Unit::Write)])
    }
}

impl Limit {
    /// What an operation may use at size `to` that used `figures` at size `from`.
    fn at(self, from: usize, Figures(figures): Figures, to: usize) -> Figures {
        let [requests, bytes, read_units, write_units] = figures;
        let times = |figure: u64| (figure * to as u64).div_ceil(from.max(1) as u64);
        let batches = (to.div_ceil(MESSAGES) - from.div_ceil(MESSAGES)) as u64;
        Figures(match self {
            Self::Flat => [requests, bytes + DIGITS, read_units, write_units],
            Self::Bytes => [requests, times(bytes), times(read_units), times(write_units)],
            Self::Batches => {
                [requests + batches, times(bytes), times(read_units), times(write_units)]
            }
        })
    }

    /// What is wrong with what an operation used at sizes that rise, in words.
    #[must_use]
    pub fn broken_by(self, sizes: &[usize], figures: &[Figures]) -> Option<String> {
        let (&from, &first) = (sizes.first()?, figures.first()?);
        sizes.iter().zip(figures).find_map(|(&size, &used)| {
            let limit = self.at(from, first, size);
            let at = (0..NAMES.len()).find(|&at| used.0[at] > limit.0[at])?;
            let [first, used, limit] = [first, used, limit].map(|it| it.0[at]);
            Some(format!(
                "{} grew from {first} at {from} to {used} at {size}, beyond {limit}",
                NAMES[at]
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Figures = Figures([2, 1000, 1, 1]);

    fn is_kept(limit: Limit, at_fifty: [u64; 4]) -> bool {
        limit.broken_by(&[1, 50], &[ONE, Figures(at_fifty)]).is_none()
    }

    #[test]
    fn what_is_flat_may_not_grow() {
        assert!(is_kept(Limit::Flat, [2, 1064, 1, 1]));
        for more in [[3, 1000, 1, 1], [2, 1065, 1, 1], [2, 1000, 2, 1], [2, 1000, 1, 2]] {
            assert!(!is_kept(Limit::Flat, more), "{more:?}");
        }
    }

    #[test]
    fn a_list_may_grow_in_bytes_and_not_in_requests() {
        assert!(is_kept(Limit::Bytes, [2, 50_000, 50, 1]));
        assert!(!is_kept(Limit::Bytes, [2, 50_001, 50, 1]));
        assert!(!is_kept(Limit::Bytes, [3, 50_000, 50, 1]));
    }

    #[test]
    fn fanout_may_send_one_request_for_ten_webhooks() {
        assert!(is_kept(Limit::Batches, [6, 1000, 1, 1]));
        assert!(!is_kept(Limit::Batches, [7, 1000, 1, 1]));
    }

    #[test]
    fn what_grows_is_said_with_its_sizes() {
        let figures = [ONE, ONE, Figures([9, 1000, 1, 1])];
        let words = Limit::Flat.broken_by(&[1, 10, 50], &figures);
        assert_eq!(words.unwrap(), "requests grew from 2 at 1 to 9 at 50, beyond 2");
    }
}
