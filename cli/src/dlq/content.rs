//! What the body of a parked message is. Pure.
//!
//! The rule: every body has a content, because everything that is parked must be seen.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use webhooks::delivery::DeliveryMessage;
use webhooks::fault::FaultBody;
use webhooks::text::printable;

/// The content of a message on either queue.
#[derive(Debug)]
pub(super) enum Content {
    /// A delivery: the only kind in the dead-letter queue.
    Delivery(DeliveryMessage),
    /// A record that a function parked.
    Fault { fault: FaultBody<'static>, record: Record },
    /// Lambda gave up on a batch of the jobs table's stream and parked its position.
    StreamBatch { reason: String },
    /// Anything else; the text says why it is not a delivery.
    Unreadable(String),
}

/// The record of a fault.
#[derive(Debug)]
pub(super) enum Record {
    /// The sender or the delivery queue could not take this message.
    Delivery(DeliveryMessage),
    /// A record of the jobs table's stream.
    JobChange(Box<JobChange>),
    /// The body of an event; the webhook that should get it was unreadable.
    Event(Ids),
    /// Too long for the queue; the rest is lost.
    Cut,
    /// SQS refused the text.
    Missing,
    /// None of the formats that this version can read.
    Unknown,
}

/// A stream record and what can be read of it.
#[derive(Debug)]
pub(super) struct JobChange {
    pub(super) record: Value,
    pub(super) ids: Ids,
}

/// Printable; `None` if the record has none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) job_id: Option<String>,
    pub(super) tenant_id: Option<String>,
}

impl Content {
    pub(super) fn of(body: &str) -> Self {
        let error = match serde_json::from_str(body) {
            Ok(delivery) => return Self::Delivery(delivery),
            Err(error) => error,
        };
        if let Ok(fault) = serde_json::from_str::<FaultBody<'static>>(body) {
            let record = Record::of(&fault);
            return Self::Fault { fault, record };
        }
        match StreamBatch::parse(body) {
            Some(batch) => Self::StreamBatch { reason: batch.reason() },
            None => Self::Unreadable(printable(&format!("not a delivery message: {error}"))),
        }
    }

    /// The delivery itself, or the one that a function parked.
    pub(super) fn delivery(&self) -> Option<&DeliveryMessage> {
        match self {
            Self::Delivery(delivery) | Self::Fault { record: Record::Delivery(delivery), .. } => {
                Some(delivery)
            }
            _ => None,
        }
    }

    /// The job's and the tenant's id, if there is no delivery.
    pub(super) fn ids(&self) -> Ids {
        match self {
            Self::Fault { record: Record::JobChange(change), .. } => change.ids.clone(),
            Self::Fault { record: Record::Event(ids), .. } => ids.clone(),
            _ => Ids::default(),
        }
    }

    /// The kind of content, in a word or two.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Delivery(_) | Self::Fault { record: Record::Delivery(_), .. } => "delivery",
            Self::Fault { record: Record::JobChange(_), .. } => "job change",
            Self::Fault { record: Record::Event(_), .. } => "event",
            Self::Fault { record: Record::Cut, .. } => "cut",
            Self::Fault { record: Record::Missing, .. } => "missing",
            Self::StreamBatch { .. } => "stream batch",
            Self::Fault { record: Record::Unknown, .. } | Self::Unreadable(_) => "unreadable",
        }
    }
}

impl Record {
    fn of(fault: &FaultBody<'_>) -> Self {
        let Some(text) = &fault.record else { return Self::Missing };
        if fault.record_is_cut {
            return Self::Cut;
        }
        if let Ok(delivery) = serde_json::from_str(text) {
            return Self::Delivery(delivery);
        }
        let Ok(record) = serde_json::from_str::<Value>(text) else { return Self::Unknown };
        if record["dynamodb"].is_object() {
            let ids = ids_of_change(&record["dynamodb"]);
            return Self::JobChange(Box::new(JobChange { record, ids }));
        }
        match &record["data"] {
            data @ Value::Object(_) if record["event"].is_string() => Self::Event(Ids {
                job_id: data["job_id"].as_str().map(printable),
                tenant_id: data["tenant_id"].as_str().map(printable),
            }),
            _ => Self::Unknown,
        }
    }
}

fn ids_of_change(change: &Value) -> Ids {
    let items = ["NewImage", "Keys", "OldImage"].map(|name| &change[name]);
    let id = |attribute: &str| {
        items.iter().find_map(|item| item[attribute]["S"].as_str()).map(printable)
    };
    Ids { job_id: id("job_id"), tenant_id: id("tenant_id") }
}

/// Lambda's own message about a batch that failed for good.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamBatch<'a> {
    #[serde(borrow)]
    request_context: RequestContext<'a>,
    #[serde(rename = "DDBStreamBatchInfo", borrow)]
    batch: Position<'a>,
}

