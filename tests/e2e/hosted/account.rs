//! The three real functions around an account of any size, on an AWS that counts what it is asked.

use harness::fixtures::{
    DELIVERIES, Message, NOTHING_FAILED, WebhookKey, api_key_row, batch_of, job_changes,
    numbered_job_changes,
};
use harness::{FakeAws, Function, Invocation, Program, Receiver, Usage, bootstrap, place, status};
use serde_json::Value;
use tokio::sync::SemaphorePermit;
use webhooks::id::TenantId;

/// Messages in a batch of the queue.
const BATCH: usize = 10;
/// Job changes in a batch of the stream.
const RECORDS: usize = 100;

/// What the sample requests name.
const SAMPLE_WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";
const SAMPLE_URL: &str = "https://yourapp.com/webhooks/docintel";

/// Something that the system is asked to do once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// A request to the API: its name, its sample event and the status of its answer.
    Api(&'static str, &'static str, u16),
    JobChange,
    Delivery,
    FailingDelivery,
}

pub(super) const TASKS: [Task; 9] = [
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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Api(name, ..) => name,
            Self::JobChange => "a job's change",
            Self::Delivery => "a delivery",
            Self::FailingDelivery => "a failed attempt",
        }
    }
}

#[derive(Debug)]
pub(super) struct Account {
    aws: FakeAws,
    works: Receiver,
    fails: Receiver,
    api: Function,
    fanout: Function,
    sender: Function,
    /// Every webhook; tasks are about the first.
    webhooks: Vec<WebhookKey>,
    /// Messages so far.
    messages: u64,
    _place: SemaphorePermit<'static>,
}

impl Account {
    /// So many tenants with a webhook and an API key each, but for the first, which has so many webhooks.
    pub(super) async fn with(webhooks: usize, tenants: usize) -> Self {
        let place = place().await;
        let aws = FakeAws::start().await;
        aws.charge();
        aws.record();
        let works = Receiver::counting(status(200), None).await;
        let fails = Receiver::counting(status(502), None).await;
        let mut targets = WebhookKey::several(webhooks);
        aws.put_api_key(api_key_row(targets[0].tenant));
        for number in 1..tenants {
            let target = WebhookKey::of(TenantId::random());
            let mut row = api_key_row(target.tenant);
            row["key_hash"]["S"] = Value::from(format!("{number:064x}"));
            aws.put_api_key(row);
            targets.push(target);
        }
        for target in &targets {
            aws.put_webhook(target.row(&works.url()));
        }
        let start = async |name| {
            let program = Program::new(bootstrap(name).await, aws.environment());
            Function::start(&program, None).await.expect("the bootstrap asks for an event")
        };
        let (api, fanout) = (start("api").await, start("fanout").await);
        let sender = start("sender").await;
        Self {
            aws,
            works,
            fails,
            api,
            fanout,
            sender,
            webhooks: targets,
            messages: 0,
            _place: place,
        }
    }

    /// Makes a delivery to every webhook, so that the sender has met each.
    pub(super) async fn deliver_to_all(&mut self) {
        let targets = self.webhooks.clone();
        self.deliver_to(&targets).await;
    }

    /// Makes deliveries until at least so many are in the log.
    pub(super) async fn fill_log(&mut self, deliveries: usize) {
        let logged = usize::try_from(self.aws.stored_deliveries().rows).expect("it is small");
        let target = self.webhooks[0];
        self.deliver_to(&vec![target; deliveries.saturating_sub(logged)]).await;
    }

    async fn deliver_to(&mut self, targets: &[WebhookKey]) {
        let messages: Vec<Message> = targets.iter().map(|target| self.message(*target)).collect();
        self.deliver(&messages).await;
    }

    fn message(&mut self, target: WebhookKey) -> Message {
        self.messages += 1;
        Message::new(self.messages, target)
    }

    async fn deliver(&mut self, messages: &[Message]) {
        let events = messages.chunks(BATCH).map(batch_of);
        self.sender.run(events, NOTHING_FAILED).await.expect("every delivery succeeds");
    }

    /// Gives fanout so many job changes of the first tenant, and the sender what fanout queues; what both ask
    /// of AWS.
    pub(super) async fn fan_out_and_deliver(&mut self, events: usize) -> Usage {
        drop(self.aws.take_usage());
        let tenant = [self.webhooks[0].tenant];
        let numbers = (0..events).step_by(RECORDS).map(|first| first..events.min(first + RECORDS));
        let batches = numbers.map(|numbers| numbered_job_changes(&tenant, numbers));
        let batches: Vec<_> = batches.map(|batch| batch.expect("there is a tenant")).collect();
        self.fanout.run(batches, NOTHING_FAILED).await.expect("every event is queued");
        let queued = self.aws.take_queued(DELIVERIES).into_iter();
        let messages: Vec<Message> =
            (1..).zip(queued).map(|(number, sent)| Message::queued(number, sent.body)).collect();
        self.deliver(&messages).await;
        self.aws.take_usage()
    }

    /// What a task asks of AWS when the functions have done it before.
    pub(super) async fn ask(&mut self, task: Task) -> Usage {
        self.work(task).await;
        drop(self.aws.take_usage());
        self.work(task).await;
        self.aws.take_usage()
    }

    async fn work(&mut self, task: Task) {
        let target = self.webhooks[0];
        match task {
            Task::Api(name, sample, status) => {
                let event = self.request(sample);
                let Invocation { answer, .. } = self.api.invoke(event.into()).await.expect(name);
                let (Ok(answer) | Err(answer)) = answer;
                let read: Value = serde_json::from_slice(&answer).unwrap_or_default();
                assert_eq!(read["statusCode"], status, "{name}: {answer:?}");
            }
            Task::JobChange => {
                let changes = job_changes(&[target.tenant], 1).expect("there is a tenant");
                self.fanout.run([changes], NOTHING_FAILED).await.expect("it is queued");
            }
            Task::Delivery => self.deliver_to(&[target]).await,
            Task::FailingDelivery => {
                self.aws.put_webhook(target.row(&self.fails.url()));
                let message = self.message(target);
                let failed =
                    format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, message.id);
                let event = batch_of(&[message]);
                self.sender.run([event], &failed).await.expect("the attempt fails");
                self.aws.put_webhook(target.row(&self.works.url()));
            }
        }
    }

    /// A sample request, about the first webhook or for a new one on this machine.
    fn request(&self, sample: &str) -> String {
        let mut event: Value = serde_json::from_str(sample).expect("a sample is JSON");
        let path = event["rawPath"].as_str().expect("a request has a path");
        let path = path.replace(SAMPLE_WEBHOOK, &self.webhooks[0].webhook.to_string());
        event["requestContext"]["http"]["path"] = path.as_str().into();
        event["rawPath"] = path.into();
        if let Some(body) = event["body"].as_str() {
            event["body"] = body.replace(SAMPLE_URL, &self.works.url()).into();
        }
        event.to_string()
    }
}
