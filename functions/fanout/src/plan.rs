//! Decides which messages follow from a record. Pure.
//!
//! The rule: every message keeps its record.

use std::collections::HashMap;

use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::event::Event;
use webhooks::id::TenantId;
use webhooks::queue::{OutgoingMessage, SendError};
use webhooks::store::StoreError;
use webhooks::webhook::Webhook;

use crate::change::ChangeError;
use crate::record::Record;

/// What to do for a record.
#[derive(Debug)]
pub(crate) enum Task {
    /// The record announces no event.
    Nothing,
    /// Send a delivery of this event to each webhook that subscribes to it.
    Deliver(Event),
    /// Park the record, because it cannot be processed.
    Park(FaultReason),
}

/// The webhooks of each tenant. A tenant whose webhooks could not be read has no entry.
pub(crate) type Subscribers = HashMap<TenantId, Vec<Result<Webhook, StoreError>>>;

/// Messages to send together.
#[derive(Debug, Default)]
pub(crate) struct Wave<'a> {
    /// For the delivery queue.
    pub(crate) deliveries: Vec<(Record<'a>, OutgoingMessage)>,
    /// For `PipelineFaultsQueue`.
    pub(crate) faults: Vec<Fault<'a>>,
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
}

/// The tenant's webhooks could not be read. The error is already logged.
#[derive(Debug)]
pub(crate) struct WebhooksUnknown;

impl<'a> Wave<'a> {
    /// Adds the messages that `task` asks for.
    pub(crate) fn add(
        &mut self,
        record: Record<'a>,
        task: Task,
        subscribers: &Subscribers,
    ) -> Result<(), WebhooksUnknown> {
        match task {
            Task::Nothing => {}
            Task::Park(reason) => {
                self.faults.push(Fault { record, reason, text: record.json.get().to_owned() });
            }
            Task::Deliver(event) => {
                let webhooks = subscribers.get(&event.tenant_id).ok_or(WebhooksUnknown)?;
                for webhook in webhooks {
                    self.add_delivery(record, &event, webhook);
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
    ) {
        let message = match webhook {
            Ok(webhook) if webhook.wants(event.name) => message(event, webhook),
            Ok(_) => return,
            Err(error) => Err(FaultReason::Webhook(chain(error))),
        };
        match message {
            Ok(message) => self.deliveries.push((record, message)),
            Err(reason) => {
                self.faults.push(Fault { record, reason, text: event.body.get().to_owned() });
            }
        }
    }

    /// The first record that has a message in the wave.
    pub(crate) fn first_record(&self) -> Option<Record<'a>> {
        let deliveries = self.deliveries.iter().map(|(record, _)| *record);
        let faults = self.faults.iter().map(|fault| fault.record);
        deliveries.chain(faults).min_by_key(|record| record.index)
    }
}

fn message(event: &Event, webhook: &Webhook) -> Result<OutgoingMessage, FaultReason> {
    let body =
        DeliveryMessage::new(event, webhook.id).to_json().map_err(FaultReason::Unwritable)?;
    // The group is the tenant and not the webhook. A tenant could have many webhooks, each too quiet for SQS to
    // treat its group as noisy.
    Ok(OutgoingMessage { group: Some(event.tenant_id), ..OutgoingMessage::new(body) })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_wave_begins_with_the_first_record_that_has_a_message() {
        let mut wave = Wave::default();
        let subscribers = Subscribers::new();
        let tasks = [Task::Nothing, Task::Park(FaultReason::Panic), Task::Park(FaultReason::Panic)];
        for (index, task) in tasks.into_iter().enumerate() {
            wave.add(Record { index, json: RawValue::NULL }, task, &subscribers).unwrap();
        }
        assert_eq!(wave.first_record().map(|record| record.index), Some(1));
        assert!(Wave::default().first_record().is_none());
    }
}
