//! Shows every delivery as it happens: a line for each attempt, cancellation, skip and internal failure.
//!
//! The rule: the delivery log is the source. It has every attempt of every webhook, even if nothing listens at the
//! endpoint. Why a delivery has no entry is in the functions' log: `function_log` shows its warnings and errors.

mod function_log;
mod json;
mod line;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::{Instant, sleep};
use webhooks::aws::chain;
use webhooks::id::DeliveryId;
use webhooks::store::deliveries::{self, DeliveryRow};
use webhooks::store::{DynamoDb, StoreError, WebhookStore};
use webhooks::webhook::Webhook;

use super::StackInfo;
use crate::job::table::JobsTable;
use crate::output;
use function_log::FunctionLog;
use line::Shown;
pub use line::{Line, Outcome};
pub(super) use line::{headings, time_of_day};

/// The shortest pause between two reads of the log.
const PERIOD: Duration = Duration::from_millis(200);

/// The pause is at least this many times the duration of the last read: a long log must not keep the emulator busy.
const PAUSE_FACTOR: u32 = 4;

/// The pause after a read that failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A read includes rows that changed up to this many seconds before the newest change: rows are not written in the
/// order of their times.
const OVERLAP_SECONDS: i64 = 60;

/// Follows the delivery log, and the warnings and errors in the functions' log.
#[derive(Debug)]
pub struct Deliveries {
    dynamodb: Client,
    table: String,
    webhooks: WebhookStore,
    jobs: JobsTable,
    functions: FunctionLog,
    /// Prints JSON.
    json: bool,
    shown: HashMap<DeliveryId, Shown>,
    /// Errors that have been reported.
    reported: HashSet<String>,
    /// The latest `ttl` of all rows read so far. Each change of a row sets its `ttl` anew.
    newest_ttl: i64,
}

impl Deliveries {
    /// Follows a local stack whose functions write to `functions_log`.
    pub fn new(info: &StackInfo, functions_log: PathBuf) -> Result<Self> {
        let config = info.aws_config();
        Ok(Self {
            webhooks: WebhookStore::new(
                DynamoDb::new(&config),
                info.outputs.webhooks_table.clone(),
            ),
            dynamodb: Client::new(&config),
            table: info.outputs.deliveries_table.clone(),
            jobs: JobsTable::new(&config, info.outputs.jobs_table()?.to_owned()),
            functions: FunctionLog::new(functions_log),
            json: false,
            shown: HashMap::new(),
            reported: HashSet::new(),
            newest_ttl: 0,
        })
    }

    /// Prints JSON instead of text if `json`.
    pub(super) fn with_json(self, json: bool) -> Self {
        Self { json, ..self }
    }

    /// Prints new lines until `is_last` accepts one, and returns that line.
    pub(super) async fn show_until(&mut self, is_last: impl Fn(&Line) -> bool) -> Result<Line> {
        loop {
            for problem in self.functions.read() {
                if self.json {
                    output::json(&json::problem(&problem))?;
                } else {
                    output::line(problem)?;
                }
            }
            let begun = Instant::now();
            match self.new_lines().await {
                Ok(lines) => {
                    let mut last = None;
                    for line in lines {
                        if self.json {
                            output::json(&json::line(&line))?;
                        } else {
                            output::line(&line)?;
                        }
                        last = last.or(Some(line).filter(&is_last));
                    }
                    if let Some(line) = last {
                        return Ok(line);
                    }
                    sleep(PERIOD.max(begun.elapsed() * PAUSE_FACTOR)).await;
                }
                // A read can fail on a busy machine.
                Err(error) => {
                    output::note(format_args!(
                        "  cannot read the delivery log, will retry: {error:#}"
                    ));
                    sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    /// The lines since the last call, by time.
    pub async fn new_lines(&mut self) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut webhooks = HashMap::new();
        for row in self.changed_rows().await? {
            self.newest_ttl = self.newest_ttl.max(row.ttl);
            let shown = Shown::of(&row);
            if self.shown.get(&row.summary.delivery_id) == Some(&shown) {
                continue;
            }
            let webhook = match webhooks.entry(row.summary.webhook) {
                Entry::Occupied(read) => read.into_mut(),
                Entry::Vacant(unread) => unread.insert(self.webhook_of(&row).await),
            };
            let before = self.shown.get(&row.summary.delivery_id);
            let mut new = line::lines(&row, before, webhook.as_ref());
            for line in &mut new {
                line.since_write = self.since_write(&row, line).await;
            }
            lines.extend(new);
            self.shown.insert(row.summary.delivery_id, shown);
        }
        lines.sort_by_key(|line| line.at);
        Ok(lines)
    }

    async fn changed_rows(&mut self) -> Result<Vec<DeliveryRow>> {
        let since = self.newest_ttl - OVERLAP_SECONDS;
        let mut items = self
            .dynamodb
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression("#ttl >= :since")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":since", AttributeValue::N(since.to_string()))
            .into_paginator()
            .items()
            .send();
        let mut rows = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.with_context(|| format!("cannot scan table {}", self.table))?;
            match deliveries::read(item) {
                Ok(row) => rows.push(row),
                Err(error) => self.report_once(&error),
            }
        }
        Ok(rows)
    }

    /// The row's webhook; `None` if it is deleted or cannot be read.
    async fn webhook_of(&mut self, row: &DeliveryRow) -> Option<Webhook> {
        let webhook =
            self.webhooks.get(row.summary.webhook.tenant_id, row.summary.webhook.webhook_id).await;
        webhook.inspect_err(|error| self.report_once(error)).ok().flatten()
    }

    fn report_once(&mut self, error: &StoreError) {
        let error = chain(error);
        if !self.reported.contains(&error) {
            output::note(format_args!("  {error}"));
            self.reported.insert(error);
        }
    }

    /// The time from the job's write to the delivery. `None` unless the first attempt of all succeeded and the job is
    /// still in the state of the event.
    async fn since_write(&self, row: &DeliveryRow, line: &Line) -> Option<Duration> {
        let (1, Some(1), Outcome::Delivered) = (line.chain, line.attempt, line.outcome) else {
            return None;
        };
        let job_id = row.summary.job_id.as_deref()?;
        // If the job cannot be read, the line appears without the time.
        let (now, at) = self.jobs.state(job_id).await.ok()??;
        let millis = line.at.unix_millis().checked_sub(at.unix_millis())?;
        (now == row.summary.event.status()).then_some(Duration::from_millis(millis))
    }
}
