//! The bill for deliveries: amounts times prices. Pure.

use harness::Unit;

use super::case::Used;
use super::prices::{self, Price};

/// Bytes per post outside HTTP: TLS, TCP and IP, and the acknowledgement of the response.
const AROUND_A_POST: u64 = 130;
/// Bytes that DynamoDB adds to each row it stores.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
const AROUND_A_ROW: u64 = 100;

/// One line of a bill.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// The item that is paid for.
    pub name: &'static str,
    pub price: Price,
    amount: fn(&Used) -> f64,
}

/// Costs of making deliveries.
pub(super) const MAKING: [Line; 10] = [
    line("Lambda requests", prices::LAMBDA_REQUESTS, |used| {
        float(used.queueing.invocations + used.sender.invocations)
    }),
    line("Lambda time, fanout", prices::LAMBDA_GB_SECONDS, |used| used.queueing.gb_seconds()),
    line("Lambda time, sender", prices::LAMBDA_GB_SECONDS, |used| used.sender.gb_seconds()),
    line("SQS requests", prices::SQS_REQUESTS, |used| float(used.aws.units(Unit::Queue))),
    line("SQS fairness", prices::SQS_FAIRNESS, |used| float(used.aws.units(Unit::Queue))),
    line("DynamoDB writes (the log)", prices::DYNAMODB_WRITES, |used| {
        float(used.aws.units(Unit::Write))
    }),
    line("DynamoDB reads", prices::DYNAMODB_READS, |used| float(used.aws.units(Unit::Read))),
    line("Secrets Manager calls", prices::SECRET_CALLS, |used| float(used.aws.units(Unit::Secret))),
    line("CloudWatch Logs (and metrics)", prices::LOGS, |used| {
        float(used.queueing.log_bytes + used.sender.log_bytes)
    }),
    line("data out to the internet", prices::DATA_OUT, bytes_out),
];

/// Costs of keeping deliveries in the log for a month.
pub(super) const KEEPING: [Line; 2] = [
    line("log for 30 days: storage", prices::DYNAMODB_STORAGE, bytes_kept),
    line("log for 30 days: point-in-time recovery", prices::DYNAMODB_RECOVERY, bytes_kept),
];

const fn line(name: &'static str, price: Price, amount: fn(&Used) -> f64) -> Line {
    Line { name, price, amount }
}

impl Line {
    /// Dollars for a million deliveries like these.
    pub(super) fn per_million(&self, used: &Used) -> f64 {
        self.price.of((self.amount)(used) * 1e6 / float(used.deliveries))
    }
}

/// Dollars for a million deliveries like these.
pub(super) fn per_million(lines: &[Line], used: &Used) -> f64 {
    lines.iter().map(|line| line.per_million(used)).sum()
}

/// Bytes sent from AWS to the endpoints.
pub(super) fn bytes_out(used: &Used) -> f64 {
    float(used.bytes_posted + used.posts * AROUND_A_POST)
}

fn bytes_kept(used: &Used) -> f64 {
    float(used.stored.bytes + used.stored.rows * AROUND_A_ROW)
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use harness::{Operation, Stored, Usage};

    use super::*;
    use crate::cost::environment::Compute;

    /// Ten deliveries in one batch, with round numbers.
    fn ten() -> Used {
        let mut aws = Usage::default();
        for (operation, units) in [
            (Operation::SendMessageBatch, 1),
            (Operation::ReceiveMessage, 1),
            (Operation::DeleteMessageBatch, 1),
            (Operation::BatchGetItem, 1),
            (Operation::BatchWriteItem, 10),
            (Operation::GetSecretValue, 1),
        ] {
            aws.add(operation, 0, 0, units);
        }
        let billed = Duration::from_millis(80);
        let sender = Compute { invocations: 1, billed, memory_mb: 256.0, log_bytes: 1000 };
        Used {
            deliveries: 10,
            posts: 10,
            aws,
            queueing: Compute::default(),
            sender,
            bytes_posted: 8_700,
            stored: Stored { rows: 10, bytes: 7_000 },
        }
    }

    fn assert_close(dollars: f64, expected: f64) {
        assert!((dollars - expected).abs() < 1e-9, "{dollars} instead of {expected}");
    }

    #[test]
    fn a_million_deliveries_cost_what_the_price_list_says() {
        let expected = [0.02, 0.0, 0.026_666_8, 0.12, 0.03, 0.625, 0.0125, 0.5, 0.05, 0.09];
        for (line, expected) in MAKING.iter().zip(expected) {
            assert_close(line.per_million(&ten()), expected);
        }
        assert_close(per_million(&MAKING, &ten()), expected.iter().sum());
    }

    #[test]
    fn a_stored_row_includes_the_bytes_that_dynamodb_adds() {
        // 800 bytes each: 0.8 GB for 0.25 and 0.20 dollars.
        assert_close(per_million(&KEEPING, &ten()), 0.36);
    }
}
