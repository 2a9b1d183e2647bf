//! Rate limits, counted per window of time in the webhooks table.
//!
//! The rule: each window has a row of its own, in a partition without webhooks. One conditional write both
//! checks and counts. DynamoDB deletes the row after the window ends.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{DynamoDb, StoreError, condition_failed};
use crate::aws::AwsError;
use crate::id::{KeyId, TenantId, WebhookId};
use crate::timestamp::Timestamp;

/// Rotations per day of one secret by one key. Secrets Manager keeps every version for 24 hours and allows
/// about a hundred versions, which is enough for several keys.
pub const ROTATIONS_PER_DAY: u32 = 20;

/// Tests of one webhook per minute.
pub const TESTS_PER_MINUTE: u32 = 10;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// Counts the uses of every limit.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    dynamodb: DynamoDb,
    table: String,
}

/// A limit, and what it applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests of a tenant that change something.
    Changes {
        /// The tenant that makes the requests.
        tenant: TenantId,
        /// Maximum requests per minute.
        per_minute: u32,
    },
    /// Rotations of a webhook's secret, [`ROTATIONS_PER_DAY`] for each key. Each key has its own limit, so that
    /// a leaked key cannot block the rotation after its revocation.
    Rotations {
        /// The webhook's owner.
        tenant: TenantId,
        /// The webhook whose secret is rotated.
        webhook: WebhookId,
        /// The API key of the request.
        key: KeyId,
    },
    /// Tests of a webhook, [`TESTS_PER_MINUTE`].
    Tests {
        /// The webhook's owner.
        tenant: TenantId,
        /// The webhook that is tested.
        webhook: WebhookId,
    },
}

/// Why [`RateLimiter::take`] failed.
#[derive(Debug, thiserror::Error)]
pub enum RateLimitError {
    /// The limit of the current window is reached.
    #[error("the limit is reached; the next window begins in {retry_after_seconds} s")]
    Exceeded {
        /// The limit that is reached.
        limit: Limit,
        /// Seconds until the window ends; at least 1.
        retry_after_seconds: u64,
    },
    /// The table could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RateLimiter {
    /// Counters in `table`. Its attribute `ttl` must be DynamoDB's time to live.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, table: String) -> Self {
        Self { dynamodb, table }
    }

    /// Counts one use of `limit` at `now`, or fails if the limit is reached.
    ///
    /// May count twice if the SDK retries a call whose response was lost.
    pub async fn take(&self, limit: Limit, now: Timestamp) -> Result<(), RateLimitError> {
        let window = Window::at(now, limit.window_seconds());
        let number = |number: u64| AttributeValue::N(number.to_string());
        let request = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.table)
            .key("tenant_id", AttributeValue::S(limit.partition()))
            .key("webhook_config_id", AttributeValue::S(window.start.to_string()))
            .update_expression("ADD #taken :one SET #ttl = :end")
            .condition_expression("attribute_not_exists(#taken) OR #taken < :limit")
            .expression_attribute_names("#taken", "taken")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":end", number(window.end))
            .expression_attribute_values(":limit", number(limit.allowed().into()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => {
                let retry_after_seconds = window.seconds_left(now);
                Err(RateLimitError::Exceeded { limit, retry_after_seconds })
            }
            Err(error) => Err(StoreError::from(AwsError::of("UpdateItem")(error)).into()),
        }
    }
}

impl Limit {
    fn allowed(self) -> u32 {
        match self {
            Self::Changes { per_minute, .. } => per_minute,
            Self::Rotations { .. } => ROTATIONS_PER_DAY,
            Self::Tests { .. } => TESTS_PER_MINUTE,
        }
    }

    fn window_seconds(self) -> u64 {
        match self {
            Self::Changes { .. } | Self::Tests { .. } => MINUTE,
            Self::Rotations { .. } => DAY,
        }
    }

    /// The partition key of the limit's rows. Tenant ids contain no `#`.
    fn partition(self) -> String {
        match self {
            Self::Changes { tenant, .. } => format!("changes#{tenant}"),
            Self::Rotations { tenant, webhook, key } => {
                format!("rotations#{tenant}#{webhook}#{key}")
            }
            Self::Tests { tenant, webhook } => format!("tests#{tenant}#{webhook}"),
        }
    }
}

/// A window in Unix seconds.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    start: u64,
    /// Exclusive.
    end: u64,
}

impl Window {
    fn at(now: Timestamp, seconds: u64) -> Self {
        let now = now.unix_millis() / 1000;
        let start = now - now % seconds;
        Self { start, end: start + seconds }
    }

    /// Rounded up, so that a client that waits this long is in the next window.
    fn seconds_left(&self, now: Timestamp) -> u64 {
        (self.end * 1000).saturating_sub(now.unix_millis()).div_ceil(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_when_the_next_begins() {
        for (now, start, left) in [
            ("2025-12-03T10:30:00Z", "2025-12-03T10:30:00Z", 60),
            ("2025-12-03T10:30:00.001Z", "2025-12-03T10:30:00Z", 60),
            ("2025-12-03T10:30:58.5Z", "2025-12-03T10:30:00Z", 2),
            ("2025-12-03T10:30:59.999Z", "2025-12-03T10:30:00Z", 1),
            ("2025-12-03T10:31:00Z", "2025-12-03T10:31:00Z", 60),
        ] {
            let at = |text| Timestamp::parse(text).unwrap();
            let start = at(start).unix_millis() / 1000;
            let window = Window::at(at(now), MINUTE);
            assert_eq!(window, Window { start, end: start + MINUTE });
            assert_eq!(window.seconds_left(at(now)), left, "{now}");
        }
    }

    #[test]
    fn each_tenant_webhook_and_key_has_its_own_counter() {
        let (tenant, webhook) = (TenantId::random(), WebhookId::random());
        let mut partitions = vec![tenant.to_string()];
        for tenant in [tenant, TenantId::random()] {
            partitions.push(Limit::Changes { tenant, per_minute: 1 }.partition());
        }
        for webhook in [webhook, WebhookId::random()] {
            partitions.push(Limit::Tests { tenant, webhook }.partition());
            for key in [KeyId::random(), KeyId::random()] {
                partitions.push(Limit::Rotations { tenant, webhook, key }.partition());
            }
        }
        let count = partitions.len();
        partitions.sort_unstable();
        partitions.dedup();
        assert_eq!(partitions.len(), count);
    }
}
