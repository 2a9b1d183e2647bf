//! The content of an account, its answers, and the units that AWS charges for them.
//!
//! The rule: writes do not change rows that requests can read, except those of deliveries and replays once they are
//! kept. Before that, only the size of the delivery log is kept.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::lambda::Lambda;
use super::log::DeliveryLog;
use super::queue::{self, Queued, entries, sent_but};
use super::table::{Found, Table};
use super::usage::{Operation, Usage};
use super::{Call, Reply, expression, refusals, size, writes};
use crate::fixtures::{SECRET, SECRET_VERSION};

/// Takes the request's body and the number of earlier requests of the operation.
type Rule = Box<dyn Fn(&Value, usize) -> Option<Reply> + Send>;

pub(super) struct Account {
    /// `WebhookConfigs`, by tenant and by webhook; rows in DynamoDB's format.
    pub webhooks: HashMap<String, BTreeMap<String, Value>>,
    /// `ApiKeys`, by `key_hash`.
    pub keys: HashMap<String, Value>,
    /// Signing secrets, by version.
    pub secrets: HashMap<String, String>,
    pub log: DeliveryLog,
    pub replays: Table,
    /// Rows that queries on the log and on replays have looked at.
    pub examined: u64,
    pub rules: HashMap<Operation, Rule>,
    /// The fate of every invocation.
    pub lambda: Lambda,
    /// Delay of each answer.
    pub latency: Duration,
    /// Whether to count the delivery log's size and write units.
    pub charges: bool,
    /// Whether to keep calls and messages, and to refuse what AWS refuses.
    pub records: bool,
    pub calls: Vec<Call>,
    /// Each message with its queue's URL.
    pub queued: Vec<(String, Queued)>,
    pub usage: Usage,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            webhooks: HashMap::new(),
            keys: HashMap::new(),
            secrets: HashMap::from([(SECRET_VERSION.to_owned(), SECRET.to_owned())]),
            log: DeliveryLog::default(),
            replays: Table::default(),
            examined: 0,
            rules: HashMap::new(),
            lambda: Lambda::default(),
            latency: Duration::ZERO,
            charges: false,
            records: false,
            calls: Vec::new(),
            queued: Vec::new(),
            usage: Usage::default(),
        }
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("usage", &self.usage).finish_non_exhaustive()
    }
}

impl Account {
    pub(super) fn put_webhook(&mut self, row: Value) {
        let id = |name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
        let (tenant, webhook) = (id("tenant_id"), id("webhook_config_id"));
        self.webhooks.entry(tenant).or_default().insert(webhook, row);
    }

    /// The answer to a request, and the units that AWS charges for it.
    pub(super) fn reply(&mut self, name: &str, body: &[u8]) -> (Reply, u64) {
        let operation = Operation::named(name);
        if operation == Some(Operation::BatchWriteItem) && !self.charges && !self.records {
            // Skips parsing: a measured function waits for this answer, and nobody reads the rows.
            return (Reply::Body(json!({"UnprocessedItems": {}})), 0);
        }
        let input: Value = serde_json::from_slice(body).unwrap_or_default();
        let (reply, units) = match operation {
            Some(operation) => self.reply_to(operation, &input),
            None => (Reply::Refused("UnknownOperationException"), 0),
        };
        if self.records {
            self.queue(&input, &reply);
            self.calls.push(Call { operation: name.to_owned(), input });
        }
        (reply, units)
    }

    fn reply_to(&mut self, operation: Operation, input: &Value) -> (Reply, u64) {
        if let Some(rule) = self.rules.get(&operation) {
            let before = usize::try_from(self.usage.of(operation).calls).unwrap_or(usize::MAX);
            if let Some(reply) = rule(input, before) {
                return (reply, 0);
            }
        }
        if self.records
            && let Some(code) = refusals::of(operation, input)
        {
            return (Reply::Refused(code), 0);
        }
        match self.usual(operation, input) {
            Some((answer, units)) => (Reply::Body(answer), units),
            None => (Reply::Refused("ResourceNotFoundException"), 1),
        }
    }

