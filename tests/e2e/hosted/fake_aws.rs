//! An AWS of the test's own: DynamoDB, SQS and Secrets Manager over their JSON protocols.
//!
//! The rule: it answers as AWS does, from the rows and secrets it is given, and refuses what AWS refuses
//! ([`refusals`]), until a rule of the test's says otherwise for one operation. It keeps what it was asked
//! apart from what it took on.

pub mod refusals;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::attributes::plain;

/// The queues' URLs, as the functions are told them.
pub const DELIVERIES: &str = "https://sqs.test/123456789012/deliveries";
/// The queue of a tenant's endpoint's failures.
pub const DEAD_LETTERS: &str = "https://sqs.test/123456789012/dead-letters";
/// The queue of our own failures.
pub const FAULTS: &str = "https://sqs.test/123456789012/pipeline-faults";

/// The endpoint of every AWS service that the functions use.
#[derive(Debug)]
pub struct FakeAws {
    address: SocketAddr,
    state: Arc<Mutex<Account>>,
    server: JoinHandle<()>,
}

/// One request as it came; the SDK's own retries are requests too.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `SendMessageBatch`.
    pub operation: String,
    /// Its body.
    pub input: Value,
}

/// A message on a queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its text.
    pub body: String,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `DelaySeconds`.
    pub delay: Option<u64>,
    /// Its string attributes.
    pub attributes: HashMap<String, String>,
}

/// An answer that a test gives in place of the usual one.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A success with this body.
    Body(Value),
    /// HTTP 500.
    Broken,
    /// HTTP 400 with this error type.
    Refused(&'static str),
    /// HTTP 400, since a condition did not hold for this row.
    ConditionFailed(Value),
    /// The usual answer, too late for anyone.
    Late,
}

type Rule = Box<dyn Fn(&Value, usize) -> Option<Reply> + Send>;

