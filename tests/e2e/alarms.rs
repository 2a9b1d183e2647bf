//! The alarms and the dashboard of `template.yaml`, and their sections in `docs/OPERATIONS.md`.
//!
//! The tests list what is wrong with a template. To show that they notice it, each kind of mistake is made once, in a
//! copy of the template.

mod coverage;
mod dashboard;
mod form;
mod metric;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::permissions::documents::Table;
use crate::permissions::template::Template;

/// The alarms about tenants' endpoints. All others are about the service.
const TENANT_ALARMS: [&str; 2] = ["DeadLettersAlarm", "DeadLettersArrivingAlarm"];
/// The only alarms that must be raised within five minutes, before the queue moves a message after its fifth receive.
const BEFORE_THE_FIFTH_RECEIVE: [&str; 6] = [
    "SenderErrorsAlarm",
    "SenderThrottlesAlarm",
    "FanoutErrorsAlarm",
    "FanoutThrottlesAlarm",
    "NothingAttemptedAlarm",
    "DeliveriesBlockedAlarm",
];

const NONE: [&str; 0] = [];

#[test]
fn every_queue_function_stream_table_and_api_has_its_alarms() {
    assert_eq!(coverage::missing(Template::read().value()), NONE);
}

#[test]
fn every_alarm_has_an_action_a_section_a_threshold_and_a_treatment_of_missing_data() {
    assert_eq!(form::mistakes(Template::read().value()), NONE);
}

#[test]
fn alarms_and_dashboard_use_only_metrics_that_exist() {
    let template = Template::read().value();
    let mut used = metric::of_alarms(template);
    assert!(used.len() > 30, "{used:?}");
    used.extend(dashboard::metrics(template));
    let unknown: Vec<String> = used.iter().filter_map(|metric| metric.mistake(template)).collect();
    assert_eq!(unknown, NONE);
}

#[test]
fn the_dashboard_shows_every_alarm_and_at_most_50_metrics() {
    let template = Template::read().value();
    let alarms: BTreeSet<String> =
        Template::read().names_of_type(form::ALARM).into_iter().map(str::to_owned).collect();
    assert_eq!(dashboard::alarms(template), alarms);
    let metrics = dashboard::metrics(template).len();
    assert!((30..=50).contains(&metrics), "{metrics}; more than 50 cost $3 a month");
}

#[test]
fn operations_md_lists_every_alarm_with_its_topic_and_section() {
    let template = Template::read();
    let mut alarms = template.names_of_type(form::ALARM);
    alarms.sort_unstable();
    let table = Table::read("alarm");
    assert_eq!(table.subjects(), alarms);
    for row in &table.rows {
        let [alarms, means, goes_to, section] = row.as_slice() else { panic!("{row:?}") };
        assert!(!means.text.is_empty(), "{row:?}");
        for alarm in &alarms.code {
            let properties = &template.resource(alarm)["Properties"];
            assert_eq!(goes_to.code, [form::topic(properties).expect("a topic")], "{alarm}");
            let title = form::section(properties).expect("a section");
            let link = format!("[{title}](#{})", title.to_lowercase().replace(' ', "-"));
            assert_eq!(section.text, link, "{alarm}");
        }
    }
}

#[test]
fn operations_md_explains_only_messages_and_reasons_that_the_functions_log() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let code = source(&root.join("functions")) + &source(&root.join("shared"));
    let messages = Table::read("ERROR line");
    // An AWS error is not in our code.
    let reasons = Table::read("blocked because").rows.into_iter().skip(1);
    for row in messages.rows.iter().chain(&reasons.collect::<Vec<_>>()) {
        for text in &row[0].code {
            let text = text.trim_end_matches(" …");
            assert!(code.contains(&format!("\"{text}")), "no function logs {text}");
        }
    }
}

/// All Rust files in a folder.
fn source(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    entries
        .map(|entry| {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                source(&path)
            } else if path.extension().is_some_and(|it| it == "rs") {
                fs::read_to_string(&path).expect("the file can be read")
            } else {
                String::new()
            }
        })
        .collect()
}

#[test]
fn the_tests_of_alarms_notice_a_missing_alarm() {
    let removed = |name: &str| {
        let mut template = Template::read().value().clone();
        let resources = template["Resources"].as_object_mut().expect("resources");
        resources.remove(name).unwrap_or_else(|| panic!("no {name}"));
        coverage::missing(&template)
    };
    for (name, missing) in [
        ("SenderErrorsAlarm", "SenderFunction: no alarm on Errors"),
        ("ApiThrottlesAlarm", "ApiFunction: no alarm on Throttles"),
        ("ReplayErrorLinesAlarm", "ReplayFunction: no alarm on its ERROR lines"),
        ("ReplayErrorLines", "ReplayFunction: no alarm on its ERROR lines"),
        ("FanoutIteratorAgeAlarm", "FanoutFunctionJobChange: no alarm on IteratorAge"),
        ("JobsStreamUnreadAlarm", "FanoutFunctionJobChange: no alarm on PolledEventCount"),
        ("ReplayQueueAgeAlarm", "ReplayQueue: no alarm on ApproximateAgeOfOldestMessage"),
        (
            "PipelineFaultsAlarm",
            "PipelineFaultsQueue: no alarm on ApproximateNumberOfMessagesVisible",
        ),
        ("JobsTableThrottledWritesAlarm", "JobsTable: no alarm on WriteThrottleEvents"),
        ("ApiLatencyAlarm", "HttpApi: no alarm on Latency"),
    ] {
        assert_eq!(removed(name), [missing], "without {name}");
    }
}

