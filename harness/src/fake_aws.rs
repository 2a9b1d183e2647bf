//! A fake AWS: the operations of DynamoDB, SQS, Secrets Manager, Lambda and EventBridge that the functions call.
//!
//! The rule: it answers like AWS, from its rows and secrets ([`account`]), unless a test sets another reply for an
//! operation. It counts every request. After [`FakeAws::record`] it also keeps each request and refuses what AWS
//! refuses ([`refusals`]). Measurements do not record, to keep the answers cheap.

mod account;
mod expression;
mod lambda;
pub(crate) mod log;
pub(crate) mod queue;
mod refusals;
pub(crate) mod size;
mod table;
pub(crate) mod usage;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::attributes::{item, plain};
use crate::fixtures::{DEAD_LETTERS, DELIVERIES, FAULTS, REPLAYS};
use crate::function::Environment;
use crate::lock;
use crate::server::{Answer, Server, answer};
use account::Account;
pub use lambda::Lambda;
use log::Stored;
use queue::Queued;
use usage::{Operation, Usage};

#[derive(Debug)]
pub struct FakeAws {
    server: Server,
    account: Arc<Mutex<Account>>,
}

/// One request; each retry of the SDK is a request too.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `SendMessageBatch`; empty if the request names none.
    pub operation: String,
    /// The request's body.
    pub input: Value,
}

/// A reply that a test sets.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A success with this body.
    Body(Value),
    /// HTTP 500.
    Broken,
    /// HTTP 400 with this error type.
    Refused(&'static str),
    /// HTTP 400, because the condition failed for this row.
    ConditionFailed(Value),
    /// HTTP 400, because a transaction was cancelled for these reasons, one for each of its writes.
    Cancelled(&'static [&'static str]),
    /// An answer after every client's timeout.
    Late,
}

impl FakeAws {
    /// An account with only the fixtures' secret. It counts requests and does not record them.
    pub async fn start() -> Self {
        let account = Arc::new(Mutex::new(Account::default()));
        let shared = Arc::clone(&account);
        let server = Server::http(move |request| {
            let mut account = lock(&shared);
            let reply = if lambda::is_invocation(&request) {
                Either::Left(lambda::invoke(&mut account, &request))
            } else {
                Either::Right(serve(&mut account, &request))
            };
            drop(account);
            // Waits only after the lock is released.
            async move {
                let (answer, latency) = match reply {
                    Either::Left(invocation) => return invocation.await,
                    Either::Right(served) => served,
                };
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                answer
            }
        })
        .await;
        Self { server, account }
    }