    /// The answer of AWS, and the units that it charges; `None` if the resource does not exist.
    fn usual(&mut self, operation: Operation, input: &Value) -> Option<(Value, u64)> {
        Some(match operation {
            Operation::GetItem => {
                let row = self.row(&input["Key"]);
                let units = size::read_units(row.as_ref().map_or(0, size::of_item));
                (row.map_or_else(|| json!({}), |row| json!({"Item": row})), units)
            }
            Operation::Query if input["TableName"] == "Deliveries" => {
                let found = self.log.query(input);
                self.found(found)
            }
            Operation::Query if input["TableName"] == "Replays" => {
                let found = self.replays.query(input);
                self.found(found)
            }
            Operation::Query => {
                let tenant = input["ExpressionAttributeValues"][":tenant"]["S"].as_str();
                let rows = tenant.and_then(|tenant| self.webhooks.get(tenant));
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
            Operation::PutItem if input["TableName"] == "Deliveries" => {
                (json!({}), self.log.put(&input["Item"]))
            }
            Operation::PutItem => (json!({}), size::write_units(size::of_item(&input["Item"]))),
            Operation::UpdateItem => self.update(input),
            Operation::TransactWriteItems => {
                // DynamoDB charges two writes per item: one to prepare and one to commit.
                let units = writes(input).iter().map(|write| match write.get("Update") {
                    Some(update) => 2 * self.update_units(update),
                    None => 2 * size::write_units(size::of_item(&write["Put"]["Item"])),
                });
                (json!({}), units.sum())
            }
            Operation::SendMessageBatch if self.records => {
                (sent_but(input, false, |_| false), size::queue_units(input))
            }
            Operation::SendMessageBatch => {
                let sent =
                    |it: &Value| json!({"Id": it["Id"], "MessageId": "m", "MD5OfMessageBody": ""});
                let sent: Vec<Value> = entries(input).iter().map(sent).collect();
                (json!({"Successful": sent, "Failed": []}), size::queue_units(input))
            }
            Operation::SendMessage => {
                (json!({"MessageId": "m", "MD5OfMessageBody": ""}), size::queue_units(input))
            }
            Operation::ChangeMessageVisibility
            | Operation::ReceiveMessage
            | Operation::DeleteMessageBatch => (json!({}), 1),
            Operation::GetSecretValue => {
                let version = input["VersionId"].as_str().unwrap_or_default();
                let stored = json!({"current": self.secrets.get(version)?}).to_string();
                (json!({"SecretString": stored, "VersionId": version}), 1)
            }
            Operation::PutEvents => {
                let sent = vec![json!({"EventId": "e"}); entries(input).len()];
                (json!({"FailedEntryCount": 0, "Entries": sent}), sent.len() as u64)
            }
            Operation::CreateSecret | Operation::PutSecretValue | Operation::DeleteSecret => {
                (json!({"VersionId": "3f1f6f6e-0000-4000-8000-000000000002"}), 1)
            }
        })
    }

    fn row(&self, key: &Value) -> Option<Value> {
        if let Some(hash) = key["key_hash"]["S"].as_str() {
            self.keys.get(hash).cloned()
        } else if key["delivery_id"].is_object() {
            self.log.get(key)
        } else if key["replay_id"].is_object() {
            self.replays.get(key)
        } else {
            self.webhook(key).cloned()
        }
    }

    fn found(&mut self, found: Found) -> (Value, u64) {
        self.examined += found.rows;
        (found.answer, found.units)
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

    /// Updates a delivery or a replay. Returns a webhook's row unchanged.
    fn update(&mut self, input: &Value) -> (Value, u64) {
        let key = &input["Key"];
        if key["delivery_id"].is_object() {
            if !self.charges {
                return (json!({}), 0);
            }
            let (row, units) = self.log.update(input);
            return (attributes(input, &row), units);
        }
        if key["replay_id"].is_object() {
            let before = self.replays.get(key).unwrap_or_else(|| key.clone());
            let row = expression::updated(&before, input);
            self.replays.put(&row);
            let bytes = size::of_item(&row).max(size::of_item(&before));
            return (attributes(input, &row), size::write_units(bytes));
        }
        let row = self.webhook(key);
        let answer = row.map_or_else(|| json!({}), |row| json!({"Attributes": row}));
        (answer, self.update_units(input))
    }

    /// The units of an update of a webhook.
    fn update_units(&self, input: &Value) -> u64 {
        let key = &input["Key"];
        let written = size::of_item(key) + size::of_item(&input["ExpressionAttributeValues"]);
        size::write_units(self.webhook(key).map_or(0, size::of_item).max(written))
    }

    /// Keeps the messages that the reply accepts.
    fn queue(&mut self, input: &Value, reply: &Reply) {
        let (Some(url), Reply::Body(answer)) = (input["QueueUrl"].as_str(), reply) else { return };
        self.queued.extend(queue::accepted(input, answer).map(|message| (url.to_owned(), message)));
    }
}

/// The answer to an `UpdateItem`.
fn attributes(input: &Value, row: &Value) -> Value {
    if input["ReturnValues"] == "ALL_NEW" { json!({"Attributes": row}) } else { json!({}) }
}