#[test]
fn the_tests_of_alarms_notice_each_mistake() {
    type Mistakes = fn(&Value) -> Vec<String>;
    let coverage: Mistakes = coverage::missing;
    let form: Mistakes = form::mistakes;
    let metrics: Mistakes = |template| {
        metric::of_alarms(template).iter().filter_map(|it| it.mistake(template)).collect()
    };
    for (check, at, value, expected) in [
        (form, "SenderErrorsAlarm/Properties/AlarmActions", json!([]), "has no topic"),
        (
            form,
            "DeadLettersAlarm/Properties/AlarmActions",
            json!([{"Ref": "OperatorAlarms"}]),
            "goes to OperatorAlarms, not to TenantDeliveryAlarms",
        ),
        (
            form,
            "SenderErrorsAlarm/Properties/AlarmActions",
            json!([{"Ref": "TenantDeliveryAlarms"}]),
            "goes to TenantDeliveryAlarms, not to OperatorAlarms",
        ),
        (form, "ApiLatencyAlarm/Properties/AlarmDescription", json!("Slow."), "names no section"),
        (
            form,
            "ApiLatencyAlarm/Properties/AlarmDescription",
            json!("Slow. See docs/OPERATIONS.md, \"Weather\"."),
            "has no section Weather",
        ),
        (form, "ApiLatencyAlarm/Properties/TreatMissingData", json!(null), "missing data"),
        (form, "ApiLatencyAlarm/Properties/Threshold", json!(3000), "is not a parameter"),
        (
            form,
            "NothingAttemptedAlarm/Properties/DatapointsToAlarm",
            json!(3),
            "is raised after more than five minutes",
        ),
        (
            form,
            "SenderThrottlesAlarm/Properties/EvaluationPeriods",
            json!(1),
            "is raised again by each message",
        ),
        (
            metrics,
            "Api5xxAlarm/Properties/MetricName",
            json!("5XXError"),
            "AWS/ApiGateway 5XXError",
        ),
        (metrics, "DeliveriesBlockedAlarm/Properties/MetricName", json!("Bloked"), "Bloked"),
        (
            metrics,
            "Api5xxAlarm/Properties/Dimensions",
            json!([{"Name": "ApiName", "Value": {"Ref": "HttpApi"}}]),
            "AWS/ApiGateway 5xx",
        ),
        (
            metrics,
            "SenderErrorsAlarm/Properties/Dimensions/0/Value",
            json!({"Ref": "DeliveryQueue"}),
            "AWS/Lambda Errors",
        ),
        (
            coverage,
            "SenderErrorsAlarm/Properties/Dimensions/0/Value",
            json!({"Ref": "ApiFunction"}),
            "SenderFunction: no alarm on Errors",
        ),
        (
            coverage,
            "DeliveriesTableThrottledWritesAlarm/Properties/Metrics/2/MetricStat/Metric/Dimensions",
            json!([]),
            "DeliveriesTable undelivered-index: no alarm on WriteThrottleEvents",
        ),
        (
            coverage,
            "JobsTableThrottledWritesAlarm/Condition",
            json!(null),
            "JobsTable: no alarm on WriteThrottleEvents",
        ),
        (
            coverage,
            "ApiErrorLines/Properties/FilterPattern",
            json!("{ $.level = ERROR }"),
            "ApiFunction: no alarm on its ERROR lines",
        ),
        (
            coverage,
            "SenderFunction/Properties/Events/Delivery/Properties/MetricsConfig",
            json!(null),
            "SenderFunctionDelivery: no EventCount",
        ),
    ] {
        let mut template = Template::read().value().clone();
        let place = template.pointer_mut(&format!("/Resources/{at}"));
        *place.unwrap_or_else(|| panic!("no {at}")) = value.clone();
        let mistakes = check(&template);
        let is_noticed = mistakes.len() == 1 && mistakes[0].contains(expected);
        assert!(is_noticed, "{at} = {value}: {mistakes:?}");
    }
}

#[test]
fn the_tests_of_alarms_notice_one_that_fills_gaps_and_looks_at_each_minute_once() {
    let mut template = Template::read().value().clone();
    template["Resources"]["DeadLettersArrivingAlarm"]["Properties"]["EvaluationPeriods"] = json!(1);
    assert_eq!(form::mistakes(&template), ["DeadLettersArrivingAlarm misses data that is late"]);
}
