//! The sender: turns a batch of queue messages into signed POSTs, all in flight together.
//!
//! The rules: a problem with one delivery, such as a slow endpoint or a panic, does not affect the others. Each
//! message's next step begins as soon as its own attempt ends.
//!
//! This file takes a batch of messages (`message`) and returns the response. `isolation` keeps the messages
//! apart, and `deliver` handles each of them. `attempt` posts a delivery, with the secret from `secret_cache`
//! and a client from `clients`, which [`guard`] keeps on the public internet, and `phases` measures it. `failure` says
//! why an attempt failed, and `decision` says what follows, with the delivery's `progress` (`logged_attempts` reads it),
//! the endpoint's wish (`retry_after`) and the stack's `client_errors`. `reason` says why a delivery is cancelled,
//! blocked or parked, and `queues` carries the decision out. When the whole batch is done, `health` notes what it says
//! about its webhooks. `batch_metrics` counts all of it.
//!
//! Instead of a batch, api can pass the request to test a webhook. `webhook_test` answers it.

mod attempt;
mod batch_metrics;
mod client_errors;
mod clients;
mod config;
mod decision;
mod deliver;
mod failure;
pub mod guard;
mod health;
mod isolation;
mod logged_attempts;
mod message;
mod phases;
mod progress;
mod queues;
mod reason;
mod retry_after;
mod secret_cache;
#[cfg(test)]
mod test_network;
mod webhook_test;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::slice;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use futures_util::future::{join, join_all};
use lambda_runtime::Error;
use serde::Serialize;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tracing::error;
use webhooks::aws::chain;
use webhooks::batch::{BatchResponse, done_by, parse_messages};
use webhooks::endpoint::EndpointPolicy;
use webhooks::health_events::HealthEvents;
use webhooks::id::WebhookId;
use webhooks::metrics::{Metric, MetricsLog};
use webhooks::queue::Queue;
use webhooks::resolve;
use webhooks::secrets::SecretStore;
use webhooks::store::deliveries::LogEntry;
use webhooks::store::{AuditStore, DeliveryLog, DynamoDb, StoreError, WebhookEditor, WebhookStore};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;
use webhooks::webhook_test::{TestAnswer, TestInvocation};

use crate::batch_metrics::BatchMetrics;
use crate::clients::EndpointClients;
use crate::health::BatchEvidence;
use crate::isolation::finish_by;
use crate::message::Message;
use crate::queues::Queues;
use crate::secret_cache::SecretCache;

pub use crate::attempt::ATTEMPT_TIMEOUT;
pub use crate::client_errors::{InvalidClientErrors, RetriedClientErrors};
pub use crate::config::Config;
pub use crate::decision::{Action, after_failure};
pub use crate::failure::Failure;
pub use crate::progress::{MAX_RECEIVES, Progress};

/// Time reserved at the end of an invocation for its response. If the response is late, every message is
/// delivered again.
const RESPONSE_MARGIN: Duration = Duration::from_millis(100);
/// Time reserved before that for the log entries of the successes.
const SUCCESS_LOG_MARGIN: Duration = Duration::from_millis(400);
/// How much earlier a delivery's log write times out than the delivery, so that a slow log write does not
/// interrupt the delivery.
const LOG_MARGIN: Duration = Duration::from_millis(100);

/// The sender function with its clients and caches.
#[derive(Debug)]
pub struct Sender {
    clients: EndpointClients,
    endpoints: Arc<EndpointPolicy>,
    webhook_store: WebhookStore,
    /// Switches webhooks off, and notes that in their history.
    webhook_editor: WebhookEditor,
    secret_cache: SecretCache,
    queues: Queues,
    log: DeliveryLog,
    health_events: HealthEvents,
    metrics_log: MetricsLog,
    /// Time without a success after which a failing webhook is switched off.
    disable_after: Duration,
    retried_client_errors: RetriedClientErrors,
}

/// The response to an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The messages that the queue is to deliver again.
    Batch(BatchResponse),
    /// What happened in the test of a webhook.
    Test(TestAnswer),
}

/// The current webhooks of a batch, by id. The outer error means that DynamoDB failed, the inner one that the
/// webhook's row is malformed. A webhook without an entry does not exist.
type BatchWebhooks = Result<HashMap<WebhookId, Result<Webhook, StoreError>>, StoreError>;

/// How the handling of one message ended.
#[derive(Debug)]
enum Finished<'a> {
    /// The first attempt succeeded. The batch writes its log entry together with the others.
    Delivered(LogEntry<'a>),
    /// The message is done, or a replacement is queued.
    Acknowledged,
    /// `PipelineFaultsQueue` has the message.
    Parked,
    /// The queue will deliver the message again, or redrive it.
    Returned,
    /// A panic or the deadline ended the handling. The queue will deliver the message again.
    Interrupted,
}

