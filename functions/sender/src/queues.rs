//! Carries out an [`Action`] on the queues.
//!
//! The rules: a message is acknowledged only after its replacement is queued. A message that a queue refuses is
//! parked. Receiving it again would only post it again, and the queue would refuse it again.

use std::time::Duration;

use webhooks::aws::chain;
use webhooks::batch::Unreadable;
use webhooks::delivery::DeliveryMessage;
use webhooks::fault::{Origin, PipelineFault};
use webhooks::queue::{OutgoingMessage, Queue, SendError};

use crate::Finished;
use crate::decision::{Action, BLOCKED_DELAY};
use crate::failure::Failure;
use crate::message::{Message, message_error};
use crate::reason::FaultReason;

/// How long a message stays hidden if its replacement cannot be queued.
const UNAPPLIED_DELAY: Duration = Duration::from_mins(1);
/// Why a delivery can be written as JSON.
const WRITABLE: &str = "a message parsed from JSON can be written as JSON";

/// The queues that a message can go to.
#[derive(Debug)]
pub(crate) struct Queues {
    /// The source of the batch.
    pub(crate) deliveries: Queue,
    /// Deliveries that failed for good.
    pub(crate) dead_letters: Queue,
    /// `PipelineFaultsQueue`, which the operator reads.
    pub(crate) faults: Queue,
}

impl Queues {
    /// Carries out `action` for a message and its delivery.
    pub(crate) async fn apply(
        &self,
        action: Action<'_>,
        message: &Message,
        delivery: &DeliveryMessage,
    ) -> Finished<'static> {
        let replaced = match action {
            Action::Acknowledge => return Finished::Acknowledged,
            Action::RetryAfter(delay) => return self.hide(message, delay).await,
            Action::Redrive => return self.hide(message, Duration::ZERO).await,
            Action::DeadLetter { failure, attempts } => {
                self.send_dead_letter(message, delivery, failure, attempts).await
            }
            Action::Requeue { attempts, delay } => {
                let copy = delivery.carrying(attempts, None);
                self.send_copy(message, delivery, &copy, delay).await
            }
            Action::Postpone { attempts, blocked_since, .. } => {
                let copy = delivery.carrying(attempts, Some(blocked_since));
                self.send_copy(message, delivery, &copy, BLOCKED_DELAY).await
            }
            Action::Park(reason) => self.send_fault(message, &reason, text(delivery)).await,
        };
        self.acknowledge_if(replaced, message).await
    }

    /// Parks a message whose body is not a delivery message.
    pub(crate) async fn park_unreadable(
        &self,
        message: &Message,
        unreadable: &Unreadable,
    ) -> Finished<'static> {
        let reason = FaultReason::Unreadable(&unreadable.error);
        let parked = self.send_fault(message, &reason, unreadable.body.clone()).await;
        self.acknowledge_if(parked, message).await
    }

    async fn acknowledge_if(
        &self,
        replaced: Result<Finished<'static>, SendError>,
        message: &Message,
    ) -> Finished<'static> {
        match replaced {
            Ok(finished) => finished,
            Err(error) => {
                message_error!(message, %error, "cannot queue the replacement of a message");
                self.hide(message, UNAPPLIED_DELAY).await
            }
        }
    }

    /// Hides the message for `delay`. If that fails, the queue's own visibility timeout applies.
    async fn hide(&self, message: &Message, delay: Duration) -> Finished<'static> {
        if let Err(error) = self.deliveries.hide(&message.receipt_handle, delay).await {
            message_error!(message, error = %chain(&error), "cannot change the visibility of a message");
        }
        Finished::Returned
    }

    async fn send_copy(
        &self,
        message: &Message,
        delivery: &DeliveryMessage,
        copy: &DeliveryMessage,
        delay: Duration,
    ) -> Result<Finished<'static>, SendError> {
        let sent = self.deliveries.send(OutgoingMessage { delay, ..outgoing(copy) }).await;
        // After its last receive, a hidden message would move to the dead-letter queue.
        let is_last = message.progress_of(delivery).is_last_receive();
        match sent {
            Err(error) if is_last || matches!(error, SendError::Refused(_)) => {
                let reason = FaultReason::CopyNotQueued(error);
                self.send_fault(message, &reason, text(delivery)).await
            }
            sent => sent.map(|()| Finished::Acknowledged),
        }
    }

    async fn send_dead_letter(
        &self,
        message: &Message,
        delivery: &DeliveryMessage,
        failure: Failure,
        attempts: u32,
    ) -> Result<Finished<'static>, SendError> {
        let status_code = failure.status_code().map(|code| code.to_string()).unwrap_or_default();
        let attributes = vec![
            ("reason", failure.to_string().into()),
            ("status_code", status_code.into()),
            ("attempts", attempts.to_string().into()),
            ("delivery_id", delivery.delivery_id.to_string().into()),
            ("event_id", delivery.event_id.to_string().into()),
            ("event", delivery.event.as_str().into()),
            ("webhook_config_id", delivery.webhook_config_id.to_string().into()),
            ("tenant_id", delivery.tenant_id.to_string().into()),
        ];
        match self.dead_letters.send(OutgoingMessage { attributes, ..outgoing(delivery) }).await {
            Err(refusal @ SendError::Refused(_)) => {
                let reason = FaultReason::DeadLetterRefused { refusal, failure };
                self.send_fault(message, &reason, text(delivery)).await
            }
            sent => sent.map(|()| Finished::Acknowledged),
        }
    }

    /// Sends `record` to `PipelineFaultsQueue`, or a placeholder if the queue refuses it.
    async fn send_fault(
        &self,
        message: &Message,
        reason: &FaultReason<'_>,
        record: String,
    ) -> Result<Finished<'static>, SendError> {
        let origin = Origin::Sender { message_id: message.id.clone() };
        let fault = PipelineFault::new(origin, &reason.to_string(), record);
        message_error!(message, reason = fault.reason(), "message parked in PipelineFaultsQueue");
        let sent = match self.faults.send(fault.message()).await {
            Err(error @ SendError::Refused(_)) => {
                message_error!(message, %error, "PipelineFaultsQueue refused the message; a placeholder is parked instead");
                self.faults.send(fault.placeholder()).await
            }
            sent => sent,
        };
        sent.map(|()| Finished::Parked)
    }
}

fn outgoing(delivery: &DeliveryMessage) -> OutgoingMessage {
    delivery.outgoing().expect(WRITABLE)
}

fn text(delivery: &DeliveryMessage) -> String {
    delivery.to_json().expect(WRITABLE).into()
}