#[derive(Deserialize)]
struct RequestContext<'a> {
    #[serde(borrow)]
    condition: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Position<'a> {
    #[serde(borrow)]
    shard_id: Cow<'a, str>,
    #[serde(borrow)]
    start_sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    end_sequence_number: Cow<'a, str>,
    batch_size: u64,
}

impl<'a> StreamBatch<'a> {
    fn parse(body: &'a str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    fn reason(&self) -> String {
        let Position { shard_id, start_sequence_number, end_sequence_number, batch_size } =
            &self.batch;
        printable(&format!(
            "Lambda gave up on {batch_size} stream records ({}): shard {shard_id}, sequence numbers \
             {start_sequence_number} to {end_sequence_number}",
            self.request_context.condition
        ))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::dlq) const DELIVERY: &str = r#"{"v":1,"delivery_id":"019ae3b8-7a40-7c1e-9d2f-1a2b3c4d5e6f","event_id":"019ae3b8-7a40-7f00-8a11-0f1e2d3c4b5a","tenant_id":"770e8400-e29b-41d4-a716-446655440002","webhook_config_id":"550e8400-e29b-41d4-a716-446655440000","event":"document.uploaded","occurred_at":"2025-12-03T10:30:00Z","attempts_before":5,"blocked_since":"2025-12-03T10:30:00Z","body":{"event":"document.uploaded"}}"#;

    /// The first record of the sample event.
    pub(in crate::dlq) fn job_change() -> Value {
        let batch = include_str!("../../../events/stream-batch.json");
        serde_json::from_str::<Value>(batch).unwrap()["Records"][0].clone()
    }

    pub(in crate::dlq) fn fault(record: impl Into<Option<String>>) -> String {
        let source = "fanout";
        json!({"source": source, "reason": "no tenant", "sequence_number": "7", "record": record.into()})
            .to_string()
    }

    fn kind(body: &str) -> &'static str {
        Content::of(body).kind()
    }

    #[test]
    fn a_delivery_is_recognised_alone_and_inside_a_fault() {
        for body in [DELIVERY.to_owned(), fault(DELIVERY.to_owned())] {
            let content = Content::of(&body);
            assert_eq!(
                (content.kind(), content.delivery().unwrap().attempts_before),
                ("delivery", 5)
            );
        }
    }

    #[test]
    fn a_job_change_has_the_ids_that_can_be_read() {
        let mut record = job_change();
        record["dynamodb"]["NewImage"]["tenant_id"] = json!({"S": "ac\u{1b}me"});
        let content = Content::of(&fault(record.to_string()));
        let ids = content.ids();
        assert_eq!((content.kind(), ids.tenant_id.as_deref()), ("job change", Some("ac␛me")));
        assert_eq!(ids.job_id.as_deref(), Some("550e8400-e29b-41d4-a716-446655440000"));
    }

    #[test]
    fn a_cut_a_missing_and_an_unknown_record_are_told_apart() {
        let cut =
            fault("{\"dynam".to_owned()).replace("{\"reason", "{\"record_is_cut\":true,\"reason");
        for (body, expected) in [
            (cut, "cut"),
            (fault(None), "missing"),
            (fault("{\"v\":7}".to_owned()), "unreadable"),
            (fault("not JSON".to_owned()), "unreadable"),
            (fault(r#"{"event":"document.uploaded","data":{"job_id":"7"}}"#.to_owned()), "event"),
            ("{\"v\":7}".to_owned(), "unreadable"),
            (String::new(), "unreadable"),
        ] {
            assert_eq!(kind(&body), expected, "{body}");
        }
    }

    #[test]
    fn lambdas_own_message_says_where_the_records_are() {
        // From the AWS documentation.
        let body = r#"{"requestContext":{"requestId":"316aa6d0","functionArn":"arn:aws:lambda:us-west-2:123456789012:function:myfunction","condition":"RetryAttemptsExhausted","approximateInvokeCount":1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0","timestamp":"2019-11-14T00:13:49.717Z","DDBStreamBatchInfo":{"shardId":"shardId-00000001573689847184-864758bb","startSequenceNumber":"800000000003126276362","endSequenceNumber":"800000000003126276362","approximateArrivalOfFirstRecord":"2019-11-14T00:13:19Z","approximateArrivalOfLastRecord":"2019-11-14T00:13:19Z","batchSize":1,"streamArn":"arn:aws:dynamodb:us-west-2:123456789012:table/mytable/stream/2019-11-14T00:04:06.388"}}"#;
        let Content::StreamBatch { reason } = Content::of(body) else { panic!("not recognised") };
        assert!(
            reason.contains("1 stream records (RetryAttemptsExhausted): shard shardId-"),
            "{reason}"
        );
    }
}
