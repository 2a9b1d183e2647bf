//! Sends the messages and writes the rows for a batch's records.
//!
//! The rule: records are dispatched in order, and the first failure ends the batch, because the stream delivers
//! that record and all later ones again.

use std::collections::BTreeSet;
use std::mem;
use std::time::Duration;

use aws_types::SdkConfig;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};
use tracing::{Level, error};
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::fault::{Origin, PipelineFault};
use webhooks::id::TenantId;
use webhooks::metrics::{Metric, Metrics};
use webhooks::queue::{OutgoingMessage, Queue, SendError};
use webhooks::store::{DeliveryLog, DynamoDb, StoreError, WebhookStore};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;

use crate::config::Config;
use crate::plan::{Fault, FaultReason, Skipping, Subscribers, Task, Wave, WebhooksUnknown};
use crate::record::{Record, record_line};
use crate::skips::{self, Skipped};

/// Maximum queries in flight.
const CONCURRENT_QUERIES: usize = 10;
/// A wave with this many deliveries, skipped ones included, is sent before the next record is planned. The limit bounds
/// memory, and the number of messages that are sent twice when a record fails.
const WAVE_DELIVERIES: usize = 100;

/// Logs a line about a record's delivery, with the ids of both.
macro_rules! delivery_line {
    ($level:ident, $record:expr, $delivery:expr, $($fields_and_sentence:tt)+) => {{
        let delivery: Option<&DeliveryMessage> = $delivery;
        record_line!(
            $level,
            $record,
            delivery.id = delivery.map(|it| display(it.delivery_id)),
            webhook.id = delivery.map(|it| display(it.webhook_config_id)),
            event.id = delivery.map(|it| display(it.event_id)),
            event.name = delivery.map(|it| display(it.event)),
            $($fields_and_sentence)+
        );
    }};
}

/// The result of a batch.
#[derive(Debug, Default)]
pub(crate) struct Report<'a> {
    /// Messages that were queued for the sender.
    pub(crate) deliveries: usize,
    /// Deliveries that the log shows as skipped.
    pub(crate) skipped: usize,
    /// Deliveries that were neither queued nor logged, because they have been withheld for too long.
    pub(crate) dropped: usize,
    /// Messages that were parked in `PipelineFaultsQueue`.
    pub(crate) faults: usize,
    /// Skipped deliveries that the log did not take.
    pub(crate) unlogged: usize,
    /// The record from which the stream must deliver the batch again.
    pub(crate) first_failure: Option<Record<'a>>,
}

impl<'a> Report<'a> {
    /// Adds the metrics of a batch of `records`.
    pub(crate) fn count(&self, records: usize, metrics: &mut Metrics) {
        metrics.add(Metric::Queued, self.deliveries);
        metrics.add(Metric::Skipped, self.skipped);
        metrics.add(Metric::Parked, self.faults);
        metrics.add(Metric::LogWritesFailed, self.unlogged);
        let returned = self.first_failure.map_or(0, |first| records - first.index);
        metrics.add(Metric::RecordsReturned, returned);
    }

    fn fail(&mut self, record: Record<'a>) {
        if self.first_failure.is_none_or(|first| record.index < first.index) {
            self.first_failure = Some(record);
        }
    }

    fn parked(&mut self, record: Record<'a>, sent: Result<(), SendError>) {
        match sent {
            Ok(()) => self.faults += 1,
            Err(error) => {
                record_line!(error, record, %error, "cannot park a record");
                self.fail(record);
            }
        }
    }
}

/// The clients of the tables and the queues.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    webhook_store: WebhookStore,
    log: DeliveryLog,
    deliveries: Queue,
    faults: Queue,
    skip_for: Duration,
}