#[derive(Default)]
struct Account {
    rows: Vec<Value>,
    secrets: HashMap<String, String>,
    rules: HashMap<&'static str, Rule>,
    calls: Vec<Call>,
    queued: Vec<(String, Queued)>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl FakeAws {
    /// An account with these rows in `WebhookConfigs`, in DynamoDB's own form.
    pub async fn with_rows(rows: impl IntoIterator<Item = Value>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let account = Account { rows: rows.into_iter().collect(), ..Account::default() };
        let state = Arc::new(Mutex::new(account));
        let app = Router::new().fallback(serve).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves until it is dropped");
        });
        Self { address, state, server }
    }

    /// From now on `operation` is answered by `rule`, which is given the request's body and how many
    /// requests of this operation came before; where it says nothing the usual answer is given.
    pub fn on(
        &self,
        operation: &'static str,
        rule: impl Fn(&Value, usize) -> Option<Reply> + Send + 'static,
    ) {
        self.account().rules.insert(operation, Box::new(rule));
    }

    /// From now on every request of `operation` is answered so.
    pub fn always(&self, operation: &'static str, reply: Reply) {
        self.on(operation, move |_, _| Some(reply.clone()));
    }

    /// From now on `operation` on this queue is answered with HTTP 500.
    pub fn break_queue(&self, operation: &'static str, url: &'static str) {
        self.on(operation, move |input, _| (input["QueueUrl"] == url).then_some(Reply::Broken));
    }

    /// Puts a secret's value under its version.
    pub fn keep_secret(&self, version: &str, secret: &str) {
        self.account().secrets.insert(version.to_owned(), secret.to_owned());
    }

    /// Puts other rows in place of all.
    pub fn replace_rows(&self, rows: impl IntoIterator<Item = Value>) {
        self.account().rows = rows.into_iter().collect();
    }

    /// Every request so far.
    pub fn calls(&self) -> Vec<Call> {
        self.account().calls.clone()
    }

    /// The requests of one operation.
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.operation == operation).collect()
    }

    /// The messages that one queue has taken.
    pub fn queued(&self, url: &str) -> Vec<Queued> {
        let account = self.account();
        account.queued.iter().filter(|(at, _)| at == url).map(|(_, it)| it.clone()).collect()
    }

    /// What the delivery log was told, one entry for each row of a batch and for each update:
    /// `delivery_id`, `status`, `attempts`, `reason`.
    pub fn logged(&self) -> Vec<Value> {
        self.calls().iter().flat_map(log_entries).collect()
    }

    /// The environment that leads to this account.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let endpoint = format!("http://{}", self.address);
        [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "aws-secret-access-key-of-the-test"),
            ("AWS_SESSION_TOKEN", "aws-session-token-of-the-test"),
            ("WEBHOOKS_TABLE", "WebhookConfigs"),
            ("DELIVERIES_TABLE", "Deliveries"),
            ("DELIVERY_QUEUE_URL", DELIVERIES),
            ("DEAD_LETTER_QUEUE_URL", DEAD_LETTERS),
            ("PIPELINE_FAULTS_QUEUE_URL", FAULTS),
            ("SECRETS_PREFIX", "docintell-webhooks"),
            ("DELIVERY_LOG_DAYS", "30"),
            ("API_KEYS_TABLE", "ApiKeys"),
            ("MAX_WEBHOOKS_PER_TENANT", "50"),
            ("CHANGES_PER_MINUTE", "60"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.state.lock().expect("no handler panics")
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    State(state): State<Arc<Mutex<Account>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let operation = target.and_then(|target| target.split_once('.')).map_or("", |(_, name)| name);
    let reply = {
        let mut account = state.lock().expect("no handler panics");
        account.reply(operation, serde_json::from_slice(&body).unwrap_or_default())
    };
    match reply {
        Reply::Body(body) => (StatusCode::OK, Json(body)),
        Reply::Broken => {
            let error = json!({"__type": "InternalFailure", "message": "told to fail"});
            (StatusCode::INTERNAL_SERVER_ERROR, Json(error))
        }
        Reply::Refused(kind) => {
            (StatusCode::BAD_REQUEST, Json(json!({"__type": kind, "message": "told to refuse"})))
        }
        Reply::ConditionFailed(row) => {
            let kind = "ConditionalCheckFailedException";
            (StatusCode::BAD_REQUEST, Json(json!({"__type": kind, "message": "told", "Item": row})))
        }
        Reply::Late => {
            sleep(Duration::from_secs(30)).await;
            (StatusCode::GATEWAY_TIMEOUT, Json(json!({})))
        }
    }
}

impl Account {
    fn reply(&mut self, operation: &str, input: Value) -> Reply {
        let before = self.calls.iter().filter(|call| call.operation == operation).count();
        let told = self.rules.get(operation).and_then(|rule| rule(&input, before));
        let reply = told.unwrap_or_else(|| self.usual(operation, &input));
        if let Reply::Body(answer) = &reply {
            self.take_on(operation, &input, answer);
        }
        let operation = operation.to_owned();
        self.calls.push(Call { operation, input });
        reply
    }

    fn usual(&self, operation: &str, input: &Value) -> Reply {
        Reply::Body(match operation {
            "Query" => {
                let tenant = &input["ExpressionAttributeValues"][":tenant"];
                let rows: Vec<_> =
                    self.rows.iter().filter(|row| row["tenant_id"] == *tenant).collect();
                json!({"Items": rows, "Count": rows.len(), "ScannedCount": rows.len()})
            }
            "BatchGetItem" => {
                let keys = input["RequestItems"]["WebhookConfigs"]["Keys"].as_array();
                json!({"Responses": {"WebhookConfigs": self.rows_at(keys.map_or(&[], Vec::as_slice))}})
            }
            "BatchWriteItem" => json!({"UnprocessedItems": {}}),
            "UpdateItem" if refusals::overlaps(input) => {
                return Reply::Refused("ValidationException");
            }
            "UpdateItem" | "ChangeMessageVisibility" => json!({}),
            "SendMessage" => match refusals::of_message(input) {
                Some(code) => return Reply::Refused(code),
                None => json!({"MessageId": "m", "MD5OfMessageBody": ""}),
            },
            "SendMessageBatch" => match refusals::of_batch(input) {
                Some(code) => return Reply::Refused(code),
                None => sent_but(input, false, |_| false),
            },
            "GetSecretValue" => {
                let version = input["VersionId"].as_str().unwrap_or_default();
                match self.secrets.get(version) {
                    Some(secret) => {
                        let stored = json!({"current": secret}).to_string();
                        json!({"SecretString": stored, "VersionId": version})
                    }
                    None => return Reply::Refused("ResourceNotFoundException"),
                }
            }
            _ => return Reply::Refused("UnknownOperationException"),
        })
    }

