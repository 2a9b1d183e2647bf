//! Reads a webhook's deliveries in order of their time, a page at a time.
//!
//! The rules: the partition always comes from the caller, never from a cursor. The cost depends on the rows that are
//! looked at, not on the size of the log: a filter without `delivered` reads the sparse index.

use aws_sdk_dynamodb::types::AttributeValue;
use tracing::error;

use super::DeliveryLog;
use super::row::{self, DeliverySummary};
use crate::aws::{AwsError, chain};
use crate::delivery::DeliveryStatus;
use crate::event_type::EventType;
use crate::id::{DeliveryId, WebhookKey};
use crate::store::{SdkItem, StoreError};
use crate::timestamp::Timestamp;

/// Rows that a page may look at. A page can therefore have fewer deliveries than its limit, even none, and still be
/// followed by another one.
pub const MAX_EXAMINED: usize = 1000;

/// Queries of a page, each of at most 1 MB: rows can be large, and a request must end in time.
const MAX_QUERIES: usize = 8;

/// How many times as many rows the next query of a page reads. A filter that accepts many rows then costs little, and
/// one that accepts few needs few queries.
const GROWTH: usize = 4;

/// Rows of a further query, at most. More would take a function with little memory most of the second that a try of a
/// call has.
const MAX_ROWS: usize = 250;

/// The index of every row that is not delivered.
const INDEX: &str = "undelivered-index";

/// The attributes of a [`DeliverySummary`]; the body and the attempts are left out.
const SUMMARY: &str = "webhook, delivery_id, undelivered, #event, event_id, document_id, job_id, #status, #chain, \
     attempt_count, last_attempt, last_status_code, last_error, completed_at, next_attempt_at, replay_id";

/// Which deliveries to read; a `None` accepts all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// One of these, as of the time of the read.
    pub statuses: Option<Vec<DeliveryStatus>>,
    /// Only this type.
    pub event: Option<EventType>,
    /// Only this document.
    pub document_id: Option<String>,
    /// Only this job.
    pub job_id: Option<String>,
}

impl DeliveryFilter {
    /// True if a delivery that looks like `summary` at `now` is wanted.
    #[must_use]
    pub fn accepts(&self, summary: &DeliverySummary, now: Timestamp) -> bool {
        let status = summary.status_at(now);
        self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
            && self.event.is_none_or(|event| event == summary.event)
            && (self.document_id.is_none() || self.document_id == summary.document_id)
            && (self.job_id.is_none() || self.job_id == summary.job_id)
    }

    /// True if no delivered row is wanted, so that the index has all that are.
    fn is_undelivered(&self) -> bool {
        let statuses = self.statuses.as_ref();
        statuses.is_some_and(|statuses| !statuses.contains(&DeliveryStatus::Delivered))
    }
}

/// The order of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The latest event first.
    NewestFirst,
    /// The earliest event first.
    OldestFirst,
}

/// The times at which the events happened, both inclusive, and the position in between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Not before the second of this time.
    pub since: Option<Timestamp>,
    /// Not after this time.
    pub until: Option<Timestamp>,
    /// Only deliveries that follow this one, in the page's order. It need not exist.
    pub after: Option<DeliveryId>,
}

/// Deliveries of one webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order that was asked for.
    pub deliveries: Vec<DeliverySummary>,
    /// The position after which the next page begins; `None` if there is no more.
    pub next: Option<DeliveryId>,
    /// Rows that were left out because they are corrupt.
    pub unreadable: usize,
}

impl DeliveryLog {
    /// Reads up to `limit` deliveries of `webhook`, and looks at no more than [`MAX_EXAMINED`] rows and 8 MB. Skips a
    /// corrupt row: the caller still sees the others.
    pub async fn list(
        &self,
        webhook: WebhookKey,
        filter: &DeliveryFilter,
        range: Range,
        order: Order,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let mut page = Page::default();
        let mut left = MAX_EXAMINED;
        let Some((lowest, highest)) = bounds(range, order) else { return Ok(page) };
        let mut after = None;
        // One more than is needed shows whether there is another page.
        let mut wanted = limit.saturating_add(1).min(left);
        for _ in 0..MAX_QUERIES {
            let (rows, start) =
                self.query(webhook, filter, (lowest, highest), order, wanted, after).await?;
            left = left.saturating_sub(rows.len());
            wanted = (wanted * GROWTH).min(MAX_ROWS).min(left);
            for item in rows {
                if page.deliveries.len() == limit {
                    return Ok(page);
                }
                page.next = row::read_id(&item).or(page.next);
                match row::read_summary(item) {
                    Ok(summary) if filter.accepts(&summary, now) => page.deliveries.push(summary),
                    Ok(_refused) => {}
                    Err(error) => {
                        page.unreadable += 1;
                        error!(
                            webhook.id = %webhook.webhook_id,
                            tenant.id = %webhook.tenant_id,
                            error = %chain(&error),
                            "a delivery is missing from a list"
                        );
                    }
                }
            }
            if start.is_none() {
                return Ok(Page { next: None, ..page });
            }
            if left == 0 {
                break;
            }
            after = start;
        }
        Ok(page)
    }

