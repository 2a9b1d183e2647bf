//! Decides which messages and rows follow from a record. Pure: the time is an argument.
//!
//! The rule: every message and row keeps its record.

use std::collections::HashMap;
use std::time::Duration;

use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::event::Event;
use webhooks::id::TenantId;
use webhooks::queue::{OutgoingMessage, SendError};
use webhooks::store::StoreError;
use webhooks::store::deliveries::SkipError;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;
use webhooks::withheld::Withheld;

use crate::change::ChangeError;
use crate::record::Record;

/// What to do for a record.
#[derive(Debug)]
pub(crate) enum Task {
    /// The record announces no event.
    Nothing,
    /// Send a delivery of this event to each webhook that subscribes to it, or log it as skipped.
    Deliver(Event),
    /// Park the record, because it cannot be processed.
    Park(FaultReason),
}

/// The webhooks of each tenant. A tenant whose webhooks could not be read has no entry.
pub(crate) type Subscribers = HashMap<TenantId, Vec<Result<Webhook, StoreError>>>;

/// Decides whether an event of a webhook that gets no deliveries is logged as skipped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Skipping {
    pub(crate) now: Timestamp,
    /// How long events are logged, from when the webhook was switched off or began to need a test.
    pub(crate) limit: Duration,
}

impl Skipping {
    fn covers(self, since: Timestamp) -> bool {
        self.now.since(since) < self.limit
    }
}

/// Messages to send and rows to write together.
#[derive(Debug, Default)]
pub(crate) struct Wave<'a> {
    /// For the delivery queue.
    pub(crate) deliveries: Vec<(Record<'a>, OutgoingMessage)>,
    /// For the delivery log.
    pub(crate) skips: Vec<Skip<'a>>,
    /// Deliveries that are neither sent nor logged, because they have been withheld for too long.
    pub(crate) dropped: usize,
    /// For `PipelineFaultsQueue`.
    pub(crate) faults: Vec<Fault<'a>>,
}

/// A delivery to log as skipped.
#[derive(Debug)]
pub(crate) struct Skip<'a> {
    pub(crate) record: Record<'a>,
    pub(crate) message: DeliveryMessage,
    pub(crate) withheld: Withheld,
}

/// A whole record to park, or one of its deliveries.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) record: Record<'a>,
    pub(crate) reason: FaultReason,
    /// The record, event or message to park.
    pub(crate) text: String,
}

/// Why something is parked in `PipelineFaultsQueue`. The text includes the causes, because nothing else shows them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaultReason {
    /// The record cannot be processed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// Processing the record panicked. Standard error describes the panic.
    #[error("an internal error: see the log")]
    Panic,
    /// A webhook's row is malformed.
    #[error("{0}")]
    Webhook(String),
    /// A delivery message cannot be serialized.
    #[error("{}", chain(.0))]
    Unwritable(serde_json::Error),
    /// The delivery queue refuses the message for good.
    #[error(transparent)]
    Refused(SendError),
    /// The delivery log refuses the row of a skipped delivery for good.
    #[error("{}", chain(.0))]
    SkipRefused(SkipError),
}

/// The tenant's webhooks could not be read. The error is already logged.
#[derive(Debug)]
pub(crate) struct WebhooksUnknown;

impl<'a> Wave<'a> {
    /// Adds the messages and rows that `task` asks for.
    pub(crate) fn add(
        &mut self,
        record: Record<'a>,
        task: Task,
        subscribers: &Subscribers,
        skipping: Skipping,
    ) -> Result<(), WebhooksUnknown> {
        match task {
            Task::Nothing => {}
            Task::Park(reason) => {
                self.faults.push(Fault { record, reason, text: record.json.get().to_owned() });
            }
            Task::Deliver(event) => {
                let webhooks = subscribers.get(&event.tenant_id).ok_or(WebhooksUnknown)?;
                for webhook in webhooks {
                    if let Err(reason) = self.add_delivery(record, &event, webhook, skipping) {
                        let text = event.body.get().to_owned();
                        self.faults.push(Fault { record, reason, text });
                    }
                }
            }
        }
        Ok(())
    }

    fn add_delivery(
        &mut self,
        record: Record<'a>,
        event: &Event,
        webhook: &Result<Webhook, StoreError>,
        skipping: Skipping,
    ) -> Result<(), FaultReason> {
        let webhook = webhook.as_ref().map_err(|error| FaultReason::Webhook(chain(error)))?;
        if !webhook.events.contains(event.name) {
            return Ok(());
        }
        let message = DeliveryMessage::new(event, webhook.id);
        match webhook.withheld() {
            None => {
                let outgoing = message.outgoing().map_err(FaultReason::Unwritable)?;
                self.deliveries.push((record, outgoing));
            }
            Some((withheld, since)) if skipping.covers(since) => {
                self.skips.push(Skip { record, message, withheld });
            }
            Some(_) => self.dropped += 1,
        }
        Ok(())
    }

    /// Number of deliveries, skipped ones included.
    pub(crate) fn size(&self) -> usize {
        self.deliveries.len() + self.skips.len()
    }

    /// The first record that has a message or a row in the wave.
    pub(crate) fn first_record(&self) -> Option<Record<'a>> {
        let deliveries = self.deliveries.iter().map(|(record, _)| *record);
        let skips = self.skips.iter().map(|skip| skip.record);
        let faults = self.faults.iter().map(|fault| fault.record);
        deliveries.chain(skips).chain(faults).min_by_key(|record| record.index)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn skipping(limit: Duration) -> Skipping {
        Skipping { now: Timestamp::from_unix_millis(0).plus(100 * DAY), limit }
    }

    #[test]
    fn events_are_skipped_for_the_given_time_after_the_webhook_stops_getting_deliveries() {
        let covers = |limit: Duration, days: u32| {
            let at = Timestamp::from_unix_millis(0).plus(days * DAY);
            skipping(limit).covers(at)
        };
        assert!(covers(30 * DAY, 100));
        assert!(covers(30 * DAY, 71));
        assert!(!covers(30 * DAY, 70));
        // The clock of the function that switched it off can be ahead.
        assert!(covers(30 * DAY, 101));
        assert!(!covers(Duration::ZERO, 100) && !covers(Duration::ZERO, 101));
    }

    #[test]
    fn a_wave_begins_with_the_first_record_that_has_a_message() {
        let mut wave = Wave::default();
        let subscribers = Subscribers::new();
        let tasks = [Task::Nothing, Task::Park(FaultReason::Panic), Task::Park(FaultReason::Panic)];
        for (index, task) in tasks.into_iter().enumerate() {
            let record = Record { index, json: RawValue::NULL };
            wave.add(record, task, &subscribers, skipping(DAY)).unwrap();
        }
        assert_eq!(wave.first_record().map(|record| record.index), Some(1));
        assert!(Wave::default().first_record().is_none());
    }
}