impl Dispatcher {
    pub(crate) fn new(sdk: &SdkConfig, config: Config) -> Self {
        let sqs = aws_sdk_sqs::Client::new(sdk);
        let dynamodb = DynamoDb::new(sdk);
        Self {
            webhook_store: WebhookStore::new(dynamodb.clone(), config.webhooks_table),
            log: DeliveryLog::new(dynamodb, config.deliveries_table, config.keep_deliveries),
            deliveries: Queue::new(sqs.clone(), config.delivery_queue_url),
            faults: Queue::new(sqs, config.pipeline_faults_queue_url),
            skip_for: config.skip_for,
        }
    }

    /// Carries out the tasks in order. Begins no AWS call after `last_call_at`.
    pub(crate) async fn dispatch<'a>(
        &self,
        tasks: Vec<(Record<'a>, Task)>,
        now: Timestamp,
        last_call_at: Instant,
    ) -> Report<'a> {
        let subscribers = self.subscribers(&tasks, last_call_at).await;
        let skipping = Skipping { now, limit: self.skip_for };
        let mut report = Report::default();
        let mut wave = Wave::default();
        for (record, task) in tasks {
            log_event(record, &task, &subscribers);
            if let Err(WebhooksUnknown) = wave.add(record, task, &subscribers, skipping) {
                report.fail(record);
                break;
            }
            if wave.size() >= WAVE_DELIVERIES {
                self.send(mem::take(&mut wave), now, last_call_at, &mut report).await;
                if report.first_failure.is_some() {
                    return report;
                }
            }
        }
        self.send(wave, now, last_call_at, &mut report).await;
        report
    }

    /// Reads the webhooks of each tenant that has an event among `tasks`.
    async fn subscribers(
        &self,
        tasks: &[(Record<'_>, Task)],
        last_call_at: Instant,
    ) -> Subscribers {
        let tenants: BTreeSet<TenantId> = tasks
            .iter()
            .filter_map(|(_, task)| match task {
                Task::Deliver(event) => Some(event.tenant_id),
                Task::Nothing | Task::Park(_) => None,
            })
            .collect();
        stream::iter(tenants)
            .map(async |tenant| Some((tenant, self.webhooks_of(tenant, last_call_at).await?)))
            .buffer_unordered(CONCURRENT_QUERIES)
            .filter_map(async |webhooks| webhooks)
            .collect()
            .await
    }

    /// All webhooks of a tenant. If they cannot be read, logs the error and returns `None`.
    async fn webhooks_of(
        &self,
        tenant: TenantId,
        last_call_at: Instant,
    ) -> Option<Vec<Result<Webhook, StoreError>>> {
        let error = match timeout_at(last_call_at, self.webhook_store.list(tenant)).await {
            Ok(Ok(webhooks)) => return Some(webhooks),
            Ok(Err(error)) => chain(&error),
            Err(_elapsed) => "the time limit was reached".to_owned(),
        };
        error!(tenant.id = %tenant, error, "cannot read the tenant's webhooks");
        None
    }

    /// Sends all messages and writes all rows of a wave.
    async fn send<'a>(
        &self,
        wave: Wave<'a>,
        now: Timestamp,
        last_call_at: Instant,
        report: &mut Report<'a>,
    ) {
        report.dropped += wave.dropped;
        let Some(first) = wave.first_record() else { return };
        if Instant::now() >= last_call_at {
            record_line!(error, first, "no time left to queue the rest of the batch");
            report.fail(first);
            return;
        }
        let mut faults = wave.faults;
        let (sent, skipped) = tokio::join!(
            send_all(&self.deliveries, wave.deliveries, last_call_at),
            skips::write_all(&self.log, wave.skips, now, last_call_at),
        );
        for (record, message, sent) in sent {
            match sent {
                Ok(()) => report.deliveries += 1,
                Err(refused @ SendError::Refused(_)) => {
                    let (reason, text) = (FaultReason::Refused(refused), message.body.into());
                    faults.push(Fault { record, reason, text });
                }
                Err(unavailable @ SendError::Unavailable(_)) => {
                    let delivery = serde_json::from_str(message.body.as_str()).ok();
                    delivery_line!(error, record, delivery.as_ref(), error = %unavailable, "cannot queue a delivery");
                    report.fail(record);
                }
            }
        }
        for (record, message, skipped) in skipped {
            match skipped {
                Skipped::Logged => report.skipped += 1,
                Skipped::Refused(reason) => {
                    report.unlogged += 1;
                    faults.push(Fault { record, reason, text: text_of(&message) });
                }
                Skipped::Unavailable(error) => {
                    report.unlogged += 1;
                    delivery_line!(
                        error,
                        record,
                        Some(&message),
                        error,
                        "cannot log a skipped delivery"
                    );
                    report.fail(record);
                }
                Skipped::NotBegun => report.fail(record),
            }
        }
        self.park(faults, last_call_at, report).await;
    }

    /// Parks faults. If the queue refuses one, parks a placeholder instead.
    async fn park<'a>(
        &self,
        faults: Vec<Fault<'a>>,
        last_call_at: Instant,
        report: &mut Report<'a>,
    ) {
        let faults = faults.into_iter().map(|fault| {
            let (record, fault) = pipeline_fault(fault);
            let message = fault.message();
            ((record, fault), message)
        });
        let mut placeholders = Vec::new();
        for ((record, fault), _, sent) in
            send_all(&self.faults, faults.collect(), last_call_at).await
        {
            match sent {
                Err(error @ SendError::Refused(_)) => {
                    record_line!(warn, record, %error, reason = fault.reason(), "PipelineFaultsQueue refused the record; a placeholder is parked instead");
                    placeholders.push((record, fault.placeholder()));
                }
                sent => report.parked(record, sent),
            }
        }
        for (record, _, sent) in send_all(&self.faults, placeholders, last_call_at).await {
            report.parked(record, sent);
        }
    }
}

