//! What repeated measurements of one figure say: the median, and how far apart they were.

use serde::Serialize;

/// The median and the extremes of some measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number the upper of the two.
    pub median: f64,
    /// The lowest, or the lower quartile.
    pub low: f64,
    /// The highest, or the upper quartile.
    pub high: f64,
}

impl Spread {
    /// Median, lowest and highest; `None` of nothing.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Self { median: values[values.len() / 2], low, high })
    }

    /// Median and quartiles, for many short measurements of which some meet an interruption.
    #[must_use]
    pub fn quartiles(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values.get(values.len() * quarter / 4).copied();
        Some(Self { low: at(1)?, median: at(2)?, high: at(3)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_measurements_does_not_matter() {
        let spread = Spread { median: 3.0, low: 1.0, high: 9.0 };
        assert_eq!(Spread::of(vec![9.0, 1.0, 3.0]), Some(spread));
    }

    #[test]
    fn nothing_has_no_spread() {
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::quartiles(vec![]), None);
    }
}
