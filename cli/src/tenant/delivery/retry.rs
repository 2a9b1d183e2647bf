//! `docintell deliveries retry`: sends deliveries again, as the API does for their owner.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use anyhow::{Result, bail};
use serde_json::json;
use webhooks::aws::chain;
use webhooks::id::{DeliveryId, WebhookId};
use webhooks::queue::Queue;
use webhooks::redelivery::{Redelivered, redeliver};
use webhooks::store::deliveries::DeliveryRow;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;
use webhooks::withheld::Withheld;

use super::count_deliveries;
use super::read::Reader;
use crate::output;
use crate::stop::{Stop, Stopped};

#[derive(Debug)]
pub(super) struct Retrier<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) queue: Queue,
}

/// What became of one delivery.
#[derive(Debug, PartialEq, Eq)]
enum Retried {
    /// The message of this chain is queued.
    Started(u32),
    UnderWay,
    WebhookOff,
    WebhookNeedsTest,
    WebhookDeleted,
    NotFound,
    Failed(String),
}

impl Retried {
    /// For scripts.
    const fn name(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::UnderWay => "under_way",
            Self::WebhookOff => "webhook_off",
            Self::WebhookNeedsTest => "webhook_needs_test",
            Self::WebhookDeleted => "webhook_deleted",
            Self::NotFound => "not_found",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Retried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(chain) => write!(f, "started: chain {chain}"),
            Self::UnderWay => f.write_str("attempts are under way: retry when they have ended"),
            Self::WebhookOff => {
                f.write_str("its webhook is off: switch it on first, with `webhooks enable`")
            }
            Self::WebhookNeedsTest => {
                f.write_str("its webhook needs a successful test first: its owner can make one")
            }
            Self::WebhookDeleted => f.write_str("its webhook is deleted"),
            Self::NotFound => {
                f.write_str("not found: no webhook of the tenant has it, or it has expired")
            }
            Self::Failed(reason) => write!(f, "failed: {}", printable(reason)),
        }
    }
}

impl Retrier<'_> {
    /// Prints what became of each. An error if one was not started.
    pub(super) async fn retry_all(&self, ids: &[DeliveryId], json: bool) -> Result<()> {
        let rows = self.reader.find(ids).await?;
        // Until now, Ctrl-C has ended the program at once.
        let stop = Stop::on_signals()?;
        let mut webhooks = HashMap::new();
        let mut started = 0;
        for (done, id) in ids.iter().enumerate() {
            if stop.is_requested() {
                let left = count_deliveries(ids.len() - done);
                return Err(Stopped(format!("{left} were not retried")).into());
            }
            let row = rows.get(id);
            let retried = match row {
                None => Retried::NotFound,
                Some(row) => self.retry(row, &mut webhooks).await?,
            };
            started += usize::from(matches!(retried, Retried::Started(_)));
            print(*id, row, &retried, json)?;
        }
        if started < ids.len() {
            bail!("{started} of {} started", count_deliveries(ids.len()));
        }
        Ok(())
    }

    /// `webhooks` has those that were looked up, and `None` for a deleted one.
    async fn retry(
        &self,
        row: &DeliveryRow,
        webhooks: &mut HashMap<WebhookId, Option<Webhook>>,
    ) -> Result<Retried> {
        let id = row.summary.webhook.webhook_id;
        let webhook = match webhooks.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(self.reader.tenant.find_webhook(id).await?),
        };
        let Some(webhook) = webhook else { return Ok(Retried::WebhookDeleted) };
        match webhook.withheld() {
            None => {}
            Some((Withheld::SwitchedOff, _)) => return Ok(Retried::WebhookOff),
            Some((Withheld::NeedsTest, _)) => return Ok(Retried::WebhookNeedsTest),
        }
        let (log, now) = (&self.reader.log, Timestamp::now());
        Ok(match redeliver(log, &self.queue, &row.summary, None, now).await {
            Ok(Redelivered::Queued(row)) => Retried::Started(row.summary.chain),
            Ok(Redelivered::UnderWay) => Retried::UnderWay,
            Err(error) => Retried::Failed(chain(&error)),
        })
    }
}

fn print(id: DeliveryId, row: Option<&DeliveryRow>, retried: &Retried, json: bool) -> Result<()> {
    if !json {
        return output::line(format_args!("{id}  {retried}"));
    }
    let (chain, error) = match retried {
        Retried::Started(chain) => (Some(chain), None),
        Retried::Failed(reason) => (None, Some(reason)),
        _ => (None, None),
    };
    output::json(&json!({
        "delivery_id": id,
        "webhook_config_id": row.map(|row| row.summary.webhook.webhook_id),
        "result": retried.name(),
        "chain": chain,
        "error": error,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_has_a_name_for_scripts_and_a_text_for_people() {
        for (retried, name, text) in [
            (Retried::Started(2), "started", "chain 2"),
            (Retried::UnderWay, "under_way", "under way"),
            (Retried::WebhookOff, "webhook_off", "webhooks enable"),
            (Retried::WebhookNeedsTest, "webhook_needs_test", "a successful test"),
            (Retried::WebhookDeleted, "webhook_deleted", "deleted"),
            (Retried::NotFound, "not_found", "not found"),
            (Retried::Failed("\u{1b}no".to_owned()), "failed", "failed: ␛no"),
        ] {
            assert_eq!(retried.name(), name);
            assert!(retried.to_string().contains(text), "{retried}");
        }
    }
}
