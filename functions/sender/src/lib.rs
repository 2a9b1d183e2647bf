//! The sender: a batch of queue messages becomes signed POSTs, all in flight together.
//!
//! The rules: one delivery's trouble, be it a slow endpoint or a panic, never costs another one
//! anything; and each message's next step is taken as soon as its own attempt has ended.
//!
//! In the order of a delivery: [`received`] reads the message, this file looks up its webhook, [`secrets`]
//! the key, [`attempt`] posts through one of [`clients`], made by [`guard`], [`step`] and [`verdict`] say what follows,
//! [`settle`] tells the queues, and then the log is told; of immediate successes when the batch has ended,
//! all in one write.

pub mod attempt;
pub mod clients;
pub mod config;
pub mod failure;
pub mod guard;
pub mod received;
pub mod secrets;
pub mod settle;
pub mod step;
#[cfg(test)]
mod test_network;
pub mod verdict;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use lambda_runtime::Error;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::error;
use webhooks::aws::direct::Direct;
use webhooks::aws::{self, chain};
use webhooks::batch::{BatchResponse, done_by};
use webhooks::delivery::{Attempt, DeliveryMessage};
use webhooks::endpoint::EndpointPolicy;
use webhooks::id::WebhookId;
use webhooks::queue::Queue;
use webhooks::resolve;
use webhooks::secrets::SecretStore;
use webhooks::store::deliveries::LogEntry;
use webhooks::store::{DeliveryLog, StoreError, WebhookReader};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;

use crate::attempt::{ATTEMPT_TIMEOUT, Answer};
use crate::clients::EndpointClients;
use crate::config::Config;
use crate::received::{NotABatch, Received};
use crate::secrets::SecretCache;
use crate::settle::Queues;
use crate::step::Receive;
use crate::verdict::{Ending, Verdict};

/// What is kept of an invocation's time for the log and the answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// How much earlier than everything else the log of a failed attempt is given up.
const LOG_MARGIN: Duration = Duration::from_millis(100);

/// The function: everything an invocation needs.
#[derive(Debug)]
pub struct Sender {
    clients: EndpointClients,
    endpoints: Arc<EndpointPolicy>,
    webhooks: WebhookReader,
    secrets: SecretCache,
    queues: Queues,
    log: DeliveryLog,
}

/// The webhooks of a batch as they are now, or why they are not known.
type Webhooks = Result<HashMap<WebhookId, Result<Webhook, StoreError>>, String>;

/// What became of a message.
#[derive(Debug, Default)]
struct Outcome<'a> {
    acknowledged: bool,
    /// What the log is to say of a delivery that succeeded at once; of all others it has been told.
    success: Option<LogEntry<'a>>,
}

impl Sender {
    /// The function with the clients that `sdk` makes.
    pub fn new(sdk: &SdkConfig, config: Config) -> Result<Self, Error> {
        let direct = Direct::new(sdk)?;
        let sqs = aws_sdk_sqs::Client::new(sdk);
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        let secrets = aws_sdk_secretsmanager::Client::new(sdk);
        let endpoints = Arc::new(config.endpoints);
        Ok(Self {
            clients: EndpointClients::new(
                Arc::clone(&endpoints),
                resolve::system(),
                guard::tls(config.extra_ca_file.as_deref())?,
            ),
            endpoints,
            webhooks: WebhookReader::new(direct.clone(), config.webhooks_table),
            secrets: SecretCache::new(SecretStore::new(secrets, config.secrets_prefix)),
            queues: Queues {
                deliveries: Queue::new(sqs.clone(), config.delivery_queue_url),
                dead_letters: Queue::new(sqs.clone(), config.dead_letter_queue_url),
                faults: Queue::new(sqs, config.pipeline_faults_queue_url),
            },
            log: DeliveryLog::new(
                dynamodb,
                direct,
                config.deliveries_table,
                config.keep_deliveries,
            ),
        })
    }

