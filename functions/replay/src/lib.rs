//! Replay: sends past deliveries of a webhook again, one slice of a replay per message.
//!
//! The rules: a message is acknowledged only after the message of the next slice is queued, or the replay has ended.
//! Whatever ends an invocation, the message comes back, and the slice goes on after its last noted progress.
//!
//! This file takes a message (`message`), claims its slice and queues the next message. `slice` does the slice: it reads
//! the deliveries at the replay's `pace`, and `send` starts their chains and queues them. What to do with a message and
//! with a delivery is decided in `webhooks::replay`.

mod config;
mod message;
mod pace;
mod send;
mod slice;

use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use tokio::time::timeout_at;
use tracing::{debug, error};
use webhooks::aws::{CALL_TIMEOUT, chain};
use webhooks::batch::{BatchResponse, NotABatch, done_by, parse_messages};
use webhooks::fault::{Origin, PipelineFault};
use webhooks::id::ClaimId;
use webhooks::metrics::{Metric, Metrics, MetricsLog};
use webhooks::queue::{Queue, SendError};
use webhooks::replay::{Act, Replay, ReplayMessage};
use webhooks::store::{DeliveryLog, DynamoDb, ReplayStore, StoreError, WebhookStore};
use webhooks::timestamp::Timestamp;

use crate::message::Message;

pub use crate::config::Config;

/// Time reserved at the end of an invocation to give the claim up and to respond.
const RESPONSE_MARGIN: Duration = Duration::from_secs(1 + CALL_TIMEOUT.as_secs());
/// Time reserved before that for the last deliveries of a slice (read, start, queue), and to end it (note, queue). Of
/// the 30 seconds in template.yaml, 11 are left to send.
const SLICE_MARGIN: Duration = Duration::from_secs(5 * CALL_TIMEOUT.as_secs());

/// Logs a line about a replay, with its ids.
macro_rules! replay_line {
    ($level:ident, $replay:expr, $webhook:expr, $($fields_and_sentence:tt)+) => {{
        let webhook = $webhook;
        tracing::$level!(
            replay.id = %$replay,
            webhook.id = %webhook.webhook_id,
            tenant.id = %webhook.tenant_id,
            $($fields_and_sentence)+
        );
    }};
}
pub(crate) use replay_line;

/// The replay function with its clients.
#[derive(Debug)]
pub struct Replayer {
    webhooks: WebhookStore,
    replays: ReplayStore,
    log: DeliveryLog,
    deliveries: Queue,
    slices: Queue,
    faults: Queue,
    metrics_log: MetricsLog,
}

/// Why the queue must deliver the message again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SliceError {
    /// Another function holds the slice, or died with it.
    #[error("another function has claimed the slice")]
    Claimed,
    /// A table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message could not be queued.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The message of a slice cannot be written.
    #[error("the message of a slice cannot be written")]
    Encode(#[from] serde_json::Error),
    /// The slice did not end in time.
    #[error("the invocation's deadline was reached")]
    Deadline,
}