    /// A recording account with these webhooks, rows in plain JSON.
    pub async fn with_webhooks<'a>(webhooks: impl IntoIterator<Item = &'a Value>) -> Self {
        let aws = Self::start().await;
        aws.record();
        aws.replace_webhooks(webhooks);
        aws
    }

    /// From now on, keeps every request and every queued message, and refuses what AWS refuses.
    pub fn record(&self) {
        self.account().records = true;
    }

    /// From now on, counts the delivery log's size and the units of its writes. This costs time: it parses each row
    /// while the function waits.
    pub fn charge(&self) {
        self.account().charges = true;
    }

    /// Like [`FakeAws::charge`], and from now on keeps the rows of the delivery log, so that requests read and change
    /// them.
    pub fn keep_deliveries(&self) {
        let mut account = self.account();
        account.charges = true;
        account.log.keeps = true;
    }

    /// From now on, delays every answer.
    pub fn answer_after(&self, latency: Duration) {
        self.account().latency = latency;
    }

    /// From now on, answers `operation` by `rule`. Its arguments are the request's body and the number of earlier
    /// requests of this operation. `None` gives the usual answer.
    pub fn on(
        &self,
        operation: &'static str,
        rule: impl Fn(&Value, usize) -> Option<Reply> + Send + 'static,
    ) {
        let operation = Operation::named(operation).expect("the functions call it");
        self.account().rules.insert(operation, Box::new(rule));
    }

    /// From now on, answers every request of `operation` with `reply`.
    pub fn always(&self, operation: &'static str, reply: Reply) {
        self.on(operation, move |_, _| Some(reply.clone()));
    }

    /// From now on, answers `operation` on this queue with HTTP 500.
    pub fn break_queue(&self, operation: &'static str, url: &'static str) {
        self.on(operation, move |input, _| (input["QueueUrl"] == url).then_some(Reply::Broken));
    }

    /// From now on, does this with every invocation of a function.
    pub fn on_invoke(&self, lambda: Lambda) {
        self.account().lambda = lambda;
    }

    /// Adds a webhook's row in DynamoDB's format.
    pub fn put_webhook(&self, row: Value) {
        self.account().put_webhook(row);
    }

    /// Replaces all webhooks by these, rows in plain JSON.
    pub fn replace_webhooks<'a>(&self, webhooks: impl IntoIterator<Item = &'a Value>) {
        let mut account = self.account();
        account.webhooks.clear();
        webhooks.into_iter().for_each(|row| account.put_webhook(item(row)));
    }

    /// Adds an API key's row in DynamoDB's format.
    pub fn put_api_key(&self, row: Value) {
        let hash = row["key_hash"]["S"].as_str().unwrap_or_default().to_owned();
        self.account().keys.insert(hash, row);
    }

    /// Adds a delivery's row in DynamoDB's format; see [`FakeAws::keep_deliveries`].
    pub fn put_delivery(&self, row: &Value) {
        self.account().log.put(row);
    }

    /// Adds a replay's row in DynamoDB's format.
    pub fn put_replay(&self, row: &Value) {
        self.account().replays.put(row);
    }

    /// Stores a signing secret under its version.
    pub fn keep_secret(&self, version: &str, secret: &str) {
        self.account().secrets.insert(version.to_owned(), secret.to_owned());
    }

    /// Every recorded request.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.account().calls.clone()
    }

    /// The recorded requests of one operation.
    #[must_use]
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.operation == operation).collect()
    }

    /// The recorded messages on one queue.
    #[must_use]
    pub fn queued(&self, url: &str) -> Vec<Queued> {
        let account = self.account();
        account.queued.iter().filter(|(at, _)| at == url).map(|(_, it)| it.clone()).collect()
    }

    /// Takes the recorded messages off one queue.
    #[must_use]
    pub fn take_queued(&self, url: &str) -> Vec<Queued> {
        let mut account = self.account();
        account.queued.extract_if(.., |(at, _)| at == url).map(|(_, it)| it).collect()
    }

    /// The recorded writes to the delivery log, one entry for each row of a batch, for each put and for each update:
    /// `webhook`, `delivery_id`, `status`, `attempts`, `last_error`.
    #[must_use]
    pub fn logged(&self) -> Vec<Value> {
        self.calls().iter().flat_map(log_entries).collect()
    }

    /// The recorded updates of webhooks, alone or in a transaction: the changed attributes by name, null for a removed
    /// one.
    #[must_use]
    pub fn webhook_updates(&self) -> Vec<Value> {
        let updates = self.calls().into_iter().flat_map(updates);
        let of_webhooks = updates.filter(|update| update["TableName"] == "WebhookConfigs");
        of_webhooks.map(|update| changed_attributes(&update)).collect()
    }

    /// The recorded rows of the webhooks' history, in plain JSON.
    #[must_use]
    pub fn audited(&self) -> Vec<Value> {
        let calls = self.calls_of("TransactWriteItems");
        let puts = calls.iter().flat_map(|call| writes(&call.input)).map(|write| &write["Put"]);
        let of_history = puts.filter(|put| put["TableName"] == "WebhookAudit");
        of_history.map(|put| plain(&json!({"M": put["Item"]}))).collect()
    }

    /// The recorded events on the default bus, with `Detail` as JSON.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let calls = self.calls_of("PutEvents");
        calls.iter().flat_map(|call| queue::entries(&call.input)).map(event).collect()
    }

    /// The size of the delivery log since [`FakeAws::charge`].
    #[must_use]
    pub fn stored_deliveries(&self) -> Stored {
        self.account().log.stored()
    }

    /// Rows that queries on the delivery log and on replays have looked at since the last call.
    #[must_use]
    pub fn take_examined(&self) -> u64 {
        std::mem::take(&mut self.account().examined)
    }

    /// The usage since the last call.
    #[must_use]
    pub fn take_usage(&self) -> Usage {
        std::mem::take(&mut self.account().usage)
    }

    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The environment of every function: this account's endpoint and credentials, and the template's variables.
    /// Endpoints on this machine are allowed.
    #[must_use]
    pub fn environment(&self) -> Environment {
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "aws-secret-access-key-of-the-test"),
            ("AWS_SESSION_TOKEN", "aws-session-token-of-the-test"),
            ("WEBHOOKS_TABLE", "WebhookConfigs"),
            ("WEBHOOK_AUDIT_TABLE", "WebhookAudit"),
            ("AUDIT_DAYS", "400"),
            ("DELIVERIES_TABLE", "Deliveries"),
            ("API_KEYS_TABLE", "ApiKeys"),
            ("DELIVERY_QUEUE_URL", DELIVERIES),
            ("REPLAYS_TABLE", "Replays"),
            ("REPLAY_QUEUE_URL", REPLAYS),
            ("REPLAY_RATE", "50"),
            ("MAX_REPLAY_RATE", "500"),
            ("DEAD_LETTER_QUEUE_URL", DEAD_LETTERS),
            ("PIPELINE_FAULTS_QUEUE_URL", FAULTS),
            ("SECRETS_PREFIX", "docintell-webhooks"),
            ("SENDER_FUNCTION_NAME", "sender"),
            ("DELIVERY_LOG_DAYS", "30"),
            ("RETRIED_CLIENT_ERRORS", ""),
            ("DISABLE_AFTER_DAYS", "5"),
            ("SKIPPED_EVENT_DAYS", "30"),
            ("MAX_WEBHOOKS_PER_TENANT", "50"),
            ("CHANGES_PER_MINUTE", "60"),
            ("REQUIRE_TESTED_ENDPOINTS", "false"),
            ("ALLOW_HTTP_ENDPOINTS", "true"),
            ("ALLOWED_NETWORKS", "127.0.0.0/8,::1/128"),
            ("EXTRA_CA_FILE", ""),
            ("LOG_LEVEL", "INFO"),
            ("METRICS_NAMESPACE", "DocIntell/docintell-webhooks"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    /// [`FakeAws::environment`] with these variables replaced.
    #[must_use]
    pub fn environment_with(&self, own: &[(&'static str, &str)]) -> Environment {
        let mut environment = self.environment();
        environment.extend(own.iter().map(|&(name, value)| (name, value.to_owned())));
        environment
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }
}

/// Returns the answer and its delay.
fn serve(account: &mut Account, request: &Request<Bytes>) -> (Answer, Duration) {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let name = target.and_then(|target| target.split_once('.')).map_or("", |(_, name)| name);
    let (reply, units) = account.reply(name, request.body());
    let error = |kind: &str| json!({"__type": kind, "message": "ordered by the test"}).to_string();
    let mut latency = account.latency;
    let (status, body) = match reply {
        Reply::Body(body) => (StatusCode::OK, body.to_string()),
        Reply::Broken => (StatusCode::INTERNAL_SERVER_ERROR, error("InternalFailure")),
        Reply::Refused(kind) => (StatusCode::BAD_REQUEST, error(kind)),
        Reply::ConditionFailed(row) => {
            let kind = "ConditionalCheckFailedException";
            let error = json!({"__type": kind, "message": "ordered by the test", "Item": row});
            (StatusCode::BAD_REQUEST, error.to_string())
        }
        Reply::Cancelled(reasons) => {
            let kind = "TransactionCanceledException";
            let reasons: Vec<Value> = reasons.iter().map(|code| json!({"Code": code})).collect();
            let error = json!({"__type": kind, "message": "ordered by the test", "CancellationReasons": reasons});
            (StatusCode::BAD_REQUEST, error.to_string())
        }
        Reply::Late => {
            latency = Duration::from_secs(30);
            (StatusCode::GATEWAY_TIMEOUT, "{}".to_owned())
        }
    };
    if let Some(operation) = Operation::named(name) {
        account.usage.add(operation, request.body().len(), body.len(), units);
    }
    (answer(status, body), latency)
}

fn log_entries(call: &Call) -> Vec<Value> {
    match call.operation.as_str() {
        "BatchWriteItem" => {
            let puts = call.input["RequestItems"]["Deliveries"].as_array().into_iter().flatten();
            puts.map(|put| plain(&json!({"M": put["PutRequest"]["Item"]}))).collect()
        }
        "PutItem" if call.input["TableName"] == "Deliveries" => {
            vec![plain(&json!({"M": call.input["Item"]}))]
        }
        "UpdateItem" if call.input["TableName"] == "Deliveries" => {
            let set = plain(&json!({"M": call.input["ExpressionAttributeValues"]}));
            vec![json!({
                "webhook": plain(&call.input["Key"]["webhook"]),
                "delivery_id": plain(&call.input["Key"]["delivery_id"]),
                "status": set[":status"],
                "attempts": set[":attempts"],
                "last_error": set[":last_error"],
            })]
        }
        _ => Vec::new(),
    }
}

/// The writes of a `TransactWriteItems`.
fn writes(input: &Value) -> &[Value] {
    input["TransactItems"].as_array().map_or(&[], Vec::as_slice)
}

/// The updates of a request.
fn updates(call: Call) -> Vec<Value> {
    match call.operation.as_str() {
        "UpdateItem" => vec![call.input],
        _ => writes(&call.input).iter().filter_map(|write| write.get("Update").cloned()).collect(),
    }
}

/// The attributes that an `UpdateItem` writes, in plain JSON.
fn changed_attributes(input: &Value) -> Value {
    let values = &input["ExpressionAttributeValues"];
    let writes = expression::writes(input).into_iter();
    writes.map(|write| (write.path.concat(), plain(&values[write.operand]))).collect()
}

fn event(entry: &Value) -> Value {
    let mut event = entry.clone();
    let detail = entry["Detail"].as_str().and_then(|text| serde_json::from_str(text).ok());
    event["Detail"] = detail.unwrap_or_default();
    event
}
