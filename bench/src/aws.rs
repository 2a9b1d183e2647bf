//! The AWS that a measured function knows: DynamoDB, SQS and Secrets Manager over their JSON protocols,
//! answering at memory speed.
//!
//! The rule: it counts every request with its size and, where that is wanted, what AWS would charge for.
//! Writes change no row that can be read; of the log its size is kept, and messages where they are wanted.

mod log;
pub(crate) mod size;
pub mod usage;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use log::DeliveryLog;
pub use log::Stored;
use usage::{Operation, Usage};

/// The endpoint of every AWS service that the functions use.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    account: Arc<Mutex<Account>>,
}

/// What the account holds, and what it was asked for.
#[derive(Debug, Default)]
struct Account {
    /// `WebhookConfigs`: by tenant, the rows in DynamoDB's own form by webhook.
    webhooks: BTreeMap<String, BTreeMap<String, Value>>,
    /// `ApiKeys`, by hash.
    keys: HashMap<String, Value>,
    /// The text of the one secret that every webhook has.
    secret: String,
    log: DeliveryLog,
    /// Whether the log's rows are looked at, to be charged for.
    charges: bool,
    /// Messages that were sent, where they are wanted.
    sent: Option<Vec<Sent>>,
    /// Requests to the delivery log, where they are wanted.
    logged: Option<Vec<Value>>,
    /// How long each answer takes.
    latency: Duration,
    usage: Usage,
}

/// A message that a function has sent to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The queue's URL.
    pub queue: String,
    /// The message's text.
    pub body: String,
}