    /// The rows at `keys`, as `BatchGetItem` answers them.
    fn rows_at(&self, keys: &[Value]) -> Vec<&Value> {
        let is_at = |row: &Value, key: &Value| {
            ["tenant_id", "webhook_config_id"].iter().all(|name| row[*name] == key[*name])
        };
        self.rows.iter().filter(|row| keys.iter().any(|key| is_at(row, key))).collect()
    }

    /// Puts on the queue what the answer says is there.
    fn take_on(&mut self, operation: &str, input: &Value, answer: &Value) {
        let url = input["QueueUrl"].as_str().unwrap_or_default();
        match operation {
            "SendMessage" => self.queued.push((url.to_owned(), queued(input))),
            "SendMessageBatch" => {
                let sent = answer["Successful"].as_array().map_or(&[][..], Vec::as_slice);
                for entry in entries(input) {
                    if sent.iter().any(|it| it["Id"] == entry["Id"]) {
                        self.queued.push((url.to_owned(), queued(entry)));
                    }
                }
            }
            _ => {}
        }
    }
}

/// The answer to a `SendMessageBatch` that takes every entry but those whose body `is_refused`, and those that
/// AWS refuses.
pub fn sent_but(input: &Value, sender_fault: bool, is_refused: impl Fn(&str) -> bool) -> Value {
    let told = if sender_fault { "InvalidMessageContents" } else { "InternalError" };
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for entry in entries(input) {
        let refusal = match refusals::of_message(entry) {
            Some(code) => Some((code, true)),
            None if is_refused(entry["MessageBody"].as_str().unwrap_or_default()) => {
                Some((told, sender_fault))
            }
            None => None,
        };
        let id = &entry["Id"];
        match refusal {
            None => sent.push(json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": ""})),
            Some((code, sender_fault)) => failed.push(
                json!({"Id": id, "SenderFault": sender_fault, "Code": code, "Message": "refused"}),
            ),
        }
    }
    json!({"Successful": sent, "Failed": failed})
}

/// The entries of a `SendMessageBatch`.
fn entries(input: &Value) -> &[Value] {
    input["Entries"].as_array().map_or(&[], Vec::as_slice)
}

fn queued(message: &Value) -> Queued {
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Queued {
        body: text(&message["MessageBody"]),
        group: message["MessageGroupId"].as_str().map(str::to_owned),
        delay: message["DelaySeconds"].as_u64(),
        attributes: attributes
            .map(|(name, value)| (name.clone(), text(&value["StringValue"])))
            .collect(),
    }
}

fn log_entries(call: &Call) -> Vec<Value> {
    match call.operation.as_str() {
        "BatchWriteItem" => {
            let puts = call.input["RequestItems"]["Deliveries"].as_array().into_iter().flatten();
            puts.map(|put| plain(&json!({"M": put["PutRequest"]["Item"]}))).collect()
        }
        "UpdateItem" => {
            let set = plain(&json!({"M": call.input["ExpressionAttributeValues"]}));
            vec![json!({
                "delivery_id": plain(&call.input["Key"]["delivery_id"]),
                "status": set[":status"],
                "attempts": set[":attempts"],
                "reason": set[":reason"],
            })]
        }
        _ => Vec::new(),
    }
}
