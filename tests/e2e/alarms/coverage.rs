//! Which resources of a template lack an alarm.

use serde_json::Value;

use super::form::{self, of_type};
use super::metric::{Metric, indexes, mappings, of_alarms, substituted};

/// What a template lacks: one line for each alarm.
pub(super) fn missing(template: &Value) -> Vec<String> {
    let alarmed = Alarmed { template, metrics: of_alarms(template) };
    let mut missing = Vec::new();
    alarmed.queues(&mut missing);
    alarmed.functions(&mut missing);
    alarmed.mappings(&mut missing);
    alarmed.tables(&mut missing);
    for (api, _) in of_type(template, "AWS::Serverless::HttpApi") {
        let dimensions = [("ApiId", &*reference(api))];
        alarmed.expect(&mut missing, api, "AWS/ApiGateway", "5xx", &dimensions);
        alarmed.expect(&mut missing, api, "AWS/ApiGateway", "Latency", &dimensions);
    }
    missing
}

struct Alarmed<'a> {
    template: &'a Value,
    metrics: Vec<Metric>,
}

impl Alarmed<'_> {
    fn expect(
        &self,
        missing: &mut Vec<String>,
        what: &str,
        namespace: &str,
        metric: &str,
        dimensions: &[(&str, &str)],
    ) {
        if !self.metrics.iter().any(|it| it.is(namespace, metric, dimensions)) {
            missing.push(format!("{what}: no alarm on {metric}"));
        }
    }

    /// A queue that a function reads must not grow old, and any other queue must be empty.
    fn queues(&self, missing: &mut Vec<String>) {
        let mappings = mappings(self.template);
        let read: Vec<String> =
            mappings.iter().map(|it| it.properties).map(|it| it["Queue"].to_string()).collect();
        for (queue, _) in of_type(self.template, "AWS::SQS::Queue") {
            let is_read = read.iter().any(|it| it.contains(&format!("\"{queue}.Arn\"")));
            let metric = if is_read {
                "ApproximateAgeOfOldestMessage"
            } else {
                "ApproximateNumberOfMessagesVisible"
            };
            let name = reference(&format!("{queue}.QueueName"));
            self.expect(missing, queue, "AWS/SQS", metric, &[("QueueName", &name)]);
        }
    }

    fn functions(&self, missing: &mut Vec<String>) {
        for (function, resource) in of_type(self.template, "AWS::Serverless::Function") {
            for metric in ["Errors", "Throttles"] {
                let dimensions = [("FunctionName", &*reference(function))];
                self.expect(missing, function, "AWS/Lambda", metric, &dimensions);
            }
            let log = substituted(&resource["Properties"]["LoggingConfig"]["LogGroup"]);
            let mut filters = of_type(self.template, "AWS::Logs::MetricFilter");
            let has_alarm = filters.any(|(_, filter)| {
                let filter = &filter["Properties"];
                let metric = &filter["MetricTransformations"][0]["MetricName"];
                substituted(&filter["LogGroupName"]) == log
                    && filter["FilterPattern"] == "{ $.level = \"ERROR\" }"
                    && self.metrics.iter().any(|it| it.is_ours(&substituted(metric)))
            });
            if !has_alarm {
                missing.push(format!("{function}: no alarm on its ERROR lines"));
            }
        }
    }

    /// A stream must be read, and soon.
    fn mappings(&self, missing: &mut Vec<String>) {
        for mapping in mappings(self.template) {
            if mapping.kind == "DynamoDB" {
                let age = [("FunctionName", &*reference(mapping.function))];
                self.expect(missing, &mapping.name, "AWS/Lambda", "IteratorAge", &age);
                let read = [("EventSourceMappingUUID", &*reference(&mapping.name))];
                self.expect(missing, &mapping.name, "AWS/Lambda", "PolledEventCount", &read);
            }
            if mapping.properties["MetricsConfig"]["Metrics"][0] != "EventCount" {
                missing.push(format!("{}: no EventCount", mapping.name));
            }
        }
    }

    /// A table's alarm exists if the table does, and covers its indexes.
    fn tables(&self, missing: &mut Vec<String>) {
        for (table, resource) in of_type(self.template, "AWS::DynamoDB::Table") {
            let name = reference(table);
            let condition = &resource["Condition"];
            let of_table = Alarmed {
                template: self.template,
                metrics: self
                    .metrics
                    .iter()
                    .filter(|it| &form::resource(self.template, &it.user)["Condition"] == condition)
                    .cloned()
                    .collect(),
            };
            let metric = "WriteThrottleEvents";
            of_table.expect(missing, table, "AWS/DynamoDB", metric, &[("TableName", &name)]);
            for index in indexes(resource) {
                let dimensions = [("TableName", &*name), ("GlobalSecondaryIndexName", index)];
                let what = format!("{table} {index}");
                of_table.expect(missing, &what, "AWS/DynamoDB", metric, &dimensions);
            }
        }
    }
}

fn reference(name: &str) -> String {
    format!("${{{name}}}")
}
