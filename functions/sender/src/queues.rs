//! Carrying out an [`Action`]: what the queues are told about one message.
//!
//! The rules: a message is acknowledged only after whatever replaces it is queued. A message that a queue refuses
//! is parked, since receiving it again would only post it again and have it refused again.

use std::time::Duration;

use tracing::{error, field, warn};
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::fault::{Origin, PipelineFault};
use webhooks::message::MessageJson;
use webhooks::queue::{OutgoingMessage, Queue, SendError};

use crate::Finished;
use crate::decision::{Action, BLOCKED_DELAY, MAX_RECEIVES};
use crate::failure::Failure;
use crate::message::{Message, Unreadable};
use crate::reason::FaultReason;

/// How long a message stays hidden after a queue did not take what should replace it.
const UNAPPLIED_DELAY: Duration = Duration::from_mins(1);

/// The queues that a message can go to.
#[derive(Debug)]
pub(crate) struct Queues {
    /// Where the batch came from.
    pub(crate) deliveries: Queue,
    /// Deliveries that failed for good.
    pub(crate) dead_letters: Queue,
    /// `PipelineFaults`, for the operator.
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
        let moved = match action {
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
        self.acknowledge_if(moved, message).await
    }

    /// Parks a message that is not a delivery message.
    pub(crate) async fn park_unreadable(
        &self,
        message: &Message,
        unreadable: &Unreadable,
    ) -> Finished<'static> {
        let reason = FaultReason::Unreadable(&unreadable.error);
        let moved = self.send_fault(message, &reason, unreadable.body.clone()).await;
        self.acknowledge_if(moved, message).await
    }

    async fn acknowledge_if(
        &self,
        moved: Result<(), SendError>,
        message: &Message,
    ) -> Finished<'static> {
        match moved {
            Ok(()) => Finished::Acknowledged,
            Err(error) => {
                error!(message.id = message.id, %error, "cannot move a message on");
                self.hide(message, UNAPPLIED_DELAY).await
            }
        }
    }

    /// Hides the message for `delay`. If even this fails, the queue's own visibility timeout holds.
    async fn hide(&self, message: &Message, delay: Duration) -> Finished<'static> {
        if let Err(error) = self.deliveries.hide(&message.receipt_handle, delay).await {
            error!(message.id = message.id, error = %chain(&error), "cannot set a message's visibility");
        }
        Finished::Returned
    }

    async fn send_copy(
        &self,
        message: &Message,
        delivery: &DeliveryMessage,
        copy: &DeliveryMessage,
        delay: Duration,
    ) -> Result<(), SendError> {
        let sent = self.deliveries.send(OutgoingMessage { delay, ..outgoing(copy) }).await;
        // After its last receive a hidden message would go to the tenant's dead letters.
        let is_last = message.receive_count >= MAX_RECEIVES;
        match sent {
            Err(error) if is_last || matches!(error, SendError::Refused(_)) => {
                let reason = FaultReason::CopyNotQueued(error);
                self.send_fault(message, &reason, text(delivery)).await
            }
            sent => sent,
        }
    }

    async fn send_dead_letter(
        &self,
        message: &Message,
        delivery: &DeliveryMessage,
        failure: Failure,
        attempts: u32,
    ) -> Result<(), SendError> {
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
            sent => sent,
        }
    }

    /// Sends `record` to `PipelineFaults`, or its placeholder if the queue refuses it.
    async fn send_fault(
        &self,
        message: &Message,
        reason: &FaultReason<'_>,
        record: String,
    ) -> Result<(), SendError> {
        let origin = Origin::Sender { message_id: message.id.clone() };
        let fault = PipelineFault::new(origin, &reason.to_string(), record);
        let delivery = message.delivery.as_ref().ok();
        error!(
            message.id = message.id,
            delivery.id = delivery.map(|it| field::display(it.delivery_id)),
            webhook.id = delivery.map(|it| field::display(it.webhook_config_id)),
            tenant.id = delivery.map(|it| field::display(it.tenant_id)),
            reason = fault.reason(),
            "a message is parked in PipelineFaults"
        );
        match self.faults.send(fault.message()).await {
            Err(error @ SendError::Refused(_)) => {
                warn!(message.id = message.id, %error, "a placeholder is parked without the message");
                self.faults.send(fault.placeholder()).await
            }
            sent => sent,
        }
    }
}

fn outgoing(delivery: &DeliveryMessage) -> OutgoingMessage {
    OutgoingMessage { group: Some(delivery.tenant_id), ..OutgoingMessage::new(json(delivery)) }
}

fn text(delivery: &DeliveryMessage) -> String {
    json(delivery).into()
}

fn json(delivery: &DeliveryMessage) -> MessageJson {
    delivery.to_json().expect("a message that was read from JSON can be written as JSON")
}
