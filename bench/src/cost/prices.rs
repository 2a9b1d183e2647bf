//! List prices of AWS in us-east-1 in dollars, as of November 2026, without free tier.
//!
//! The rule: prices are only in this file, and each group links its source.

use std::fmt;

/// A price in dollars per `units` units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    dollars: f64,
    units: f64,
    /// Name of that number of units, such as `million`.
    unit: &'static str,
}

impl Price {
    /// Dollars for `units` units.
    pub(super) fn of(self, units: f64) -> f64 {
        self.dollars * units / self.units
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.dollars, self.unit)
    }
}

const fn per_million(dollars: f64) -> Price {
    Price { dollars, units: 1e6, unit: "million" }
}

/// Per 10^9 bytes.
const fn per_gb(dollars: f64) -> Price {
    Price { dollars, units: 1e9, unit: "GB" }
}

const fn each(dollars: f64) -> Price {
    Price { dollars, units: 1.0, unit: "one" }
}

// <https://aws.amazon.com/lambda/pricing/>, on arm64.
pub(super) const LAMBDA_REQUESTS: Price = per_million(0.20);
pub(super) const LAMBDA_GB_SECONDS: Price =
    Price { dollars: 0.000_013_333_4, units: 1.0, unit: "GB-second" };

// <https://aws.amazon.com/sqs/pricing/>. The page does not say which requests cost more on a fair queue; we
// assume all of them.
pub(super) const SQS_REQUESTS: Price = per_million(0.40);
pub(super) const SQS_FAIRNESS: Price = per_million(0.10);

// <https://aws.amazon.com/dynamodb/pricing/on-demand/>. Storage is per month.
pub(super) const DYNAMODB_WRITES: Price = per_million(0.625);
pub(super) const DYNAMODB_READS: Price = per_million(0.125);
pub(super) const DYNAMODB_STORAGE: Price = per_gb(0.25);
pub(super) const DYNAMODB_RECOVERY: Price = per_gb(0.20);

// <https://aws.amazon.com/api-gateway/pricing/>, for HTTP APIs.
pub(super) const API_REQUESTS: Price = per_million(1.00);

// <https://aws.amazon.com/secrets-manager/pricing/>. Secrets are per month.
pub(super) const SECRET_CALLS: Price = Price { dollars: 0.05, units: 10_000.0, unit: "10,000" };
pub(super) const SECRETS: Price = each(0.40);

// <https://aws.amazon.com/cloudwatch/pricing/> and <https://aws.amazon.com/kms/pricing/>. Alarms, keys and
// metrics are per month, a metric only for the hours in which it is written.
pub(super) const LOGS: Price = per_gb(0.50);
pub(super) const METRICS: Price = each(0.30);
pub(super) const ALARMS: Price = each(0.10);
pub(super) const KEYS: Price = each(1.00);

// <https://aws.amazon.com/ec2/pricing/on-demand/>
pub(super) const DATA_OUT: Price = per_gb(0.09);

// <https://aws.amazon.com/eventbridge/pricing/>
pub(super) const EVENTS: Price = per_million(1.00);
pub(super) const API_DESTINATIONS: Price = per_million(0.20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_for_its_number_of_units() {
        let dollars = [SQS_REQUESTS.of(2.5e6), SECRET_CALLS.of(1.0), DATA_OUT.of(5e8)];
        for (dollars, expected) in dollars.into_iter().zip([1.0, 0.000_005, 0.045]) {
            assert!((dollars - expected).abs() < 1e-9, "{dollars}");
        }
        assert_eq!(LAMBDA_GB_SECONDS.to_string(), "0.0000133334 / GB-second");
    }
}
