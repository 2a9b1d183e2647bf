//! How often AWS may be asked where nothing fails. Pure.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use harness::{Operation, Usage};

use super::case::Case;

/// Messages that one request to the queue may have.
const MESSAGES: usize = 10;
/// Bytes of a webhook's row, at most, and those that a read unit covers.
const ROW: usize = 400;
const READ_UNIT: usize = 4096;

/// Of each operation so many calls and so many units; operations that are not named may not be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget(BTreeMap<Operation, [usize; 2]>);

impl Budget {
    /// What `deliveries` deliveries may ask for in a case in which none fails.
    #[must_use]
    pub fn of(case: Case, deliveries: usize) -> Self {
        let events = deliveries / case.webhooks;
        let stream_batches = events.div_ceil(case.records);
        // Each tenant in a batch of the stream is read once, and all messages are sent together.
        let queries = stream_batches * case.tenants.min(case.records);
        let query_units = (case.webhooks * ROW).div_ceil(READ_UNIT);
        let messages = case.records.min(events) * case.webhooks;
        let sends = stream_batches * messages.div_ceil(MESSAGES);
        let batches = deliveries.div_ceil(case.batch);
        let webhooks = case.tenants * case.webhooks;
        let rows = webhooks.min(case.batch);
        let secrets = webhooks * case.environments.min(batches);
        Self(BTreeMap::from([
            (Operation::Query, [queries, queries * query_units]),
            (Operation::SendMessageBatch, [sends, sends]),
            (Operation::ReceiveMessage, [batches, batches]),
            (Operation::BatchGetItem, [batches, batches * rows]),
            (Operation::GetSecretValue, [secrets, secrets]),
            (Operation::BatchWriteItem, [batches, deliveries]),
            (Operation::DeleteMessageBatch, [batches, batches]),
        ]))
    }

    /// Whether `usage` keeps to it; the error names what does not.
    pub fn check(&self, usage: &Usage) -> Result<()> {
        let broken: Vec<String> = usage
            .iter()
            .filter_map(|(operation, used)| {
                let [calls, units] = self.0.get(&operation).copied().unwrap_or_default();
                let is_kept = used.calls <= calls as u64 && used.units <= units as u64;
                (!is_kept).then(|| {
                    format!(
                        "{operation:?} was called {} times for {} units, {calls} and {units} are the budget",
                        used.calls, used.units
                    )
                })
            })
            .collect();
        ensure!(broken.is_empty(), "more was asked of AWS than is needed: {}", broken.join("; "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::case::{FAN_OUT, HAPPY};

    fn usage(requests: &[(Operation, u64, u64)]) -> Usage {
        let mut usage = Usage::default();
        for &(operation, calls, units) in requests {
            for call in 0..calls {
                usage.add(operation, 0, 0, if call == 0 { units } else { 0 });
            }
        }
        usage
    }

    const OF_200: [(Operation, u64, u64); 7] = [
        (Operation::Query, 2, 2),
        (Operation::SendMessageBatch, 20, 20),
        (Operation::ReceiveMessage, 20, 20),
        (Operation::BatchGetItem, 20, 20),
        (Operation::GetSecretValue, 1, 1),
        (Operation::BatchWriteItem, 20, 200),
        (Operation::DeleteMessageBatch, 20, 20),
    ];

    #[test]
    fn a_delivery_may_cost_a_tenth_of_each_request_and_one_write() {
        Budget::of(HAPPY, 200).check(&usage(&OF_200)).unwrap();
    }

    #[test]
    fn one_call_or_unit_more_breaks_the_budget_and_is_named() {
        for (at, (operation, ..)) in OF_200.iter().enumerate() {
            for (calls, units) in [(1, 0), (0, 1)] {
                let mut more = OF_200;
                more[at].1 += calls;
                more[at].2 += units;
                let error = Budget::of(HAPPY, 200).check(&usage(&more)).unwrap_err().to_string();
                assert!(error.contains(&format!("{operation:?} was called")), "{error}");
                assert_eq!(error.matches("was called").count(), 1, "{error}");
            }
        }
    }

    #[test]
    fn an_operation_that_nobody_needs_breaks_the_budget() {
        let odd = usage(&[(Operation::GetItem, 1, 1)]);
        assert!(Budget::of(HAPPY, 200).check(&odd).is_err());
    }

    #[test]
    fn an_event_for_ten_webhooks_is_one_send_and_its_tenant_is_read_once_a_batch() {
        let budget = Budget::of(FAN_OUT, 1000);
        assert_eq!(budget.0[&Operation::Query], [1, 1]);
        assert_eq!(budget.0[&Operation::SendMessageBatch], [100, 100]);
        assert_eq!(budget.0[&Operation::BatchGetItem], [100, 1000]);
        assert_eq!(budget.0[&Operation::GetSecretValue], [10, 10]);
    }
}
