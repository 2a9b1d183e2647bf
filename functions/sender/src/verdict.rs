//! From how a receive ended to everything that follows from it. Pure but for its log line.

use tracing::{debug, error, info, warn};
use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus};
use webhooks::retry::RetryPolicy;
use webhooks::store::deliveries::LogEntry;
use webhooks::timestamp::Timestamp;

use crate::attempt::Answer;
use crate::settle::DeadLetterReason;
use crate::step::{Receive, Step, after_attempt, after_block};

/// How a receive of a delivery message ended.
#[derive(Debug)]
pub enum Ending {
    /// An attempt was made.
    Attempted {
        /// What the log keeps of it.
        attempt: Attempt,
        /// What decides the next step.
        answer: Answer,
        /// How often the webhook wants to be tried.
        policy: RetryPolicy,
    },
    /// The tenant does not want it any more.
    Cancelled(&'static str),
    /// A fault of ours came before the attempt.
    Blocked(String),
}

/// What follows.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// What the queues are told.
    pub step: Step,
    /// What the delivery log is told, if anything.
    pub log: Option<LogEntry<'a>>,
    /// What the dead-letter queue is told, should the step lead there.
    pub why: DeadLetterReason,
}

impl<'a> Verdict<'a> {
    /// Whether there is nothing left to do about the message but to log what is all there will ever be to
    /// say of it.
    #[must_use]
    pub fn is_immediate_success(&self) -> bool {
        self.step == Step::Acknowledge
            && self.log.as_ref().is_some_and(LogEntry::is_immediate_success)
    }

    /// The verdict on `message`, whose receive ended so.
    #[must_use]
    pub fn of(ending: Ending, receive: Receive, message: &'a DeliveryMessage) -> Self {
        let now = Timestamp::now();
        let entry =
            |status, attempt, reason| LogEntry { message, status, attempt, reason, at: now };
        match ending {
            Ending::Attempted { attempt, answer, policy } => {
                let step = after_attempt(answer, receive, policy);
                tell(&attempt, step, message);
                let status = step.status();
                let reason = attempt.error.clone().filter(|_| status == DeliveryStatus::Failed);
                Self {
                    step,
                    why: DeadLetterReason {
                        reason: attempt.error.clone().unwrap_or_default(),
                        status_code: attempt.status_code,
                        attempts: attempt.number,
                    },
                    log: Some(entry(status, Some(attempt), reason)),
                }
            }
            Ending::Cancelled(reason) => {
                info!(delivery.id = %message.delivery_id, webhook.id = %message.webhook_config_id, reason, "a delivery is cancelled");
                Self {
                    step: Step::Acknowledge,
                    why: DeadLetterReason::default(),
                    log: Some(entry(DeliveryStatus::Cancelled, None, Some(reason.to_owned()))),
                }
            }
            Ending::Blocked(reason) => {
                let step = after_block(receive, now);
                error!(delivery.id = %message.delivery_id, webhook.id = %message.webhook_config_id, reason, ?step, "a delivery is held up by a fault of ours");
                let given_up = (step == Step::Fault).then(|| {
                    let reason = "an internal error kept the delivery from being made".to_owned();
                    entry(DeliveryStatus::Failed, None, Some(reason))
                });
                let why = DeadLetterReason { reason, ..DeadLetterReason::default() };
                Self { step, why, log: given_up }
            }
        }
    }
}

/// One line for each attempt. A success is told at debug level: its row and its metrics say the rest.
fn tell(attempt: &Attempt, step: Step, message: &DeliveryMessage) {
    macro_rules! line {
        ($level:ident, $sentence:literal) => {
            $level!(
                delivery.id = %message.delivery_id,
                webhook.id = %message.webhook_config_id,
                tenant.id = %message.tenant_id,
                event.name = %message.event,
                attempt.number = attempt.number,
                http.status = attempt.status_code,
                error = attempt.error,
                duration_ms = attempt.duration_ms,
                $sentence
            )
        };
    }
    match step.status() {
        DeliveryStatus::Delivered => line!(debug, "delivered"),
        DeliveryStatus::Failed => line!(warn, "the last attempt failed, the delivery is dead"),
        DeliveryStatus::Pending | DeliveryStatus::Cancelled => {
            line!(info, "an attempt failed, another will follow");
        }
    }
}
