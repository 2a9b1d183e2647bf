//! Carrying out a step: what the queues are told about one message.
//!
//! The rule: a message is acknowledged only when whatever takes its place is queued. What a queue refuses is a
//! fault of ours, and parked: to come back would only have it posted and refused again.

use std::time::Duration;

use tracing::{error, warn};
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::fault::{Origin, PipelineFault};
use webhooks::message::MessageJson;
use webhooks::queue::{OutgoingMessage, Queue, SendError};

use crate::received::{Received, Unreadable};
use crate::step::{MAX_RECEIVES, Step};

/// How long a message stays hidden whose step could not be carried out.
const UNSETTLED_DELAY: Duration = Duration::from_mins(1);

/// The queues that a message can go to.
#[derive(Debug)]
pub struct Queues {
    /// Deliveries to be made; also where the batch came from.
    pub deliveries: Queue,
    /// Deliveries that failed for good.
    pub dead_letters: Queue,
    /// What our operator has to look at.
    pub faults: Queue,
}

/// Why a delivery ends without success, as the dead-letter queue tells it.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterReason {
    /// For a person.
    pub reason: String,
    /// The endpoint's last answer, if there was one.
    pub status_code: Option<u16>,
    /// Attempts in all.
    pub attempts: u32,
}

impl Queues {
    /// Takes `step` for a delivery; whether the message may be acknowledged.
    pub async fn settle(
        &self,
        received: &Received,
        message: &DeliveryMessage,
        step: Step,
        why: DeadLetterReason,
    ) -> bool {
        let sent = match step {
            Step::Acknowledge => return true,
            Step::RetryAfter(delay) => return self.hide(received, delay).await,
            Step::Redrive => return self.hide(received, Duration::ZERO).await,
            Step::DeadLetter => match self.dead_letter(message, &why).await {
                Err(refused @ SendError::Refused(_)) => {
                    let reason =
                        format!("a dead letter cannot be queued: {refused} ({})", why.reason);
                    self.park(received, &reason, text(message)).await
                }
                sent => sent,
            },
            Step::Replace { attempts, delay, blocked_since } => {
                let copy = message.carrying(attempts, blocked_since);
                match self.send_copy(&copy, delay).await {
                    // Only hidden, it would go to the tenant's dead letters after its last receive.
                    Err(error) if is_final(&error, received) => {
                        let reason = format!("a copy cannot be queued: {error}");
                        self.park(received, &reason, text(message)).await
                    }
                    sent => sent,
                }
            }
            Step::Fault => self.park(received, &why.reason, text(message)).await,
        };
        self.acknowledge_if(sent, received).await
    }

    /// Parks a message that asks for no delivery; whether it may be acknowledged.
    pub async fn settle_unreadable(&self, received: &Received, unreadable: &Unreadable) -> bool {
        let sent = self.park(received, &unreadable.reason, unreadable.text.clone()).await;
        self.acknowledge_if(sent, received).await
    }

    async fn acknowledge_if(&self, sent: Result<(), SendError>, received: &Received) -> bool {
        match sent {
            Ok(()) => true,
            Err(error) => {
                error!(message.id = received.message_id, %error, "cannot move a message on");
                self.hide(received, UNSETTLED_DELAY).await
            }
        }
    }

    /// Always `false`: the message is not done with. When even this fails it comes back after the
    /// queue's own visibility timeout.
    async fn hide(&self, received: &Received, delay: Duration) -> bool {
        if let Err(error) = self.deliveries.hide(&received.receipt_handle, delay).await {
            error!(message.id = received.message_id, error = %chain(&error), "cannot set a message's visibility");
        }
        false
    }

    async fn send_copy(&self, copy: &DeliveryMessage, delay: Duration) -> Result<(), SendError> {
        self.deliveries.send(OutgoingMessage { delay, ..outgoing(copy) }).await
    }

    async fn dead_letter(
        &self,
        message: &DeliveryMessage,
        why: &DeadLetterReason,
    ) -> Result<(), SendError> {
        let status_code = why.status_code.map(|code| code.to_string()).unwrap_or_default();
        let attributes = vec![
            ("reason", why.reason.as_str().into()),
            ("status_code", status_code.into()),
            ("attempts", why.attempts.to_string().into()),
            ("delivery_id", message.delivery_id.to_string().into()),
            ("event_id", message.event_id.to_string().into()),
            ("event", message.event.as_str().into()),
            ("webhook_config_id", message.webhook_config_id.to_string().into()),
            ("tenant_id", message.tenant_id.to_string().into()),
        ];
        self.dead_letters.send(OutgoingMessage { attributes, ..outgoing(message) }).await
    }

    /// Parks `record`, or where the queue refuses that its placeholder.
    async fn park(
        &self,
        received: &Received,
        reason: &str,
        record: String,
    ) -> Result<(), SendError> {
        let message_id = received.message_id.clone();
        let fault = PipelineFault::new(Origin::Sender { message_id }, reason, record);
        let message = received.content.as_ref().ok();
        error!(
            message.id = received.message_id,
            delivery.id = message.map(|it| tracing::field::display(it.delivery_id)),
            webhook.id = message.map(|it| tracing::field::display(it.webhook_config_id)),
            tenant.id = message.map(|it| tracing::field::display(it.tenant_id)),
            reason = fault.reason(),
            "a message is parked in PipelineFaults"
        );
        match self.faults.send(fault.message()).await {
            Err(error @ SendError::Refused(_)) => {
                warn!(message.id = received.message_id, %error, "a placeholder is parked without the message");
                self.faults.send(fault.placeholder()).await
            }
            sent => sent,
        }
    }
}

/// Whether to receive the message once more would not help.
fn is_final(error: &SendError, received: &Received) -> bool {
    matches!(error, SendError::Refused(_)) || received.receive_count >= MAX_RECEIVES
}

fn outgoing(message: &DeliveryMessage) -> OutgoingMessage {
    OutgoingMessage { group: Some(message.tenant_id), ..OutgoingMessage::new(json(message)) }
}

fn text(message: &DeliveryMessage) -> String {
    json(message).into()
}

fn json(message: &DeliveryMessage) -> MessageJson {
    message.to_json().expect("a message that was read from JSON can be written as JSON")
}