/// The environment in which the SDK finds an endpoint, a region and credentials.
#[must_use]
pub fn credentials(endpoint: &str) -> Vec<(&'static str, String)> {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIABENCH"),
        ("AWS_SECRET_ACCESS_KEY", "a secret access key of the benchmark"),
        ("AWS_SESSION_TOKEN", "a session token of the benchmark"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

impl Aws {
    /// An empty account, in which every webhook's secret is `secret`.
    pub async fn start(secret: &str) -> Result<Self> {
        let secret = json!({"current": secret}).to_string();
        let account = Arc::new(Mutex::new(Account { secret, ..Account::default() }));
        let server = Server::start(None, {
            let account = Arc::clone(&account);
            move |request| {
                let (answer, latency) = serve(&account, &request);
                async move {
                    if !latency.is_zero() {
                        tokio::time::sleep(latency).await;
                    }
                    answer
                }
            }
        })
        .await?;
        Ok(Self { server, account })
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Puts a webhook's row, in DynamoDB's own form.
    pub fn put_webhook(&self, row: Value) {
        let id = |name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
        let (tenant, webhook) = (id("tenant_id"), id("webhook_config_id"));
        self.account().webhooks.entry(tenant).or_default().insert(webhook, row);
    }

    /// Puts an API key's row, in DynamoDB's own form.
    pub fn put_api_key(&self, row: Value) {
        let hash = row["key_hash"]["S"].as_str().unwrap_or_default().to_owned();
        self.account().keys.insert(hash, row);
    }

    /// From now on every answer takes so long.
    pub fn answer_after(&self, latency: Duration) {
        self.account().latency = latency;
    }

    /// From now on the log's size and the units of its writes are counted. Each row has to be read for
    /// that, by a processor that the function under measurement is waiting for.
    pub fn charge(&self) {
        self.account().charges = true;
    }

    /// From now on messages that are sent can be taken.
    pub fn keep_messages(&self) {
        self.account().sent = Some(Vec::new());
    }

    /// The messages that were sent since the last time.
    #[must_use]
    pub fn take_messages(&self) -> Vec<Sent> {
        self.account().sent.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// From now on requests to the delivery log can be taken.
    pub fn keep_log(&self) {
        self.account().logged = Some(Vec::new());
    }

    /// The writes to the delivery log since the last time, as they were asked for.
    #[must_use]
    pub fn take_log(&self) -> Vec<Value> {
        self.account().logged.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How large the delivery log is.
    #[must_use]
    pub fn stored_deliveries(&self) -> Stored {
        self.account().log.stored()
    }

    /// What was asked for since the last time.
    #[must_use]
    pub fn take_usage(&self) -> Usage {
        std::mem::take(&mut self.account().usage)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        locked(&self.account)
    }
}

fn locked(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer, and how long it is to take.
fn serve(account: &Mutex<Account>, request: &Request<Bytes>) -> (Answer, Duration) {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let name = target.and_then(|target| target.split_once('.')).map_or("", |(_, name)| name);
    let mut account = locked(account);
    let (status, body) = if let Some(operation) = Operation::named(name) {
        let is_read = account.charges || account.logged.is_some();
        let (answer, units) = if operation == Operation::BatchWriteItem && !is_read {
            (json!({"UnprocessedItems": {}}), 0)
        } else {
            let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            account.answer(operation, &input)
        };
        let body = answer.to_string();
        account.usage.add(operation, request.body().len(), body.len(), units);
        (StatusCode::OK, body)
    } else {
        let error = json!({"__type": "UnknownOperationException", "message": name});
        (StatusCode::BAD_REQUEST, error.to_string())
    };
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    (answer, account.latency)
}

impl Account {
    /// The answer, and the units that AWS charges for it.
    fn answer(&mut self, operation: Operation, input: &Value) -> (Value, u64) {
        if let (Operation::BatchWriteItem | Operation::UpdateItem, Some(logged)) =
            (operation, &mut self.logged)
        {
            logged.push(input.clone());
        }
        match operation {
            Operation::GetItem => {
                let key = &input["Key"];
                let row = match key["key_hash"]["S"].as_str() {
                    Some(hash) => self.keys.get(hash),
                    None => self.webhook(key),
                };
                let units = size::read_units(row.map_or(0, size::of_item));
                (row.map_or_else(|| json!({}), |row| json!({"Item": row})), units)
            }
            Operation::Query => {
                let tenant = &input["ExpressionAttributeValues"][":tenant"]["S"];
                let rows = tenant.as_str().and_then(|tenant| self.webhooks.get(tenant));
                let rows: Vec<&Value> = rows.into_iter().flat_map(BTreeMap::values).collect();
                let bytes = rows.iter().map(|row| size::of_item(row)).sum();
                (json!({"Items": rows, "Count": rows.len()}), size::read_units(bytes))
            }
            Operation::BatchGetItem => self.batch_get(input),
            Operation::BatchWriteItem => {
                let tables = input["RequestItems"].as_object().into_iter().flatten();
                let puts = tables.flat_map(|(_, puts)| puts.as_array().into_iter().flatten());
                let units = puts.map(|put| self.log.put(&put["PutRequest"]["Item"])).sum();
                (json!({"UnprocessedItems": {}}), units)
            }
            Operation::UpdateItem => self.update(input),
            Operation::TransactWriteItems => {
                let writes = input["TransactItems"].as_array().into_iter().flatten();
                // A transaction prepares and commits: two writes of each item.
                let units =
                    writes.map(|write| 2 * size::write_units(size::of_item(&write["Put"]["Item"])));
                (json!({}), units.sum())
            }
            Operation::SendMessageBatch => {
                self.keep(input, input["Entries"].as_array().map_or(&[], Vec::as_slice));
                let entries = input["Entries"].as_array().into_iter().flatten();
                let sent = entries
                    .map(|it| json!({"Id": it["Id"], "MessageId": "m", "MD5OfMessageBody": ""}));
                let answer = json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []});
                (answer, size::queue_units(input))
            }
            Operation::SendMessage => {
                self.keep(input, std::slice::from_ref(input));
                (json!({"MessageId": "m", "MD5OfMessageBody": ""}), size::queue_units(input))
            }
            Operation::ChangeMessageVisibility
            | Operation::ReceiveMessage
            | Operation::DeleteMessageBatch => (json!({}), 1),
            Operation::GetSecretValue => {
                (json!({"SecretString": self.secret, "VersionId": input["VersionId"]}), 1)
            }
            Operation::CreateSecret | Operation::PutSecretValue | Operation::DeleteSecret => {
                (json!({"VersionId": "3f1f6f6e-0000-4000-8000-000000000002"}), 1)
            }
        }
    }

    fn webhook(&self, key: &Value) -> Option<&Value> {
        let tenant = self.webhooks.get(key["tenant_id"]["S"].as_str()?)?;
        tenant.get(key["webhook_config_id"]["S"].as_str()?)
    }

    fn batch_get(&self, input: &Value) -> (Value, u64) {
        let mut units = 0;
        let mut responses = serde_json::Map::new();
        for (table, request) in input["RequestItems"].as_object().into_iter().flatten() {
            let keys = request["Keys"].as_array().into_iter().flatten();
            let rows: Vec<&Value> = keys
                .filter_map(|key| {
                    let row = self.webhook(key);
                    units += size::read_units(row.map_or(0, size::of_item));
                    row
                })
                .collect();
            responses.insert(table.clone(), json!(rows));
        }
        (json!({"Responses": responses, "UnprocessedKeys": {}}), units)
    }

    fn keep(&mut self, input: &Value, messages: &[Value]) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(sent) = &mut self.sent {
            let queue = &input["QueueUrl"];
            let kept = |it: &Value| Sent { queue: text(queue), body: text(&it["MessageBody"]) };
            sent.extend(messages.iter().map(kept));
        }
    }

    /// An update of a webhook is answered with its row as it was.
    fn update(&mut self, input: &Value) -> (Value, u64) {
        let key = &input["Key"];
        if key["delivery_id"].is_object() {
            return (json!({}), self.log.update(input));
        }
        let row = self.webhook(key).cloned().unwrap_or_default();
        let said = size::of_item(key) + size::of_item(&input["ExpressionAttributeValues"]);
        let units = size::write_units(size::of_item(&row).max(said));
        (json!({"Attributes": row}), units)
    }
}
