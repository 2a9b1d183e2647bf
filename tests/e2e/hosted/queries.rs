//! The queries and the metrics of docs/OPERATIONS.md name what the functions write.

use std::collections::BTreeSet;

use harness::fixtures::{
    DELIVERIES, TENANT, WebhookKey, api_key_row, batch, delivery_row, first_slice, job_change,
    replay_row, webhook, webhook_with,
};
use harness::{FakeAws, Hosted, Receiver, Reply, log_lines, status};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::metrics::Metric;

use crate::permissions::template::Template;

const OPERATIONS: &str = include_str!("../../../docs/OPERATIONS.md");

/// Words of the query language in the document's queries.
const KEYWORDS: [&str; 22] = [
    "and",
    "as",
    "asc",
    "by",
    "count",
    "count_distinct",
    "desc",
    "fields",
    "filter",
    "ispresent",
    "latest",
    "like",
    "limit",
    "max",
    "min",
    "or",
    "pct",
    "sort",
    "stats",
    "@log",
    "@message",
    "@timestamp",
];

/// The section of the document with this heading.
fn section(heading: &str) -> &'static str {
    let (_, after) = OPERATIONS.split_once(heading).expect("the document has the section");
    after.split("\n## ").next().unwrap_or(after)
}

/// The queries of the document.
fn queries() -> Vec<&'static str> {
    let blocks = section("\n## Logs\n").split("```");
    blocks.skip(1).step_by(2).map(|block| block.strip_prefix("text\n").expect("text")).collect()
}

/// A query without its texts and patterns, as the names between backticks and the rest.
fn parts(query: &str) -> (Vec<&str>, Vec<&str>) {
    let mut names = Vec::new();
    let mut rest = Vec::new();
    for (at, part) in query.split('`').enumerate() {
        if at % 2 == 1 {
            names.push(part);
        } else {
            // Every second piece is inside quotes or slashes.
            rest.extend(part.split(['"', '/']).step_by(2));
        }
    }
    (names, rest)
}

/// The names of a line's fields, as Logs Insights spells them.
fn fields(value: &Value, prefix: &str, names: &mut BTreeSet<String>) {
    let mut nested = |key: &str, value: &Value| {
        let dot = if prefix.is_empty() { "" } else { "." };
        fields(value, &format!("{prefix}{dot}{key}"), names);
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| nested(key, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| nested(&at.to_string(), item));
        }
        _ => drop(names.insert(prefix.to_owned())),
    }
}

/// The logs of all functions after every kind of delivery, with successes.
async fn logs() -> Vec<String> {
    let [good, bad] = [Receiver::start(status(200)).await, Receiver::start(status(500)).await];
    let hooks = [
        webhook(&good.url()),
        webhook(&bad.url()),
        webhook_with(&bad.url(), json!({"retry_enabled": false})),
        webhook_with(&good.url(), json!({"is_active": false})),
        webhook_with(&good.url(), json!({"secret_version": "malformed"})),
    ];
    let aws = FakeAws::with_webhooks(&hooks).await;
    aws.keep_secret("malformed", "whsec_malformed!");
    let environment = aws.environment_with(&[("LOG_LEVEL", "DEBUG")]);

    let fanout = Hosted::start("fanout", &environment).await;
    fanout.report(json!({"Records": [job_change(1, "queued")]})).await;
    let sender = fanout.start_beside("sender", &environment).await;
    let queued = aws.take_queued(DELIVERIES);
    sender.report(batch(queued.iter().map(|it| (it.body.as_str(), 1)))).await;
    let api = sender.start_beside("api", &environment).await;
    aws.put_api_key(api_key_row(TENANT.parse().expect("it is a UUID")));
    aws.always("Query", Reply::Broken);
    let request = include_str!("../../../events/api-list.json");
    api.invoke(serde_json::from_str(request).expect("a sample is JSON")).await.expect("it answers");
    let log = [fanout.finish().await, sender.finish().await, api.finish().await];
    [log.to_vec(), vec![replay_log().await]].concat()
}

/// The log of a replay of one delivery.
async fn replay_log() -> String {
    let aws = FakeAws::start().await;
    aws.keep_deliveries();
    let target = WebhookKey::random();
    aws.put_webhook(target.row("https://example.com/"));
    aws.put_delivery(&delivery_row(target, 1, DeliveryStatus::Failed));
    aws.put_replay(&replay_row(target, 50));
    let replay = Hosted::start("replay", &aws.environment_with(&[("LOG_LEVEL", "DEBUG")])).await;
    let slice = first_slice(target);
    replay.report(serde_json::from_slice(&slice).expect("an event is JSON")).await;
    replay.finish().await
}

