//! The three real functions around an account of any size.

use anyhow::{Context as _, Result, ensure};
use harness::fixtures::{Message, NOTHING_FAILED, WebhookKey, api_key_row, batch_of, job_changes};
use harness::{FakeAws, Function, Receiver, Usage, status};
use hyper::body::Bytes;
use serde_json::Value;
use webhooks::id::TenantId;

use crate::bench::Bench;

/// Messages in a batch by which the log is filled.
const FILLING: usize = 100;
/// Batches that are handed over at once: more would only take memory.
const AT_ONCE: usize = 100;

/// What the samples name.
const SAMPLE_WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";
const SAMPLE_URL: &str = "https://yourapp.com/webhooks/docintel";

/// Something that the system is asked to do once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// A request to the API, by its sample event and the status of its answer.
    Api(&'static str, &'static str, u16),
    /// A job's change, which is an event for every webhook of its tenant.
    JobChange,
    /// A delivery that succeeds at once.
    Delivery,
    /// A delivery whose first attempt fails.
    FailingDelivery,
}

/// Everything that the system does.
pub const TASKS: [Task; 9] = [
    Task::Api("create", include_str!("../../../events/api-create.json"), 201),
    Task::Api("get", include_str!("../../../events/api-get.json"), 200),
    Task::Api("list", include_str!("../../../events/api-list.json"), 200),
    Task::Api("update", include_str!("../../../events/api-update.json"), 200),
    Task::Api("rotate", include_str!("../../../events/api-rotate.json"), 200),
    Task::Api("delete", include_str!("../../../events/api-delete.json"), 204),
    Task::JobChange,
    Task::Delivery,
    Task::FailingDelivery,
];

impl Task {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Api(name, ..) => name,
            Self::JobChange => "a job's change",
            Self::Delivery => "a delivery",
            Self::FailingDelivery => "a failed attempt",
        }
    }
}

/// An account, its functions and its endpoints.
#[derive(Debug)]
pub struct World {
    aws: FakeAws,
    works: Receiver,
    fails: Receiver,
    api: Function,
    fanout: Function,
    sender: Function,
    /// The webhook that tasks are about.
    target: WebhookKey,
    /// Messages so far.
    messages: u64,
}

impl World {
    /// An account with so many tenants of one webhook each, but for the first, which has so many.
    pub async fn with(bench: &Bench, webhooks: usize, tenants: usize) -> Result<Self> {
        let aws = FakeAws::start().await;
        aws.charge();
        let works = Receiver::counting(status(200), None).await;
        let fails = Receiver::counting(status(502), None).await;
        let own = WebhookKey::several(webhooks);
        let others: Vec<WebhookKey> =
            (1..tenants).map(|_| WebhookKey::of(TenantId::random())).collect();
        for target in own.iter().chain(&others) {
            aws.put_webhook(target.row(&works.url()));
        }
        for (number, target) in (1..).zip(&others) {
            let mut row = api_key_row(target.tenant);
            row["key_hash"]["S"] = Value::from(format!("{number:064x}"));
            aws.put_api_key(row);
        }
        let target = *own.first().context("the first tenant has no webhook")?;
        aws.put_api_key(api_key_row(target.tenant));

        let start = |program| async move { Function::start(&program, bench.cores).await };
        let api = start(bench.program("api", &aws)?).await?;
        let fanout = start(bench.program("fanout", &aws)?).await?;
        let sender = start(bench.sender(&aws)?).await?;
        let mut world = Self { aws, works, fails, api, fanout, sender, target, messages: 0 };
        // The sender that is asked afterwards has met every tenant.
        let all: Vec<WebhookKey> = std::iter::once(target).chain(others).collect();
        world.deliver_to(&all).await?;
        Ok(world)
    }

    /// Delivers until at least so many deliveries are in the log.
    pub async fn fill_log(&mut self, deliveries: usize) -> Result<()> {
        let logged = |aws: &FakeAws| usize::try_from(aws.stored_deliveries().rows);
        let missing = deliveries.saturating_sub(logged(&self.aws)?);
        self.deliver_to(&vec![self.target; missing]).await?;
        ensure!(logged(&self.aws)? >= deliveries, "the log has less than {deliveries} deliveries");
        Ok(())
    }

    async fn deliver_to(&mut self, targets: &[WebhookKey]) -> Result<()> {
        for targets in targets.chunks(FILLING * AT_ONCE) {
            let events: Vec<Bytes> =
                targets.chunks(FILLING).map(|targets| self.batch(targets)).collect();
            self.sender.run(events, NOTHING_FAILED).await?;
        }
        Ok(())
    }

    /// A batch of one new message to each target.
    fn batch(&mut self, targets: &[WebhookKey]) -> Bytes {
        let messages: Vec<Message> = (self.messages..)
            .zip(targets)
            .map(|(number, &target)| Message::new(number, target))
            .collect();
        self.messages += messages.len() as u64;
        batch_of(&messages)
    }

    /// What a task asks of AWS when the functions have done it before.
    pub async fn ask(&mut self, task: Task) -> Result<Usage> {
        self.work(task).await.with_context(|| task.name())?;
        drop(self.aws.take_usage());
        self.work(task).await.with_context(|| task.name())?;
        Ok(self.aws.take_usage())
    }

    async fn work(&mut self, task: Task) -> Result<()> {
        match task {
            Task::Api(_, sample, status) => {
                let invocation = self.api.invoke(self.request(sample)?).await?;
                let (Ok(answer) | Err(answer)) = invocation.answer;
                let read: Value = serde_json::from_slice(&answer).unwrap_or_default();
                ensure!(read["statusCode"] == status, "the api function answered {answer:?}");
            }
            Task::JobChange => {
                let changes = job_changes(&[self.target.tenant], 1)?;
                self.fanout.invoke_expecting(changes, NOTHING_FAILED).await?;
            }
            Task::Delivery => {
                let event = self.batch(&[self.target]);
                self.sender.invoke_expecting(event, NOTHING_FAILED).await?;
            }
            Task::FailingDelivery => {
                self.aws.put_webhook(self.target.row(&self.fails.url()));
                let message = Message::new(self.messages, self.target);
                let failed =
                    format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, message.id);
                let event = self.batch(&[self.target]);
                self.sender.invoke_expecting(event, &failed).await?;
                self.aws.put_webhook(self.target.row(&self.works.url()));
            }
        }
        Ok(())
    }

    /// A sample request, about the webhook in question or for a new one on this machine.
    fn request(&self, sample: &str) -> Result<Bytes> {
        let mut event: Value = serde_json::from_str(sample)?;
        let path = event["rawPath"].as_str().unwrap_or_default();
        let path = path.replace(SAMPLE_WEBHOOK, &self.target.webhook.to_string());
        event["requestContext"]["http"]["path"] = path.as_str().into();
        event["rawPath"] = path.into();
        if let Some(body) = event["body"].as_str() {
            event["body"] = body.replace(SAMPLE_URL, &self.works.url()).into();
        }
        Ok(Bytes::from(event.to_string()))
    }
}
