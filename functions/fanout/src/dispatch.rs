//! Events × webhooks → messages on the queue.
//!
//! The rule: records are dispatched in order and the first that fails ends it, since the stream will
//! give everything from there again.

use std::collections::{BTreeSet, HashMap};

use aws_types::SdkConfig;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};
use webhooks::aws::chain;
use webhooks::delivery::DeliveryMessage;
use webhooks::event::Event;
use webhooks::fault::{Origin, PipelineFault};
use webhooks::id::TenantId;
use webhooks::queue::{OutgoingMessage, Queue, SendError};
use webhooks::store::{StoreError, WebhookStore};
use webhooks::webhook::Webhook;

use crate::config::Config;
use crate::subject::Subject;

/// Queries under way at once.
const CONCURRENT_QUERIES: usize = 10;
/// Messages sent together, before the records behind them are begun: bounds memory, and how much is
/// sent twice when a record fails.
const WAVE_MESSAGES: usize = 100;

/// What is to be done about one record.
#[derive(Debug)]
pub enum Task {
    /// It announces nothing.
    Nothing,
    /// It announces an event.
    Deliver(Event),
    /// It cannot be understood, for this reason.
    Park(String),
}

/// How a batch went.
#[derive(Debug, Default)]
pub struct Report {
    /// Messages that are on the delivery queue.
    pub deliveries: usize,
    /// Messages that are in `PipelineFaults`.
    pub faults: usize,
    /// The place in the batch from which the records are needed again.
    pub first_failure: Option<usize>,
}

/// Where messages come from and go to.
#[derive(Debug)]
pub struct Dispatcher {
    webhooks: WebhookStore,
    deliveries: Queue,
    faults: Queue,
}

/// Every webhook of a tenant, or why they cannot be known.
type Subscribers = Result<Vec<Result<Webhook, StoreError>>, String>;

/// The messages that follow from one record.
#[derive(Default)]
struct Plan {
    record: usize,
    deliveries: Vec<OutgoingMessage>,
    faults: Vec<Fault>,
}

/// What is to be parked: a record, or one delivery of its event.
struct Fault {
    /// The record's place in the batch.
    record: usize,
    reason: String,
    text: String,
}