impl Replayer {
    /// Creates all AWS clients from `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: Config) -> Self {
        let sqs = aws_sdk_sqs::Client::new(sdk);
        let dynamodb = DynamoDb::new(sdk);
        let keep = config.keep_deliveries;
        Self {
            webhooks: WebhookStore::new(dynamodb.clone(), config.webhooks_table),
            replays: ReplayStore::new(dynamodb.clone(), config.replays_table, keep),
            log: DeliveryLog::new(dynamodb, config.deliveries_table, keep),
            deliveries: Queue::new(sqs.clone(), config.delivery_queue_url),
            slices: Queue::new(sqs.clone(), config.replay_queue_url),
            faults: Queue::new(sqs, config.pipeline_faults_queue_url),
            metrics_log: MetricsLog::new(config.metrics_namespace),
        }
    }

    /// Handles one invocation, which ends at `deadline`.
    pub async fn handle(
        &self,
        event: &[u8],
        deadline: SystemTime,
    ) -> Result<BatchResponse, NotABatch> {
        let mut response = BatchResponse::default();
        let mut metrics = Metrics::default();
        for Message { id, content } in parse_messages(event)? {
            let message = content.as_ref().ok().copied();
            let handled = match content {
                Ok(message) => self.drive(message, &mut metrics, deadline).await,
                Err(unreadable) => {
                    let reason = format!("not a replay message: {}", unreadable.error);
                    let parked = self.park(&id, &reason, unreadable.body).await;
                    metrics.add(Metric::Parked, parked.is_ok().into());
                    parked
                }
            };
            if let Err(error) = handled {
                let is_error = !matches!(error, SliceError::Claimed);
                metrics.add(Metric::SlicesInterrupted, (is_error && message.is_some()).into());
                log(&error, &id, message);
                response.add_failure(id);
            }
        }
        self.metrics_log.write(&metrics, Timestamp::now());
        Ok(response)
    }

    /// Does what the replay needs at this message.
    async fn drive(
        &self,
        message: ReplayMessage,
        metrics: &mut Metrics,
        deadline: SystemTime,
    ) -> Result<(), SliceError> {
        let Some(replay) = self.replays.get(message.webhook(), message.replay_id).await? else {
            replay_line!(
                warn,
                message.replay_id,
                message.webhook(),
                "message of a replay that does not exist"
            );
            return Ok(());
        };
        match replay.act_on(message.slice, Timestamp::now()) {
            Act::Claim => self.claim(&replay, metrics, deadline).await,
            Act::QueueNext => self.queue(&replay).await,
            Act::Wait => Err(SliceError::Claimed),
            Act::Drop => {
                replay_line!(
                    debug,
                    replay.replay_id,
                    replay.webhook,
                    slice = message.slice,
                    "nothing left to do"
                );
                Ok(())
            }
        }
    }

    /// Claims the current slice and does it.
    async fn claim(
        &self,
        replay: &Replay,
        metrics: &mut Metrics,
        deadline: SystemTime,
    ) -> Result<(), SliceError> {
        let claim = ClaimId::random();
        let claimed = self.replays.claim(replay, claim, Timestamp::now()).await?;
        let claimed = claimed.ok_or(SliceError::Claimed)?;
        let give_up_at = done_by(deadline, RESPONSE_MARGIN);
        let ends_at = done_by(deadline, RESPONSE_MARGIN + SLICE_MARGIN);
        let done = timeout_at(give_up_at, self.do_slice(&claimed, claim, metrics, ends_at)).await;
        let done = done.unwrap_or(Err(SliceError::Deadline));
        if done.is_err() {
            // Without this, the next receive would have to wait until the claim is a minute old.
            if let Err(error) = self.replays.release(&claimed, claim).await {
                let error = chain(&error);
                replay_line!(
                    warn,
                    replay.replay_id,
                    replay.webhook,
                    error,
                    "cannot release a slice"
                );
            }
        }
        done
    }

    /// Queues the message of the replay's current slice.
    async fn queue(&self, replay: &Replay) -> Result<(), SliceError> {
        Ok(self.slices.send(replay.message().outgoing()?).await?)
    }

    /// Sends a message that cannot be read to `PipelineFaultsQueue`, or a placeholder if the queue refuses it.
    async fn park(&self, id: &str, reason: &str, body: String) -> Result<(), SliceError> {
        let fault = PipelineFault::new(Origin::Replay { message_id: id.to_owned() }, reason, body);
        error!(message.id = id, reason = fault.reason(), "message parked in PipelineFaultsQueue");
        match self.faults.send(fault.message()).await {
            Err(SendError::Refused(_)) => Ok(self.faults.send(fault.placeholder()).await?),
            sent => Ok(sent?),
        }
    }
}

/// Logs why the queue keeps a message.
fn log(error: &SliceError, id: &str, message: Option<ReplayMessage>) {
    macro_rules! line {
        ($level:ident, $sentence:literal) => {
            $level!(
                message.id = id,
                replay.id = message.map(|it| display(it.replay_id)),
                webhook.id = message.map(|it| display(it.webhook_config_id)),
                tenant.id = message.map(|it| display(it.tenant_id)),
                slice = message.map(|it| it.slice),
                error = %chain(error),
                $sentence
            )
        };
    }
    if let SliceError::Claimed = error {
        line!(debug, "the queue keeps the message of a claimed slice");
    } else {
        line!(error, "slice interrupted; the queue will deliver its message again");
    }
}
