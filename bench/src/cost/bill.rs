//! What deliveries cost: amounts times prices. Pure.

use harness::Unit;

use super::case::Used;
use super::prices::{self, Price};

/// Bytes around each post that HTTP does not know of: TLS, TCP and IP, and the answer's acknowledgement.
pub const AROUND_A_POST: u64 = 130;
/// Bytes that DynamoDB adds to each row it stores.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
const AROUND_A_ROW: u64 = 100;

/// One line of a bill.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// What is paid for.
    pub name: &'static str,
    price: Price,
    amount: fn(&Used) -> f64,
}

/// What is paid for making deliveries.
pub const MAKING: [Line; 10] = [
    Line {
        name: "Lambda requests",
        price: prices::LAMBDA_REQUESTS,
        amount: |used| float(used.fanout.invocations + used.sender.invocations),
    },
    Line {
        name: "Lambda time, fanout",
        price: prices::LAMBDA_TIME,
        amount: |used| used.fanout.gb_seconds,
    },
    Line {
        name: "Lambda time, sender",
        price: prices::LAMBDA_TIME,
        amount: |used| used.sender.gb_seconds,
    },
    Line { name: "SQS requests", price: prices::SQS_REQUESTS, amount: queue_requests },
    Line { name: "SQS fairness", price: prices::SQS_FAIRNESS, amount: queue_requests },
    Line {
        name: "DynamoDB writes (the log)",
        price: prices::DYNAMODB_WRITES,
        amount: |used| float(used.aws.units(Unit::Write)),
    },
    Line {
        name: "DynamoDB reads",
        price: prices::DYNAMODB_READS,
        amount: |used| float(used.aws.units(Unit::Read)),
    },
    Line {
        name: "Secrets Manager calls",
        price: prices::SECRET_CALLS,
        amount: |used| float(used.aws.units(Unit::Secret)),
    },
    Line {
        name: "CloudWatch Logs",
        price: prices::LOGS,
        amount: |used| float(used.fanout.log_bytes + used.sender.log_bytes),
    },
    Line { name: "data out to the internet", price: prices::DATA_OUT, amount: bytes_out },
];

/// What is paid for keeping them in the log for a month.
pub const KEEPING: [Line; 2] = [
    Line { name: "storage", price: prices::DYNAMODB_STORAGE, amount: bytes_kept },
    Line { name: "point-in-time recovery", price: prices::DYNAMODB_RECOVERY, amount: bytes_kept },
];

impl Line {
    /// Dollars for a million deliveries like these.
    #[must_use]
    pub fn per_million(&self, used: &Used) -> f64 {
        self.price.of((self.amount)(used) * 1e6 / float(used.deliveries as u64))
    }
}

/// Dollars for a million deliveries like these.
#[must_use]
pub fn per_million(lines: &[Line], used: &Used) -> f64 {
    lines.iter().map(|line| line.per_million(used)).sum()
}

fn queue_requests(used: &Used) -> f64 {
    float(used.aws.units(Unit::Queue))
}

/// Bytes that leave AWS for the endpoints.
#[must_use]
pub fn bytes_out(used: &Used) -> f64 {
    float(used.bytes_posted + used.posts * AROUND_A_POST)
}

/// Bytes that the log takes.
#[must_use]
pub fn bytes_kept(used: &Used) -> f64 {
    float(used.stored.bytes + used.stored.rows * AROUND_A_ROW)
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use harness::{Operation, Stored, Usage};

    use super::*;
    use crate::cost::environment::Compute;

    /// Ten deliveries in one batch, each second of Lambda and each byte a round number.
    fn ten() -> Used {
        let mut aws = Usage::default();
        for operation in
            [Operation::SendMessageBatch, Operation::ReceiveMessage, Operation::DeleteMessageBatch]
        {
            aws.add(operation, 0, 0, 1);
        }
        aws.add(Operation::BatchGetItem, 0, 0, 1);
        aws.add(Operation::BatchWriteItem, 0, 0, 10);
        aws.add(Operation::GetSecretValue, 0, 0, 1);
        let billed = Duration::from_millis(80);
        let compute = Compute { invocations: 1, billed, gb_seconds: 0.02, log_bytes: 1000 };
        Used {
            deliveries: 10,
            posts: 10,
            aws,
            fanout: Compute::default(),
            sender: compute,
            bytes_posted: 8_700,
            stored: Stored { rows: 10, bytes: 7_000 },
        }
    }

    #[test]
    fn a_million_deliveries_cost_what_the_price_list_says() {
        let used = ten();
        let dollars: Vec<(&str, f64)> =
            MAKING.iter().map(|line| (line.name, line.per_million(&used))).collect();
        let expected = [
            ("Lambda requests", 0.02),
            ("Lambda time, fanout", 0.0),
            ("Lambda time, sender", 0.026_666_8),
            ("SQS requests", 0.12),
            ("SQS fairness", 0.03),
            ("DynamoDB writes (the log)", 0.625),
            ("DynamoDB reads", 0.0125),
            ("Secrets Manager calls", 0.5),
            ("CloudWatch Logs", 0.05),
            ("data out to the internet", 0.09),
        ];
        for ((name, dollars), (expected_name, expected)) in dollars.into_iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert!((dollars - expected).abs() < 1e-9, "{name}: {dollars}");
        }
        let total: f64 = expected.iter().map(|(_, dollars)| dollars).sum();
        assert!((per_million(&MAKING, &used) - total).abs() < 1e-9);
    }

    #[test]
    fn a_row_is_kept_with_what_dynamodb_adds_to_it() {
        // 800 bytes each: 0.8 GB for 0.25 and 0.20 dollars.
        assert!((per_million(&KEEPING, &ten()) - 0.36).abs() < 1e-9);
    }
}
