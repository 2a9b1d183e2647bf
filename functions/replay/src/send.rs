//! Sends a few deliveries again: starts their chains, then queues their messages together.
//!
//! The rule: the cursor passes a delivery only after its message is queued, or when there is nothing to queue.

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;
use webhooks::aws::{CALL_TIMEOUT, chain};
use webhooks::id::DeliveryId;
use webhooks::queue::SendError;
use webhooks::redelivery::{NOT_QUEUED, outgoing};
use webhooks::replay::{Replay, Step};
use webhooks::store::StoreError;
use webhooks::store::deliveries::{DeliveryRow, DeliverySummary};
use webhooks::timestamp::Timestamp;

use crate::{Replayer, SliceError, replay_line};

/// Writes to the log in flight.
const CONCURRENT_STARTS: usize = 20;

/// Logs a line about a delivery of a replay, with the ids of both.
macro_rules! delivery_line {
    ($level:ident, $replay:expr, $delivery:expr, $($fields_and_sentence:tt)+) => {
        replay_line!(
            $level,
            $replay.replay_id,
            $delivery.webhook,
            delivery.id = %$delivery.delivery_id,
            delivery.chain = $delivery.chain,
            event.id = %$delivery.event_id,
            event.name = %$delivery.event,
            $($fields_and_sentence)+
        )
    };
}

/// What became of some deliveries.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Deliveries that were queued, up to the first failure.
    pub(crate) count: u64,
    /// The first failure, and the last delivery before it.
    pub(crate) failure: Option<(Option<DeliveryId>, SliceError)>,
}

/// What is left to do for one delivery.
enum Started {
    /// Queue the message of the row's chain.
    Queue(Box<DeliveryRow>),
    /// An earlier try of this slice has queued it.
    Queued,
    /// Nothing: the replay leaves it out.
    LeftOut,
}

impl Replayer {
    /// Sends what the replay selects of these deliveries, which are in the order of their ids.
    pub(crate) async fn send(&self, replay: &Replay, deliveries: &[DeliverySummary]) -> Sent {
        let started: Vec<_> = stream::iter(deliveries)
            .map(|delivery| self.start(replay, delivery))
            .buffered(CONCURRENT_STARTS)
            .collect()
            .await;
        let mut queued = self.queue_all(&started).await.into_iter();
        let mut sent = Sent { count: 0, failure: None };
        let mut done = None;
        for (delivery, started) in deliveries.iter().zip(started) {
            let result = match started {
                Ok(Started::Queue(row)) => match queued.next() {
                    Some(Err(SendError::Refused(reason))) => {
                        self.give_up(replay, &row.summary, &reason).await;
                        Ok(0)
                    }
                    Some(Err(error)) => Err(error.into()),
                    Some(Ok(())) | None => {
                        delivery_line!(debug, replay, &row.summary, "delivery queued again");
                        Ok(1)
                    }
                },
                Ok(Started::Queued) => Ok(1),
                Ok(Started::LeftOut) => Ok(0),
                Err(error) => Err(error.into()),
            };
            // What follows a failure is queued already. The next try of the slice finds and counts it.
            if sent.failure.is_some() {
                continue;
            }
            match result {
                Ok(count) => {
                    sent.count += count;
                    done = Some(delivery.delivery_id);
                }
                Err(error) => sent.failure = Some((done, error)),
            }
        }
        sent
    }

    /// Queues the messages of the started chains. Returns a result for each, in order.
    async fn queue_all(
        &self,
        started: &[Result<Started, StoreError>],
    ) -> Vec<Result<(), SendError>> {
        let rows = started.iter().filter_map(|started| match started {
            Ok(Started::Queue(row)) => Some(row),
            _ => None,
        });
        let messages: Vec<_> = rows.map(|row| outgoing(row)).collect();
        let sendable: Vec<_> = messages.iter().flatten().cloned().collect();
        let give_up_at = Instant::now() + CALL_TIMEOUT;
        let mut results = self.deliveries.send_all(&sendable, give_up_at).await.into_iter();
        let unsent = || SendError::Unavailable("the queue gave no result".to_owned());
        messages
            .into_iter()
            .map(|message| match message {
                Ok(_) => results.next().unwrap_or_else(|| Err(unsent())),
                Err(error) => Err(SendError::Refused(chain(&error))),
            })
            .collect()
    }

    /// Starts the delivery's next chain, or finds the one that this replay has started.
    async fn start(&self, replay: &Replay, seen: &DeliverySummary) -> Result<Started, StoreError> {
        match self.try_start(replay, seen).await {
            Err(error @ (StoreError::CorruptRow { .. } | StoreError::Encode(_))) => {
                delivery_line!(
                    error,
                    replay,
                    seen,
                    error = %chain(&error),
                    "a delivery cannot be read and is left out of a replay"
                );
                Ok(Started::LeftOut)
            }
            started => started,
        }
    }

    async fn try_start(
        &self,
        replay: &Replay,
        seen: &DeliverySummary,
    ) -> Result<Started, StoreError> {
        let now = Timestamp::now();
        let start = async |seen| {
            let started = self.log.start_chain(seen, Some(replay.replay_id), now).await?;
            Ok::<_, StoreError>(started.map(|row| Started::Queue(Box::new(row))))
        };
        match replay.step(seen, now) {
            Step::LeaveOut => return Ok(Started::LeftOut),
            Step::Count => return Ok(Started::Queued),
            Step::QueueAgain => {}
            Step::Send => {
                if let Some(started) = start(seen).await? {
                    return Ok(started);
                }
            }
        }
        // The index can be behind the table, and the SDK may have repeated a start that succeeded.
        let Some(row) = self.log.get(seen.webhook, seen.delivery_id).await? else {
            return Ok(Started::LeftOut);
        };
        Ok(match replay.step(&row.summary, now) {
            Step::LeaveOut => Started::LeftOut,
            Step::Count => Started::Queued,
            Step::QueueAgain => Started::Queue(Box::new(row)),
            Step::Send => start(&row.summary).await?.unwrap_or(Started::LeftOut),
        })
    }

    /// Ends a chain whose message the queue will never take.
    async fn give_up(&self, replay: &Replay, delivery: &DeliverySummary, reason: &str) {
        delivery_line!(error, replay, delivery, reason, "the queue refuses a delivery of a replay");
        if let Err(error) = self.log.fail_chain(delivery, NOT_QUEUED, Timestamp::now()).await {
            let error = chain(&error);
            delivery_line!(error, replay, delivery, error, "cannot write the delivery log");
        }
    }
}
