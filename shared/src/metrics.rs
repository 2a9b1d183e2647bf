//! Metrics: each invocation writes one line in CloudWatch's embedded metric format, from which CloudWatch makes the
//! metrics.
//!
//! The rules: no metric has a dimension, so a tenant adds no metric. A line is one write, and a failed write affects
//! nothing.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::named::named;
use crate::timestamp::Timestamp;

/// Maximum values of a metric in one line, by the format's specification.
const MAX_VALUES: usize = 100;
/// Bytes of a line to reserve.
const LINE_BYTES: usize = 512;

named! {
    /// A metric. The names are in docs/OPERATIONS.md, in the template's alarms and on its dashboard.
    pub enum Metric {
        /// Messages that the sender received.
        Received = "Received",
        /// Deliveries that succeeded.
        Delivered = "Delivered",
        /// Those of them that needed more than one attempt.
        DeliveredAfterRetry = "DeliveredAfterRetry",
        /// Failed attempts that another one follows.
        RetriesScheduled = "RetriesScheduled",
        /// Deliveries that failed for good, for one of the next three reasons.
        DeadLetters = "DeadLetters",
        /// The endpoint answered 4xx.
        DeadLettersRejected = "DeadLettersRejected",
        /// All attempts failed.
        DeadLettersExhausted = "DeadLettersExhausted",
        /// The endpoint's URL or address is not allowed.
        DeadLettersForbidden = "DeadLettersForbidden",
        /// Deliveries whose webhook was deleted or got no deliveries.
        Cancelled = "Cancelled",
        /// Deliveries that an internal error delayed or parked.
        Blocked = "Blocked",
        /// Records and messages that went to `PipelineFaultsQueue`.
        Parked = "Parked",
        /// Deliveries whose entry in the delivery log could not be written.
        LogWritesFailed = "LogWritesFailed",
        /// Webhooks that the sender switched off.
        WebhooksDisabled = "WebhooksDisabled",
        /// Changes of a webhook's health that could not be written or published.
        HealthUnwritten = "HealthUnwritten",
        /// Milliseconds from the write of the job to the start of the first attempt.
        FirstAttemptDelay = "FirstAttemptDelay",
        /// Milliseconds that an attempt took.
        AttemptDuration = "AttemptDuration",
        /// Milliseconds that the oldest message of a batch was in the queue.
        OldestMessageAge = "OldestMessageAge",
        /// Events that fanout read from the jobs table's stream.
        Events = "Events",
        /// Deliveries that fanout queued.
        Queued = "Queued",
        /// Deliveries that fanout logged as skipped.
        Skipped = "Skipped",
        /// Records that the stream delivers to fanout again.
        RecordsReturned = "RecordsReturned",
        /// Milliseconds since the write of the oldest record of a batch.
        OldestRecordAge = "OldestRecordAge",
        /// Requests to the API.
        Requests = "Requests",
        /// Those of them that were answered with a 4xx.
        Refused = "Refused",
        /// Those of them that were answered with a 5xx.
        Failures = "Failures",
        /// Deliveries that replays queued.
        Replayed = "Replayed",
        /// Slices of replays that an error interrupted.
        SlicesInterrupted = "SlicesInterrupted",
    }
}

/// The metrics of one invocation. A metric that is zero is left out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Metrics {
    counts: BTreeMap<Metric, u64>,
    values: BTreeMap<Metric, Vec<u64>>,
}