impl Sender {
    /// Creates all AWS clients from `sdk`.
    pub fn new(sdk: &SdkConfig, config: Config) -> Result<Self, Error> {
        let sqs = aws_sdk_sqs::Client::new(sdk);
        let dynamodb = DynamoDb::new(sdk);
        let secrets = aws_sdk_secretsmanager::Client::new(sdk);
        let endpoints = Arc::new(config.endpoints);
        let webhook_store = WebhookStore::new(dynamodb.clone(), config.webhooks_table);
        let audit =
            AuditStore::new(dynamodb.clone(), config.webhook_audit_table, config.keep_audit);
        Ok(Self {
            clients: EndpointClients::new(
                Arc::clone(&endpoints),
                resolve::system(),
                guard::tls(config.extra_ca_file.as_deref())?,
            ),
            endpoints,
            webhook_editor: WebhookEditor::new(webhook_store.clone(), audit),
            webhook_store,
            secret_cache: SecretCache::new(SecretStore::new(secrets, config.secrets_prefix)),
            queues: Queues {
                deliveries: Queue::new(sqs.clone(), config.delivery_queue_url),
                dead_letters: Queue::new(sqs.clone(), config.dead_letter_queue_url),
                faults: Queue::new(sqs, config.pipeline_faults_queue_url),
            },
            log: DeliveryLog::new(dynamodb, config.deliveries_table, config.keep_deliveries),
            health_events: HealthEvents::new(sdk),
            metrics_log: MetricsLog::new(config.metrics_namespace),
            disable_after: config.disable_after,
            retried_client_errors: config.retried_client_errors,
        })
    }

    /// Handles one invocation, which ends at `deadline`: a batch of messages, or the test of a webhook.
    pub async fn handle(&self, event: &[u8], deadline: SystemTime) -> Result<Response, Error> {
        let not_a_batch = match parse_messages(event) {
            Ok(messages) => {
                return Ok(Response::Batch(self.deliver_all(messages, deadline).await));
            }
            Err(error) => error,
        };
        match serde_json::from_slice(event) {
            Ok(TestInvocation { test }) => {
                Ok(Response::Test(Box::pin(self.test(&test, deadline)).await?))
            }
            Err(_not_a_test_either) => Err(not_a_batch.into()),
        }
    }

    /// Delivers a batch of messages.
    async fn deliver_all(&self, mut messages: Vec<Message>, deadline: SystemTime) -> BatchResponse {
        let respond_by = done_by(deadline, RESPONSE_MARGIN);
        let deliver_by = respond_by - SUCCESS_LOG_MARGIN;
        let log_by = deliver_by - LOG_MARGIN;
        let received_at = Timestamp::now();
        let metrics = BatchMetrics::of(&messages, received_at);
        let reading = join(self.read_webhooks(&messages), self.count_attempts(&messages, log_by));
        let (webhooks, counted) = reading.await;
        for (index, logged_attempts) in counted {
            messages[index].logged_attempts = logged_attempts;
        }
        let health = BatchEvidence::default();
        let deliveries = messages.iter().map(|message| {
            let delivered = self.deliver(message, &webhooks, &health, &metrics, log_by);
            finish_by(deliver_by, message, delivered)
        });

        let mut response = BatchResponse::default();
        let mut successes = Vec::with_capacity(messages.len());
        for (message, finished) in join_all(deliveries).await {
            match finished {
                Finished::Delivered(entry) => successes.push(entry),
                Finished::Acknowledged | Finished::Parked => {}
                Finished::Returned => response.add_failure(message.id.clone()),
                Finished::Interrupted => {
                    metrics.add(Metric::Blocked, 1);
                    response.add_failure(message.id.clone());
                }
            }
        }
        self.log_successes(successes, &metrics, respond_by).await;
        self.change_health(health, &webhooks, &metrics, respond_by).await;
        // An alarm compares the attempts of a minute with the messages that SQS says were received in it.
        self.metrics_log.write(&metrics.into_inner(), received_at);
        response
    }

    /// Reads the current state of all webhooks of the batch in one consistent read.
    async fn read_webhooks(&self, messages: &[Message]) -> BatchWebhooks {
        let ids: BTreeSet<_> = messages
            .iter()
            .filter_map(|message| message.delivery.as_ref().ok())
            .map(|delivery| (delivery.tenant_id, delivery.webhook_config_id))
            .collect();
        let ids: Vec<_> = ids.into_iter().collect();
        self.webhook_store.get_many(&ids).await
    }

    /// Logs the deliveries that succeeded at the first attempt, all together.
    async fn log_successes(
        &self,
        entries: Vec<LogEntry<'_>>,
        metrics: &BatchMetrics,
        log_by: Instant,
    ) {
        let mut seen = HashSet::new();
        // A batch can contain the same delivery twice, but DynamoDB refuses a batch write with the same key
        // twice.
        let (first, again): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| seen.insert(entry.message.delivery_id));
        let written = timeout_at(log_by, self.log.put_all(&first)).await;
        report_log_failure(&first, written, metrics);
        join_all(again.iter().map(|entry| self.log_one(entry, metrics, log_by))).await;
    }

    /// Adds the outcome of one receive to the delivery's row.
    async fn log_one(&self, entry: &LogEntry<'_>, metrics: &BatchMetrics, log_by: Instant) {
        let written = timeout_at(log_by, self.log.append(entry)).await;
        report_log_failure(slice::from_ref(entry), written, metrics);
    }
}

/// Logs a failed write of the delivery log. The queue is the authority, so the failure has no other effect.
fn report_log_failure(
    entries: &[LogEntry<'_>],
    written: Result<Result<(), StoreError>, Elapsed>,
    metrics: &BatchMetrics,
) {
    let error = match written {
        Ok(Ok(())) => return,
        Ok(Err(error)) => chain(&error),
        Err(_elapsed) => "there was no time left".to_owned(),
    };
    metrics.add(Metric::LogWritesFailed, entries.len());
    for LogEntry { message, .. } in entries {
        error!(
            delivery.id = %message.delivery_id,
            delivery.chain = message.chain,
            webhook.id = %message.webhook_config_id,
            tenant.id = %message.tenant_id,
            event.id = %message.event_id,
            event.name = %message.event,
            error,
            "cannot write the delivery log"
        );
    }
}