    /// Handles one invocation, which ends at `deadline`.
    pub async fn handle(
        &self,
        event: &[u8],
        deadline: SystemTime,
    ) -> Result<BatchResponse, NotABatch> {
        let ends_at = done_by(deadline, ANSWER_MARGIN);
        let messages = received::batch(event)?;

        let webhooks = self.look_up(&messages).await;
        let deliveries = messages.iter().map(|message| {
            // The answer must be given in time, or what was delivered is delivered again. The log's own
            // limit comes first, so that a slow log does not take what it describes with it.
            let log_by = ends_at - LOG_MARGIN;
            timeout_at(ends_at, isolate(self.deliver(message, &webhooks, log_by)))
        });
        let outcomes = join_all(deliveries).await;

        let mut response = BatchResponse::default();
        let mut successes = Vec::with_capacity(messages.len());
        for (received, outcome) in messages.iter().zip(outcomes) {
            // A message whose handling itself panicked, or did not end, comes back after the queue's
            // visibility timeout.
            let outcome = outcome.unwrap_or_default().unwrap_or_default();
            if !outcome.acknowledged {
                response.add_failure(received.message_id.clone());
            }
            successes.extend(outcome.success);
        }
        self.log_successes(successes, ends_at).await;
        Ok(response)
    }

    /// The current state of every webhook that the batch is for, in one consistent read.
    async fn look_up(&self, messages: &[Received]) -> Webhooks {
        let ids: BTreeSet<_> = messages
            .iter()
            .filter_map(|received| received.content.as_ref().ok())
            .map(|message| (message.tenant_id, message.webhook_config_id))
            .collect();
        let ids: Vec<_> = ids.into_iter().collect();
        match timeout(aws::CALL_TIMEOUT, self.webhooks.get_many(&ids)).await {
            Ok(Ok(webhooks)) => Ok(webhooks),
            Ok(Err(error)) => Err(format!("the webhooks cannot be read: {}", chain(&error))),
            Err(_elapsed) => Err("the webhooks cannot be read in time".to_owned()),
        }
    }

    /// Does everything about one message, but for the log of an immediate success.
    async fn deliver<'a>(
        &self,
        received: &'a Received,
        webhooks: &Webhooks,
        ends_at: Instant,
    ) -> Outcome<'a> {
        let message = match &received.content {
            Ok(message) => message,
            Err(unreadable) => {
                let settled = Box::pin(self.queues.settle_unreadable(received, unreadable));
                let acknowledged = settled.await;
                return Outcome { acknowledged, success: None };
            }
        };
        let receive = Receive {
            attempts_before: message.attempts_before,
            count: received.receive_count,
            blocked_since: message.blocked_since,
        };
        let ending = isolate(self.attempt(message, receive, webhooks, ends_at))
            .await
            .unwrap_or_else(|| panicked(receive, message, webhooks));
        let verdict = Verdict::of(ending, receive, message);
        if verdict.is_immediate_success() {
            return Outcome { acknowledged: true, success: verdict.log };
        }
        // Boxed, as everything is that an immediate success does without: it would take ten times the
        // room of all the rest, and a batch is moved about and freed as a whole.
        Box::pin(async {
            let Verdict { step, log, why } = verdict;
            let acknowledged = self.queues.settle(received, message, step, why).await;
            if let Some(entry) = log {
                // Now and not with the batch: the next attempt is made elsewhere, and may be logged
                // before the slowest post of this batch has ended.
                self.log_part(&entry, ends_at).await;
            }
            Outcome { acknowledged, success: None }
        })
        .await
    }

    /// Makes the attempt, unless something forbids it.
    async fn attempt(
        &self,
        message: &DeliveryMessage,
        receive: Receive,
        webhooks: &Webhooks,
        ends_at: Instant,
    ) -> Ending {
        let webhook = match find(message, webhooks) {
            Ok(webhook) => webhook,
            Err(ending) => return ending,
        };
        // Those who wait for the same secret try one after the other when it cannot be read.
        let secret = match timeout(aws::CALL_TIMEOUT, self.secrets.get(webhook)).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(error)) => {
                return Ending::Blocked(format!("the secret cannot be read: {}", chain(&error)));
            }
            Err(_elapsed) => {
                return Ending::Blocked("the secret cannot be read in time".to_owned());
            }
        };
        // No attempt is begun whose outcome could not be told any more.
        if Instant::now() + ATTEMPT_TIMEOUT + aws::CALL_TIMEOUT > ends_at {
            return Ending::Blocked("too little of the invocation's time is left".to_owned());
        }
        let client = match self.clients.client(&webhook.url, Instant::now()) {
            Ok(client) => client,
            Err(error) => return Ending::Blocked(chain(&error)),
        };
        let number = receive.attempt_number();
        let (attempt, answer) =
            attempt::make(&client, &self.endpoints, &webhook.url, message, &secret, number).await;
        Ending::Attempted { attempt, answer, policy: webhook.retry }
    }

    /// Writes the rows of the deliveries that succeeded at once, in one call.
    async fn log_successes(&self, entries: Vec<LogEntry<'_>>, ends_at: Instant) {
        let mut seen = HashSet::new();
        // A delivery can be in a batch twice, and a batch write takes no key twice.
        let (whole, again): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| seen.insert(entry.message.delivery_id));
        report(whole.len(), timeout_at(ends_at, self.log.put_all(&whole)).await);
        join_all(again.iter().map(|entry| self.log_part(entry, ends_at))).await;
    }

    /// Writes what one receive adds to a delivery's row.
    async fn log_part(&self, entry: &LogEntry<'_>, ends_at: Instant) {
        report(1, timeout_at(ends_at, self.log.append(entry)).await);
    }
}

