//! Carrying out a step: what the queues are told about one message.
//!
//! The rule: a message is acknowledged only when whatever takes its place is queued.

use std::time::Duration;

use tracing::error;
use webhooks::aws::{AwsError, chain};
use webhooks::delivery::DeliveryMessage;
use webhooks::fault::PipelineFault;
use webhooks::queue::{OutgoingMessage, Queue};

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
            Step::DeadLetter => self.dead_letter(message, why).await,
            Step::Replace { attempts, delay, blocked_since } => {
                let copy = message.carrying(attempts, blocked_since);
                match self.send_copy(&copy, delay).await {
                    // Only hidden, it would go to the tenant's dead letters after its last receive.
                    Err(error) if received.receive_count >= MAX_RECEIVES => {
                        let reason = format!("a copy cannot be queued: {}", chain(&error));
                        self.park(reason, text(message)).await
                    }
                    sent => sent,
                }
            }
            Step::Fault => self.park(why.reason, text(message)).await,
        };
        self.acknowledge_if(sent, received).await
    }

    /// Parks a message that asks for no delivery; whether it may be acknowledged.
    pub async fn settle_unreadable(&self, received: &Received, unreadable: &Unreadable) -> bool {
        let sent = self.park(unreadable.reason.clone(), unreadable.text.clone()).await;
        self.acknowledge_if(sent, received).await
    }

    async fn acknowledge_if(&self, sent: Result<(), AwsError>, received: &Received) -> bool {
        match sent {
            Ok(()) => true,
            Err(error) => {
                error!(message.id = received.message_id, error = %chain(&error), "cannot move a message on");
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

    async fn send_copy(&self, copy: &DeliveryMessage, delay: Duration) -> Result<(), AwsError> {
        let message = OutgoingMessage { delay, ..outgoing(copy) };
        self.deliveries.send(message).await
    }

    async fn dead_letter(
        &self,
        message: &DeliveryMessage,
        why: DeadLetterReason,
    ) -> Result<(), AwsError> {
        let status_code = why.status_code.map(|code| code.to_string()).unwrap_or_default();
        let attributes = vec![
            ("reason", why.reason),
            ("status_code", status_code),
            ("attempts", why.attempts.to_string()),
            ("delivery_id", message.delivery_id.to_string()),
            ("event_id", message.event_id.to_string()),
            ("event", message.event.to_string()),
            ("webhook_config_id", message.webhook_config_id.to_string()),
            ("tenant_id", message.tenant_id.to_string()),
        ];
        self.dead_letters.send(OutgoingMessage { attributes, ..outgoing(message) }).await
    }

    async fn park(&self, reason: String, record: String) -> Result<(), AwsError> {
        error!(reason, "a message is parked in PipelineFaults");
        let fault = PipelineFault { source: "sender", reason, record };
        self.faults.send(fault.into_message()).await
    }
}

fn outgoing(message: &DeliveryMessage) -> OutgoingMessage {
    OutgoingMessage {
        body: text(message),
        group: Some(message.webhook_config_id.to_string()),
        ..OutgoingMessage::default()
    }
}

fn text(message: &DeliveryMessage) -> String {
    message.to_json().expect("a message that was read from JSON can be written as JSON")
}