impl Metrics {
    /// Adds to a count.
    pub fn add(&mut self, metric: Metric, count: usize) {
        if count > 0 {
            *self.counts.entry(metric).or_default() += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    /// Adds a value, so that CloudWatch can compute percentiles.
    pub fn add_value(&mut self, metric: Metric, value: u64) {
        let values = self.values.entry(metric).or_default();
        if values.len() < MAX_VALUES {
            values.push(value);
        }
    }
}

/// Where an invocation's metrics go: standard output, which Lambda sends to CloudWatch.
#[derive(Debug)]
pub struct MetricsLog {
    namespace: String,
}

impl MetricsLog {
    /// Writes metrics of this namespace.
    #[must_use]
    pub fn new(namespace: String) -> Self {
        Self { namespace }
    }

    /// Writes the line of an invocation.
    pub fn write(&self, metrics: &Metrics, now: Timestamp) {
        self.write_to(stdout().lock(), metrics, now);
    }

    fn write_to(&self, mut out: impl Write, metrics: &Metrics, now: Timestamp) {
        // There is no other place to report that the log cannot be written.
        drop(out.write_all(&self.line(metrics, now)));
    }

    /// The line with its line break; empty without metrics.
    #[must_use]
    pub fn line(&self, metrics: &Metrics, now: Timestamp) -> Vec<u8> {
        let mut line = Vec::with_capacity(LINE_BYTES);
        let document = Document { namespace: &self.namespace, metrics, at: now };
        if *metrics != Metrics::default() && serde_json::to_writer(&mut line, &document).is_ok() {
            line.push(b'\n');
        }
        line
    }
}

struct Document<'a> {
    namespace: &'a str,
    metrics: &'a Metrics,
    at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    timestamp: u64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    /// One set without dimensions.
    dimensions: [[&'static str; 0]; 1],
    metrics: Vec<Definition>,
}

/// Without a unit, which would take more bytes than the value.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: Metric,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Metrics { counts, values } = self.metrics;
        let names = counts.keys().chain(values.keys());
        let metrics = names.map(|&name| Definition { name }).collect();
        let directive = Directive { namespace: self.namespace, dimensions: [[]], metrics };
        let metadata =
            Metadata { timestamp: self.at.unix_millis(), cloud_watch_metrics: [directive] };
        let mut document = serializer.serialize_map(None)?;
        document.serialize_entry("_aws", &metadata)?;
        for (name, count) in counts {
            document.serialize_entry(name, count)?;
        }
        for (name, values) in values {
            document.serialize_entry(name, values)?;
        }
        document.end()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    fn line(metrics: &Metrics) -> String {
        let log = MetricsLog::new("DocIntell/docintell-webhooks-production".to_owned());
        let mut line = Vec::new();
        log.write_to(&mut line, metrics, Timestamp::from_unix_millis(1_764_757_847_123));
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_line_has_the_form_that_cloudwatch_expects() {
        let mut metrics = Metrics::default();
        metrics.add_value(Metric::AttemptDuration, 52);
        metrics.add_value(Metric::AttemptDuration, 0);
        metrics.add(Metric::Delivered, 1);
        metrics.add(Metric::Delivered, 2);
        metrics.add(Metric::Blocked, 0);
        let expected = concat!(
            r#"{"_aws":{"Timestamp":1764757847123,"CloudWatchMetrics":["#,
            r#"{"Namespace":"DocIntell/docintell-webhooks-production","Dimensions":[[]],"#,
            r#""Metrics":[{"Name":"Delivered"},{"Name":"AttemptDuration"}]}]},"#,
            r#""Delivered":3,"AttemptDuration":[52,0]}"#,
            "\n"
        );
        assert_eq!(line(&metrics), expected);
    }

    #[test]
    fn an_invocation_without_metrics_writes_no_line() {
        assert_eq!(line(&Metrics::default()), "");
    }

    #[test]
    fn a_metric_has_at_most_100_values_in_a_line() {
        let mut metrics = Metrics::default();
        (0..101).for_each(|value| metrics.add_value(Metric::AttemptDuration, value));
        assert!(line(&metrics).ends_with("98,99]}\n"));
    }

    #[test]
    fn a_failed_write_is_ignored() {
        struct Broken;

        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> Result<usize, Error> {
                Err(Error::other("on purpose"))
            }

            fn flush(&mut self) -> Result<(), Error> {
                Ok(())
            }
        }

        let mut metrics = Metrics::default();
        metrics.add(Metric::Requests, 1);
        MetricsLog::new("test".to_owned()).write_to(Broken, &metrics, Timestamp::now());
    }
}
