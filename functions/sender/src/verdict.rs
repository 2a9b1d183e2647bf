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
pub struct Verdict {
    /// What the queues are told.
    pub step: Step,
    /// What the delivery log is told, if anything.
    pub log: Option<LogLine>,
    /// What the dead-letter queue is told, should the step lead there.
    pub why: DeadLetterReason,
}

/// What the delivery log is to say of a receive.
#[derive(Debug)]
pub struct LogLine {
    /// Where the delivery stands now.
    pub status: DeliveryStatus,
    /// The attempt that was made, if one was.
    pub attempt: Option<Attempt>,
    /// Why the delivery ended without success.
    pub reason: Option<String>,
}

impl LogLine {
    /// Whether this is all that there will ever be to say, so that it can be put without a read.
    #[must_use]
    pub fn is_immediate_success(&self) -> bool {
        self.status == DeliveryStatus::Delivered
            && self.attempt.as_ref().is_some_and(|attempt| attempt.number == 1)
    }

    /// The line as an entry about `message`, of now.
    #[must_use]
    pub fn entry(self, message: &DeliveryMessage) -> LogEntry<'_> {
        let Self { status, attempt, reason } = self;
        LogEntry { message, status, attempt, reason, at: Timestamp::now() }
    }
}

impl Verdict {
    /// The verdict on `message`, whose receive ended so.
    #[must_use]
    pub fn of(ending: Ending, receive: Receive, message: &DeliveryMessage) -> Self {
        match ending {
            Ending::Attempted { attempt, answer, policy } => {
                let step = after_attempt(answer, receive, policy);
                tell(&attempt, step, message);
                let status = step.status();
                Self {
                    step,
                    why: DeadLetterReason {
                        reason: attempt.error.clone().unwrap_or_default(),
                        status_code: attempt.status_code,
                        attempts: attempt.number,
                    },
                    log: Some(LogLine {
                        status,
                        reason: attempt.error.clone().filter(|_| status == DeliveryStatus::Failed),
                        attempt: Some(attempt),
                    }),
                }
            }
            Ending::Cancelled(reason) => {
                info!(delivery.id = %message.delivery_id, webhook.id = %message.webhook_config_id, reason, "a delivery is cancelled");
                Self {
                    step: Step::Acknowledge,
                    why: DeadLetterReason::default(),
                    log: Some(LogLine {
                        status: DeliveryStatus::Cancelled,
                        attempt: None,
                        reason: Some(reason.to_owned()),
                    }),
                }
            }
            Ending::Blocked(reason) => {
                let step = after_block(receive, Timestamp::now());
                error!(delivery.id = %message.delivery_id, webhook.id = %message.webhook_config_id, reason, ?step, "a delivery is held up by a fault of ours");
                let given_up = (step == Step::Fault).then(|| LogLine {
                    status: DeliveryStatus::Failed,
                    attempt: None,
                    reason: Some("an internal error kept the delivery from being made".to_owned()),
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