/// Logs an event with the ids that its deliveries have in the sender's log. At debug level, because a line for each event
/// would cost as much as the rest of fanout.
fn log_event(record: Record<'_>, task: &Task, subscribers: &Subscribers) {
    let Task::Deliver(event) = task else { return };
    if tracing::enabled!(Level::DEBUG) {
        let webhooks = subscribers.get(&event.tenant_id).map_or(&[][..], Vec::as_slice);
        let subscribed = webhooks.iter().flatten().filter(|it| it.events.contains(event.name));
        record_line!(
            debug,
            record,
            event.id = %event.id,
            event.name = %event.name,
            webhooks = subscribed.count(),
            "event read; each webhook that subscribes to it gets a delivery"
        );
    }
}

/// Logs a fault and converts it to the form that is queued.
fn pipeline_fault(Fault { record, reason, text }: Fault<'_>) -> (Record<'_>, PipelineFault) {
    let sequence_number = record.ids().sequence_number;
    let fault = PipelineFault::new(Origin::Fanout { sequence_number }, &reason.to_string(), text);
    record_line!(error, record, reason = fault.reason(), "record parked in PipelineFaultsQueue");
    (record, fault)
}

/// The message as the delivery queue would have it; at least its body.
fn text_of(message: &DeliveryMessage) -> String {
    message.to_json().map_or_else(|_| message.body.get().to_owned(), Into::into)
}

/// Sends tagged messages. Returns each with its tag and its result.
async fn send_all<T>(
    queue: &Queue,
    messages: Vec<(T, OutgoingMessage)>,
    last_call_at: Instant,
) -> impl Iterator<Item = (T, OutgoingMessage, Result<(), SendError>)> {
    let (tags, messages): (Vec<T>, Vec<OutgoingMessage>) = messages.into_iter().unzip();
    let results = queue.send_all(&messages, last_call_at).await;
    let sent = tags.into_iter().zip(messages).zip(results);
    sent.map(|((tag, message), result)| (tag, message, result))
}
