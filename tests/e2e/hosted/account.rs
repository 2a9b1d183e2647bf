//! An account of any size with the three real functions, on a fake AWS that counts requests.

use harness::fixtures::{
    DELIVERIES, Message, NOTHING_FAILED, WebhookKey, api_key_row, batch_of, job_changes,
    numbered_job_changes,
};
use harness::{
    FakeAws, Function, Invocation, Lambda, Program, Receiver, Usage, bootstrap, place, status,
};
use serde_json::Value;
use tokio::sync::SemaphorePermit;
use webhooks::id::TenantId;

/// Messages in a batch from the queue.
const BATCH: usize = 10;
/// Job changes in a batch from the stream.
const RECORDS: usize = 100;

/// The webhook and the URL in the sample requests.
const SAMPLE_WEBHOOK: &str = "550e8400-e29b-41d4-a716-446655440000";
const SAMPLE_URL: &str = "https://yourapp.com/webhooks/docintel";

/// One operation of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// A request to the API: its name, its sample event and the expected status.
    Api(&'static str, &'static str, u16),
    JobChange,
    Delivery,
    FailingDelivery,
}

pub(super) const TASKS: [Task; 11] = [
    Task::Api("create", include_str!("../../../events/api-create.json"), 201),
    Task::Api("get", include_str!("../../../events/api-get.json"), 200),
    Task::Api("list", include_str!("../../../events/api-list.json"), 200),
    Task::Api("update", include_str!("../../../events/api-update.json"), 200),
    Task::Api("rotate", include_str!("../../../events/api-rotate.json"), 200),
    Task::Api("end overlap", include_str!("../../../events/api-delete-previous-secret.json"), 204),
    Task::Api("test", include_str!("../../../events/api-test.json"), 200),
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
    working: Receiver,
    failing: Receiver,
    api: Function,
    fanout: Function,
    sender: Function,
    /// Every webhook. Tasks use the first.
    webhooks: Vec<WebhookKey>,
    /// The number of messages so far.
    messages: u64,
    _slot: SemaphorePermit<'static>,
}

impl Account {
    /// An account with this many tenants. The first has this many webhooks, each other tenant one; each has a key.
    pub(super) async fn with(webhooks: usize, tenants: usize) -> Self {
        let slot = place().await;
        let aws = FakeAws::start().await;
        aws.charge();
        aws.record();
        let working = Receiver::counting(status(200), None).await;
        let failing = Receiver::counting(status(502), None).await;
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
            aws.put_webhook(target.row(&working.url()));
        }
        let start = async |name| {
            let program = Program::new(bootstrap(name).await, aws.environment());
            Function::start(&program, None).await.expect("the bootstrap starts")
        };
        let (api, fanout) = (start("api").await, start("fanout").await);
        let sender = start("sender").await;
        aws.on_invoke(Lambda::Runs(sender.invoker()));
        Self {
            aws,
            working,
            failing,
            api,
            fanout,
            sender,
            webhooks: targets,
            messages: 0,
            _slot: slot,
        }
    }

    /// Delivers to every webhook, so that the sender has cached each secret.
    pub(super) async fn deliver_to_all(&mut self) {
        let targets = self.webhooks.clone();
        self.deliver_to(&targets).await;
    }

    /// Delivers until the log has at least this many deliveries.
    pub(super) async fn fill_log(&mut self, deliveries: usize) {
        let logged = usize::try_from(self.aws.stored_deliveries().rows).expect("the number fits");
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

    /// Gives fanout this many job changes of the first tenant, and the sender the messages that fanout queues.
    /// Returns the AWS usage of both.
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

    /// The AWS usage of a task that the functions have already done once.
    pub(super) async fn usage_of(&mut self, task: Task) -> Usage {
        self.perform(task).await;
        drop(self.aws.take_usage());
        self.perform(task).await;
        self.aws.take_usage()
    }

    async fn perform(&mut self, task: Task) {
        let target = self.webhooks[0];
        match task {
            Task::Api(name, sample, status) => {
                let event = self.request(sample);
                let Invocation { answer, .. } = self.api.invoke(event.into()).await.expect(name);
                let (Ok(answer) | Err(answer)) = answer;
                let response: Value = serde_json::from_slice(&answer).unwrap_or_default();
                assert_eq!(response["statusCode"], status, "{name}: {answer:?}");
            }
            Task::JobChange => {
                let changes = job_changes(&[target.tenant], 1).expect("there is a tenant");
                self.fanout.run([changes], NOTHING_FAILED).await.expect("the event is queued");
            }
            Task::Delivery => self.deliver_to(&[target]).await,
            Task::FailingDelivery => {
                self.aws.put_webhook(target.row(&self.failing.url()));
                let message = self.message(target);
                let failed =
                    format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, message.id);
                let event = batch_of(&[message]);
                self.sender.run([event], &failed).await.expect("the attempt fails");
                self.aws.put_webhook(target.row(&self.working.url()));
            }
        }
    }

    /// The sample request with the first webhook's id and with a URL on this machine.
    fn request(&self, sample: &str) -> String {
        let mut event: Value = serde_json::from_str(sample).expect("a sample is JSON");
        let path = event["rawPath"].as_str().expect("a request has a path");
        let path = path.replace(SAMPLE_WEBHOOK, &self.webhooks[0].webhook.to_string());
        event["requestContext"]["http"]["path"] = path.as_str().into();
        event["rawPath"] = path.into();
        if let Some(body) = event["body"].as_str() {
            event["body"] = body.replace(SAMPLE_URL, &self.working.url()).into();
        }
        event.to_string()
    }
}
