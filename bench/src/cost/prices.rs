//! What AWS asks for what is counted here: list prices of us-east-1 in dollars, in November 2026, before any
//! free tier.
//!
//! The rule: no other file knows a price, and each has the page that says it.

/// One price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// What it is for.
    pub what: &'static str,
    /// What it is counted in.
    pub unit: &'static str,
    /// Dollars for [`Price::units`] of them.
    pub dollars: f64,
    /// For how many units the dollars are.
    pub units: f64,
    /// Where AWS says it.
    pub page: &'static str,
}

impl Price {
    /// Dollars for so many units.
    #[must_use]
    pub fn of(&self, units: f64) -> f64 {
        self.dollars * units / self.units
    }
}

const MILLION: f64 = 1e6;
/// Bytes of what is priced by the GB.
const GB: f64 = 1e9;
/// Hours of a month, as AWS's calculator has them.
const HOURS: f64 = 730.0;

const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const SQS: &str = "https://aws.amazon.com/sqs/pricing/";
const DYNAMODB: &str = "https://aws.amazon.com/dynamodb/pricing/on-demand/";
const SECRETS_MANAGER: &str = "https://aws.amazon.com/secrets-manager/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";
const EVENTBRIDGE: &str = "https://aws.amazon.com/eventbridge/pricing/";
const EC2: &str = "https://aws.amazon.com/ec2/pricing/on-demand/";
const EBS: &str = "https://aws.amazon.com/ebs/pricing/";
const VPC: &str = "https://aws.amazon.com/vpc/pricing/";
const RDS: &str = "https://aws.amazon.com/rds/postgresql/pricing/";
const KMS: &str = "https://aws.amazon.com/kms/pricing/";

macro_rules! prices {
    ($($(#[$doc:meta])* $name:ident = $what:literal, $dollars:literal for $units:expr, $unit:literal, $page:expr;)*) => {
        $(
            $(#[$doc])*
            pub const $name: Price = Price {
                what: $what,
                unit: $unit,
                dollars: $dollars,
                units: $units,
                page: $page,
            };
        )*

        /// All of them.
        pub const ALL: &[Price] = &[$($name),*];
    };
}

prices! {
    /// Of invocations.
    LAMBDA_REQUESTS = "Lambda requests", 0.20 for MILLION, "million", LAMBDA;
    /// Of GB-seconds on arm64.
    LAMBDA_TIME = "Lambda time on arm64", 0.000_013_333_4 for 1.0, "GB-second", LAMBDA;
    /// Of requests of up to 64 KB.
    SQS_REQUESTS = "SQS requests of 64 KB", 0.40 for MILLION, "million", SQS;
    /// In addition, of requests whose messages have a group. The price list does not say of which
    /// requests; here it is taken to be of all.
    SQS_FAIRNESS = "SQS fair queue, on top", 0.10 for MILLION, "million", SQS;
    /// Of units of 1 KB.
    DYNAMODB_WRITES = "DynamoDB write units", 0.625 for MILLION, "million", DYNAMODB;
    /// Of units of 4 KB, read consistently.
    DYNAMODB_READS = "DynamoDB read units", 0.125 for MILLION, "million", DYNAMODB;
    /// Of bytes kept for a month.
    DYNAMODB_STORAGE = "DynamoDB storage", 0.25 for GB, "GB and month", DYNAMODB;
    /// Of bytes kept for a month, for tables that can be restored to any second.
    DYNAMODB_RECOVERY = "DynamoDB point-in-time recovery", 0.20 for GB, "GB and month", DYNAMODB;
    /// Of calls.
    SECRET_CALLS = "Secrets Manager calls", 0.05 for 10_000.0, "10,000", SECRETS_MANAGER;
    /// Of secrets kept for a month.
    SECRETS = "Secrets Manager secrets", 0.40 for 1.0, "secret and month", SECRETS_MANAGER;
    /// Of bytes written.
    LOGS = "CloudWatch Logs", 0.50 for GB, "GB", CLOUDWATCH;
    /// Of alarms on one metric each.
    ALARMS = "CloudWatch alarms", 0.10 for 1.0, "alarm and month", CLOUDWATCH;
    /// Of keys.
    KEYS = "KMS keys", 1.00 for 1.0, "key and month", KMS;
    /// Of bytes that leave AWS.
    DATA_OUT = "data out to the internet", 0.09 for GB, "GB", EC2;
    /// Of events put on a bus, of up to 64 KB.
    EVENTS = "EventBridge custom events", 1.00 for MILLION, "million", EVENTBRIDGE;
    /// Of events posted to an endpoint.
    API_DESTINATIONS = "EventBridge API destinations", 0.20 for MILLION, "million", EVENTBRIDGE;
    /// Of months.
    SERVER = "EC2 t4g.small", 0.016_8 for 1.0 / HOURS, "hour", EC2;
    /// Of bytes kept for a month.
    SERVER_DISK = "EBS gp3", 0.08 for GB, "GB and month", EBS;
    /// Of months.
    ADDRESS = "public IPv4 address", 0.005 for 1.0 / HOURS, "hour", VPC;
    /// Of months.
    DATABASE = "RDS PostgreSQL db.t4g.micro, one zone", 0.016 for 1.0 / HOURS, "hour", RDS;
    /// Of bytes kept for a month.
    DATABASE_DISK = "RDS gp3", 0.115 for GB, "GB and month", RDS;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_price_is_for_its_number_of_units() {
        assert!(close(SQS_REQUESTS.of(2.5e6), 1.0));
        assert!(close(SECRET_CALLS.of(1.0), 0.000_005));
        assert!(close(DATA_OUT.of(5e8), 0.045));
    }

    #[test]
    fn a_server_is_paid_for_every_hour_of_a_month() {
        assert!(close(SERVER.of(1.0), 12.264));
    }

    #[test]
    fn every_price_names_a_page_of_aws() {
        for price in ALL {
            assert!(price.page.starts_with("https://aws.amazon.com/"), "{}", price.what);
            assert!(price.page.ends_with('/') && price.dollars > 0.0, "{}", price.what);
        }
    }
}