impl Dispatcher {
    /// A dispatcher with the clients that `sdk` makes.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: Config) -> Self {
        let sqs = aws_sdk_sqs::Client::new(sdk);
        Self {
            webhooks: WebhookStore::new(aws_sdk_dynamodb::Client::new(sdk), config.webhooks_table),
            deliveries: Queue::new(sqs.clone(), config.delivery_queue_url),
            faults: Queue::new(sqs, config.pipeline_faults_queue_url),
        }
    }

    /// Dispatches `tasks`, one for each of `records` and in their order; begins nothing after `last_call_at`.
    pub async fn dispatch(
        &self,
        records: &[&RawValue],
        tasks: Vec<Task>,
        last_call_at: Instant,
    ) -> Report {
        let mut report = Report::default();
        let subscribers = self.subscribers(&tasks, last_call_at).await;
        let mut wave: Vec<Plan> = Vec::new();
        let mut unplanned = None;
        for (record, task) in tasks.into_iter().enumerate() {
            let Ok(plan) = plan(record, records[record], task, &subscribers) else {
                unplanned = Some(record);
                break;
            };
            wave.push(plan);
            if wave.iter().map(|plan| plan.deliveries.len()).sum::<usize>() >= WAVE_MESSAGES {
                report.first_failure =
                    self.send(records, std::mem::take(&mut wave), last_call_at, &mut report).await;
                if report.first_failure.is_some() {
                    return report;
                }
            }
        }
        report.first_failure =
            self.send(records, wave, last_call_at, &mut report).await.or(unplanned);
        report
    }

    /// The webhooks of each tenant that has an event among `tasks`.
    async fn subscribers(
        &self,
        tasks: &[Task],
        last_call_at: Instant,
    ) -> HashMap<TenantId, Subscribers> {
        let tenants: BTreeSet<TenantId> = tasks
            .iter()
            .filter_map(|task| match task {
                Task::Deliver(event) => Some(event.tenant_id),
                Task::Nothing | Task::Park(_) => None,
            })
            .collect();
        stream::iter(tenants)
            .map(async |tenant| {
                let list = timeout_at(last_call_at, self.webhooks.list(tenant)).await;
                let webhooks = list
                    .map_err(|_elapsed| "no time is left".to_owned())
                    .and_then(|webhooks| webhooks.map_err(|error| chain(&error)));
                if let Err(error) = &webhooks {
                    error!(tenant.id = %tenant, error, "cannot read the tenant's webhooks");
                }
                (tenant, webhooks)
            })
            .buffer_unordered(CONCURRENT_QUERIES)
            .collect()
            .await
    }

    /// Sends all messages of a wave; the answer is the first record that failed, if one did.
    async fn send(
        &self,
        records: &[&RawValue],
        wave: Vec<Plan>,
        last_call_at: Instant,
        report: &mut Report,
    ) -> Option<usize> {
        let first = wave.first()?.record;
        if Instant::now() >= last_call_at {
            error!(record.index = first, "no time is left to queue the rest of the batch");
            return Some(first);
        }
        let mut failed = BTreeSet::new();
        let mut faults = Vec::new();
        let mut owners = Vec::new();
        let mut messages = Vec::new();
        for plan in wave {
            faults.extend(plan.faults);
            owners.extend(plan.deliveries.iter().map(|_| plan.record));
            messages.extend(plan.deliveries);
        }
        let results = self.deliveries.send_all(&messages, last_call_at).await;
        for ((record, message), result) in owners.into_iter().zip(messages).zip(results) {
            match result {
                Ok(()) => report.deliveries += 1,
                Err(refused @ SendError::Refused(_)) => {
                    let (reason, text) = (refused.to_string(), message.body.into());
                    faults.push(Fault { record, reason, text });
                }
                Err(unavailable @ SendError::Unavailable(_)) => {
                    error!(record.index = record, error = %unavailable, "cannot queue a delivery");
                    failed.insert(record);
                }
            }
        }
        self.park(records, faults, last_call_at, report, &mut failed).await;
        failed.first().copied()
    }

    async fn park(
        &self,
        records: &[&RawValue],
        faults: Vec<Fault>,
        last_call_at: Instant,
        report: &mut Report,
        failed: &mut BTreeSet<usize>,
    ) {
        let (places, faults): (Vec<usize>, Vec<PipelineFault>) = faults
            .into_iter()
            .map(|Fault { record, reason, text }| {
                let Subject { sequence_number, job_id, tenant_id } = Subject::of(records[record]);
                let origin = Origin::Fanout { sequence_number };
                let fault = PipelineFault::new(origin, &reason, text);
                error!(
                    record.index = record,
                    job.id = job_id,
                    tenant.id = tenant_id,
                    reason = fault.reason(),
                    "a record is parked in PipelineFaults"
                );
                (record, fault)
            })
            .unzip();
        let results = self.send_faults(&faults, last_call_at).await;
        for (record, result) in places.into_iter().zip(results) {
            match result {
                Ok(()) => report.faults += 1,
                Err(error) => {
                    error!(record.index = record, %error, "cannot park a record");
                    failed.insert(record);
                }
            }
        }
    }

    /// Sends faults, and in place of each that the queue refuses its placeholder.
    async fn send_faults(
        &self,
        faults: &[PipelineFault],
        last_call_at: Instant,
    ) -> Vec<Result<(), SendError>> {
        let messages: Vec<_> = faults.iter().map(PipelineFault::message).collect();
        let mut results = self.faults.send_all(&messages, last_call_at).await;
        let (refused, placeholders): (Vec<usize>, Vec<OutgoingMessage>) = results
            .iter()
            .zip(faults)
            .enumerate()
            .filter_map(|(at, (result, fault))| match result {
                Err(error @ SendError::Refused(_)) => {
                    warn!(%error, reason = fault.reason(), "a placeholder is parked without the record");
                    Some((at, fault.placeholder()))
                }
                _ => None,
            })
            .unzip();
        let replaced = self.faults.send_all(&placeholders, last_call_at).await;
        for (at, result) in refused.into_iter().zip(replaced) {
            results[at] = result;
        }
        results
    }
}

/// The tenant's webhooks could not be read, which is already logged.
struct Unknown;

/// What follows from one record.
fn plan(
    record: usize,
    text: &RawValue,
    task: Task,
    subscribers: &HashMap<TenantId, Subscribers>,
) -> Result<Plan, Unknown> {
    let mut plan = Plan { record, ..Plan::default() };
    match task {
        Task::Nothing => {}
        Task::Park(reason) => {
            plan.faults.push(Fault { record, reason, text: text.get().to_owned() });
        }
        Task::Deliver(event) => {
            let Some(Ok(webhooks)) = subscribers.get(&event.tenant_id) else { return Err(Unknown) };
            for webhook in webhooks {
                match webhook {
                    Ok(webhook) if webhook.wants(event.name) => match message(&event, webhook) {
                        Ok(message) => plan.deliveries.push(message),
                        Err(error) => plan.faults.push(fault(record, &event, &error)),
                    },
                    Ok(_) => {}
                    Err(error) => plan.faults.push(fault(record, &event, error)),
                }
            }
        }
    }
    Ok(plan)
}

fn message(event: &Event, webhook: &Webhook) -> Result<OutgoingMessage, serde_json::Error> {
    let body = DeliveryMessage::new(event, webhook.id).to_json()?;
    // By tenant and not by webhook: a tenant can have many webhooks, each of them below what SQS takes for
    // noisy.
    Ok(OutgoingMessage { group: Some(event.tenant_id), ..OutgoingMessage::new(body) })
}

fn fault(record: usize, event: &Event, error: &dyn std::error::Error) -> Fault {
    Fault { record, reason: chain(error), text: event.body.get().to_owned() }
}