    /// One `Query`. Returns up to `limit` items, and the position at which to continue.
    async fn query(
        &self,
        webhook: WebhookKey,
        filter: &DeliveryFilter,
        (lowest, highest): (DeliveryId, DeliveryId),
        order: Order,
        limit: usize,
        after: Option<SdkItem>,
    ) -> Result<(Vec<SdkItem>, Option<SdkItem>), StoreError> {
        let is_undelivered = filter.is_undelivered();
        let partition = if is_undelivered { "undelivered" } else { "webhook" };
        let id = |id: DeliveryId| AttributeValue::S(id.to_string());
        let mut request = self
            .dynamodb
            .client
            .query()
            .table_name(&self.table)
            .set_index_name(is_undelivered.then(|| INDEX.to_owned()))
            .key_condition_expression(format!(
                "{partition} = :webhook AND delivery_id BETWEEN :lowest AND :highest"
            ))
            .expression_attribute_values(":webhook", AttributeValue::S(webhook.to_string()))
            .expression_attribute_values(":lowest", id(lowest))
            .expression_attribute_values(":highest", id(highest))
            .scan_index_forward(order == Order::OldestFirst)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after);
        if !is_undelivered {
            request = request
                .projection_expression(SUMMARY)
                .expression_attribute_names("#event", "event")
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#chain", "chain");
        }
        let response = request.send().await.map_err(AwsError::of("Query"))?;
        Ok((response.items.unwrap_or_default(), response.last_evaluated_key))
    }
}

/// The lowest and the highest id of the range that follow its position; `None` if there is none.
fn bounds(range: Range, order: Order) -> Option<(DeliveryId, DeliveryId)> {
    // The stream rounds the times of events down to whole seconds.
    let since = range.since.map(Timestamp::whole_seconds);
    let lowest = since.map_or(DeliveryId::LOWEST, DeliveryId::first_at);
    let highest = range.until.map_or(DeliveryId::HIGHEST, DeliveryId::last_at);
    let (lowest, highest) = match (range.after, order) {
        (None, _) => (lowest, highest),
        (Some(after), Order::OldestFirst) => (lowest.max(after.next()?), highest),
        (Some(after), Order::NewestFirst) => (lowest, highest.min(after.previous()?)),
    };
    (lowest <= highest).then_some((lowest, highest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::aws::test_server::{TestServer, success};
    use crate::id::{TenantId, WebhookId};
    use crate::store::DynamoDb;

    const ROW: &str = "019ae3c0-0000-7000-8000-000000000001";

    #[tokio::test]
    async fn a_page_of_large_rows_ends_after_eight_queries_and_says_where_to_go_on() {
        // DynamoDB ends a query after 1 MB, whatever its limit: here after one row, which is left out of the page.
        let row = json!({"delivery_id": {"S": ROW}});
        let answer = success(json!({"Items": [row], "LastEvaluatedKey": row}));
        let server = TestServer::start([answer]).await;
        let keep = Duration::from_hours(1);
        let log = DeliveryLog::new(DynamoDb::new(&server.sdk()), "deliveries".to_owned(), keep);
        let webhook = WebhookKey { tenant_id: TenantId::random(), webhook_id: WebhookId::random() };
        let (filter, range, order) =
            (DeliveryFilter::default(), Range::default(), Order::NewestFirst);
        let page = log.list(webhook, &filter, range, order, 20, Timestamp::now()).await.unwrap();
        let limits: Vec<_> =
            server.received().iter().map(|query| query.body["Limit"].as_u64().unwrap()).collect();
        assert_eq!(limits, [21, 84, 250, 250, 250, 250, 250, 250]);
        assert_eq!(page.next.map(|id| id.to_string()).as_deref(), Some(ROW));
    }
}