/// A log that cannot be written is reported, and that is all: the queue is the authority.
fn report(deliveries: usize, result: Result<Result<(), StoreError>, Elapsed>) {
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            error!(deliveries, error = %chain(&error), "cannot write the delivery log");
        }
        Err(_elapsed) => error!(deliveries, "no time was left to write the delivery log"),
    }
}

/// The message's webhook, if it may be posted to now.
fn find<'a>(message: &DeliveryMessage, webhooks: &'a Webhooks) -> Result<&'a Webhook, Ending> {
    let webhooks = webhooks.as_ref().map_err(|error| Ending::Blocked(error.clone()))?;
    let webhook = webhooks.get(&message.webhook_config_id);
    // Another tenant's webhook of that id, which another message of the batch is for, is not this one's.
    let is_theirs = |webhook: &Webhook| webhook.tenant_id == message.tenant_id;
    match webhook.filter(|webhook| webhook.as_ref().map_or(true, is_theirs)) {
        None => Err(Ending::Cancelled("the webhook was deleted")),
        Some(Err(error)) => {
            Err(Ending::Blocked(format!("the webhook cannot be read: {}", chain(error))))
        }
        Some(Ok(webhook)) if !webhook.is_active => {
            Err(Ending::Cancelled("the webhook is switched off"))
        }
        Some(Ok(webhook)) => Ok(webhook),
    }
}

/// A panic in one delivery is an attempt that failed; the panic itself is already on standard error.
fn panicked(receive: Receive, message: &DeliveryMessage, webhooks: &Webhooks) -> Ending {
    let attempt = Attempt {
        number: receive.attempt_number(),
        at: Timestamp::now(),
        duration_ms: 0,
        status_code: None,
        error: Some("an internal error ended the attempt".to_owned()),
        response_body: None,
    };
    // Whoever panics before the webhook is found is tried again as often as one that says nothing of it.
    let policy = find(message, webhooks).map(|webhook| webhook.retry).unwrap_or_default();
    Ending::Attempted { attempt, answer: Answer::Failure, policy }
}

/// The future's value, or `None` when it panics; the panic ends this future and nothing else.
///
/// No `async fn`: that would keep room for the future twice.
fn isolate<F: Future>(future: F) -> impl Future<Output = Option<F::Output>> {
    AssertUnwindSafe(future).catch_unwind().map(Result::ok)
}

#[cfg(test)]
mod tests {
    use webhooks::delivery::DeliveryStatus;

    use super::*;
    use crate::step::Step;

    #[test]
    fn a_panic_is_an_attempt_that_failed_and_is_followed_by_the_next() {
        let sample = include_str!("../../../events/queue-batch.json");
        let message = received::batch(sample.as_bytes()).unwrap().remove(0).content.unwrap();
        let receive = Receive { attempts_before: 0, count: 1, blocked_since: None };
        let ending = panicked(receive, &message, &Ok(HashMap::new()));
        let verdict = Verdict::of(ending, receive, &message);
        assert_eq!(verdict.step, Step::RetryAfter(Duration::from_secs(1)));
        let line = verdict.log.unwrap();
        assert_eq!(line.status, DeliveryStatus::Pending);
        assert_eq!(line.attempt.map(|attempt| attempt.number), Some(1));
    }

    #[tokio::test]
    async fn a_panic_in_one_delivery_leaves_the_others_of_its_batch_alone() {
        let deliveries = (1..=3).map(|number| async move {
            tokio::task::yield_now().await;
            assert!(number != 2, "number two has a bug");
            number
        });
        assert_eq!(join_all(deliveries.map(isolate)).await, [Some(1), None, Some(3)]);
    }
}