#[tokio::test]
async fn every_field_of_a_query_is_in_the_log() {
    let mut logged = BTreeSet::new();
    // Only a bug writes these; the crate `webhooks` tests the line of a panic.
    logged.extend(["fields.panic.message", "fields.panic.place"].map(str::to_owned));
    for log in logs().await {
        for line in log_lines(&log) {
            fields(&line, "", &mut logged);
        }
    }
    let queries = queries();
    assert!(queries.len() >= 5, "{queries:?}");
    for query in queries {
        let (names, _) = parts(query);
        assert!(names.len() > 1, "{query}");
        for name in names {
            assert!(logged.contains(name), "no line has {name}: {query}\n{logged:#?}");
        }
    }
    // The text around the queries names these.
    for name in ["timestamp", "level", "spans.0.requestId", "spans.1.tenant.id"] {
        assert!(logged.contains(name), "no line has {name}");
    }
}

#[tokio::test]
async fn an_event_has_the_same_ids_in_the_logs_of_fanout_and_the_sender() {
    let [fanout, sender, ..] = &logs().await[..] else { panic!("there are several logs") };
    let fanout = log_lines(fanout);
    let event = fanout.iter().find(|line| line["fields"]["event.id"].is_string());
    let event = &event.expect("fanout logs the event")["fields"];
    assert_eq!(event["job.id"], "550e8400-e29b-41d4-a716-446655440000");
    let mut outcomes = log_lines(sender);
    outcomes.retain(|line| line["fields"]["delivery.id"].is_string());
    for outcome in &outcomes {
        assert_eq!(outcome["fields"]["event.id"], event["event.id"], "{outcome}");
    }
    let mut levels: Vec<_> = outcomes
        .iter()
        .map(|line| (line["level"].as_str(), line["fields"]["message"].as_str()))
        .map(|(level, message)| (level.unwrap_or_default(), message.unwrap_or_default()))
        .collect();
    levels.sort_unstable();
    let expected = [
        ("DEBUG", "delivered"),
        ("ERROR", "delivery blocked by an internal error"),
        ("INFO", "attempt failed; another will follow"),
        ("WARN", "last attempt failed; the delivery becomes a dead letter"),
    ];
    assert_eq!(levels, expected);
}

#[tokio::test]
async fn the_line_of_an_outcome_has_the_ids_of_its_delivery_and_what_was_measured() {
    let logs = logs().await;
    let lines = logs.iter().flat_map(|log| log_lines(log));
    let attempts = lines.filter(|line| {
        let message = line["fields"]["message"].as_str().unwrap_or_default();
        message == "delivered" || message.contains("attempt failed")
    });
    let attempts: Vec<Value> = attempts.collect();
    assert_eq!(attempts.len(), 3, "{attempts:?}");
    for attempt in attempts {
        for name in [
            "attempt.number",
            "delivery.chain",
            "delivery.id",
            "duration_ms",
            "event.id",
            "event.name",
            "http.status",
            "tenant.id",
            "webhook.id",
        ] {
            assert!(!attempt["fields"][name].is_null(), "no {name} in {attempt}");
        }
    }
}

#[test]
fn lambda_passes_every_line_and_the_functions_apply_the_log_level() {
    let template = Template::read();
    assert_eq!(
        template.part("/Globals/Function/Environment/Variables")["LOG_LEVEL"],
        json!({"Ref": "LogLevel"})
    );
    for (name, function) in template.of_type("AWS::Serverless::Function") {
        let own = &function["Properties"]["LoggingConfig"];
        assert!(own.get("ApplicationLogLevel").is_none(), "{name} has a level of its own");
    }
    let common = &template.part("/Globals/Function/LoggingConfig")["ApplicationLogLevel"];
    assert_eq!(common, "DEBUG", "Lambda would drop metrics, which it takes for INFO");
}

#[test]
fn every_field_of_a_query_is_in_backticks() {
    for query in queries() {
        let (_, rest) = parts(query);
        let text = rest.join(" ");
        let words: Vec<&str> = text
            .split(|char: char| !(char.is_ascii_alphanumeric() || "_@.".contains(char)))
            .filter(|word| !word.is_empty() && word.parse::<u64>().is_err())
            .collect();
        let aliases: BTreeSet<_> =
            words.windows(2).filter(|pair| pair[0] == "as").map(|pair| pair[1]).collect();
        for word in words {
            assert!(KEYWORDS.contains(&word) || aliases.contains(word), "{word} in {query}");
        }
    }
}

#[tokio::test]
async fn each_message_that_a_query_looks_for_is_logged() {
    let logs = logs().await.concat();
    for query in queries() {
        let filter = query.lines().find(|line| line.contains("`fields.message`"));
        let filter = filter.filter(|line| line.starts_with("filter")).unwrap_or_default();
        let sentence = filter.split(['"', '/']).nth(1);
        assert!(sentence.is_none_or(|sentence| logs.contains(sentence)), "{query}");
    }
}

#[test]
fn the_table_of_metrics_has_every_metric() {
    let rows = section("\n## Metrics\n").lines().filter(|line| line.starts_with("| `"));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let mut expected: Vec<_> = Metric::ALL.map(Metric::as_str).into();
    assert_eq!(BTreeSet::from_iter(&listed), BTreeSet::from_iter(&expected));
    expected.dedup();
    assert_eq!(listed.len(), expected.len());
}
