//! The metrics that alarms and the dashboard use, and those that exist.

use std::fmt;

use serde_json::Value;
use webhooks::metrics;

use super::form;

/// Metrics of AWS, from the documentation of each service: namespace, name, dimensions.
const OF_AWS: [(&str, &str, &[&str]); 14] = [
    ("AWS/ApiGateway", "5xx", &["ApiId"]),
    ("AWS/ApiGateway", "Count", &["ApiId"]),
    ("AWS/ApiGateway", "Latency", &["ApiId"]),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", &["TableName"]),
    ("AWS/DynamoDB", "WriteThrottleEvents", &["TableName"]),
    ("AWS/DynamoDB", "WriteThrottleEvents", &["TableName", "GlobalSecondaryIndexName"]),
    ("AWS/Lambda", "Errors", &["FunctionName"]),
    ("AWS/Lambda", "Throttles", &["FunctionName"]),
    ("AWS/Lambda", "IteratorAge", &["FunctionName"]),
    ("AWS/Lambda", "PolledEventCount", &["EventSourceMappingUUID"]),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", &["QueueName"]),
    ("AWS/SQS", "ApproximateAgeOfOldestMessageInQuietGroups", &["QueueName"]),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", &["QueueName"]),
    ("AWS/SQS", "NumberOfMessagesReceived", &["QueueName"]),
];

const NAMESPACE: &str = "DocIntell/${AWS::StackName}";

/// A metric that an alarm or the dashboard uses. References are in the form of `Fn::Sub`: `${Name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metric {
    /// Where it is used.
    pub(super) user: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) dimensions: Vec<(String, String)>,
}

impl Metric {
    /// `namespace`, `MetricName` and `Dimensions` of an alarm or of one of its metrics.
    fn of(user: &str, metric: &Value) -> Self {
        let dimensions = metric["Dimensions"].as_array().map_or(&[][..], Vec::as_slice);
        Self {
            user: user.to_owned(),
            namespace: substituted(&metric["Namespace"]),
            name: substituted(&metric["MetricName"]),
            dimensions: dimensions
                .iter()
                .map(|it| (substituted(&it["Name"]), substituted(&it["Value"])))
                .collect(),
        }
    }

    pub(super) fn is(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> bool {
        let own = self.dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.namespace == namespace && self.name == name && own.eq(dimensions.iter().copied())
    }

    /// Whether it is the metric `name` of a metric filter.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        self.is(NAMESPACE, name, &[])
    }

    /// Why CloudWatch would have no such metric.
    pub(super) fn mistake(&self, template: &Value) -> Option<String> {
        let names: Vec<&str> = self.dimensions.iter().map(|(name, _)| name.as_str()).collect();
        let exists = if self.namespace == NAMESPACE {
            let is_filter = || filter_metrics(template).contains(&self.name.as_str());
            names.is_empty() && (metrics::Metric::from_name(&self.name).is_some() || is_filter())
        } else {
            OF_AWS.contains(&(&self.namespace, &self.name, &names))
                && self.dimensions.iter().all(|(name, value)| self.exists(name, value, template))
        };
        (!exists).then(|| format!("{self} does not exist"))
    }

    fn exists(&self, dimension: &str, value: &str, template: &Value) -> bool {
        let reference = value.strip_prefix("${").and_then(|value| value.strip_suffix('}'));
        let is = |kind: &str, name: Option<&str>| {
            name.is_some_and(|name| template["Resources"][name]["Type"] == kind)
        };
        match dimension {
            "FunctionName" => is("AWS::Serverless::Function", reference),
            "QueueName" => {
                let queue = reference.and_then(|it| it.strip_suffix(".QueueName"));
                is("AWS::SQS::Queue", queue)
            }
            "TableName" => is("AWS::DynamoDB::Table", reference),
            "ApiId" => is("AWS::Serverless::HttpApi", reference),
            "EventSourceMappingUUID" => {
                mappings(template).iter().any(|it| Some(it.name.as_str()) == reference)
            }
            "GlobalSecondaryIndexName" => {
                let table = self.dimensions[0].1.trim_matches(['$', '{', '}']);
                indexes(&template["Resources"][table]).contains(&value)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {} {:?}", self.user, self.namespace, self.name, self.dimensions)
    }
}

/// All metrics of all alarms.
pub(super) fn of_alarms(template: &Value) -> Vec<Metric> {
    form::alarms(template)
        .flat_map(|(name, alarm)| {
            let properties = &alarm["Properties"];
            let single = properties.get("MetricName").map(|_| properties);
            let math = properties["Metrics"].as_array().into_iter().flatten();
            let parts = math.filter_map(|it| it.pointer("/MetricStat/Metric"));
            single.into_iter().chain(parts).map(|metric| Metric::of(name, metric))
        })
        .collect()
}

/// An event source mapping.
pub(super) struct Mapping<'a> {
    /// The name that SAM gives it.
    pub(super) name: String,
    pub(super) function: &'a str,
    pub(super) kind: &'a str,
    pub(super) properties: &'a Value,
}

/// The event source mappings of all functions.
pub(super) fn mappings(template: &Value) -> Vec<Mapping<'_>> {
    form::of_type(template, "AWS::Serverless::Function")
        .flat_map(|(function, resource)| {
            let events = resource["Properties"]["Events"].as_object().into_iter().flatten();
            events.map(move |(event, it)| Mapping {
                name: format!("{function}{event}"),
                function,
                kind: it["Type"].as_str().unwrap_or_default(),
                properties: &it["Properties"],
            })
        })
        .filter(|mapping| mapping.kind != "HttpApi")
        .collect()
}

/// The names of a table's indexes.
pub(super) fn indexes(table: &Value) -> Vec<&str> {
    let indexes = table["Properties"]["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
    indexes.filter_map(|index| index["IndexName"].as_str()).collect()
}

/// A value of the template in the form of `Fn::Sub`. Of a condition, the value if it is true.
pub(super) fn substituted(value: &Value) -> String {
    if let Some(text) = value.as_str().or(value["Fn::Sub"].as_str()) {
        return text.to_owned();
    }
    if let Some(name) = value["Ref"].as_str().or(value["Fn::GetAtt"].as_str()) {
        return format!("${{{name}}}");
    }
    match value["Fn::If"].as_array().map(Vec::as_slice) {
        Some([_condition, value, _]) => substituted(value),
        _ => panic!("{value} has an unknown form"),
    }
}

fn filter_metrics(template: &Value) -> Vec<&str> {
    form::of_type(template, "AWS::Logs::MetricFilter")
        .filter_map(|(_, filter)| {
            let metric = &filter["Properties"]["MetricTransformations"][0];
            metric["MetricName"].as_str()
        })
        .collect()
}
