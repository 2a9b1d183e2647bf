//! What each alarm must have, whatever it watches.

use serde_json::Value;

use super::{BEFORE_THE_FIFTH_RECEIVE, TENANT_ALARMS};

pub(super) const ALARM: &str = "AWS::CloudWatch::Alarm";
const RUNBOOK: &str = include_str!("../../../docs/OPERATIONS.md");

/// What is wrong with a template's alarms: one line for each mistake.
pub(super) fn mistakes(template: &Value) -> Vec<String> {
    let of_alarm = |(name, alarm): (&str, &Value)| {
        let properties = &alarm["Properties"];
        let found = [
            topic_mistake(name, properties),
            section_mistake(properties),
            threshold_mistake(properties, template),
            missing_data_mistake(properties),
            time_mistake(name, properties),
            late_data_mistake(properties),
        ];
        found.into_iter().flatten().map(|it| format!("{name} {it}")).collect::<Vec<_>>()
    };
    alarms(template).flat_map(of_alarm).collect()
}

fn topic_mistake(name: &str, properties: &Value) -> Option<String> {
    let Some(topic) = topic(properties) else { return Some("has no topic".to_owned()) };
    let right =
        if TENANT_ALARMS.contains(&name) { "TenantDeliveryAlarms" } else { "OperatorAlarms" };
    (topic != right).then(|| format!("goes to {topic}, not to {right}"))
}

fn section_mistake(properties: &Value) -> Option<String> {
    let Some(section) = section(properties) else { return Some("names no section".to_owned()) };
    let (_, alarms) = RUNBOOK.split_once("\n## Alarms\n").expect("there is a section on alarms");
    let alarms = alarms.split("\n## ").next().unwrap_or(alarms);
    let exists = alarms.lines().any(|line| line == format!("### {section}"));
    (!exists).then(|| format!("has no section {section} in docs/OPERATIONS.md"))
}

fn threshold_mistake(properties: &Value, template: &Value) -> Option<String> {
    let parameter = properties["Threshold"]["Ref"].as_str().unwrap_or_default();
    let Some(parameter) = template["Parameters"].get(parameter) else {
        return Some("has a threshold that is not a parameter".to_owned());
    };
    let description = parameter["Description"].as_str().unwrap_or_default();
    let is_described = description.starts_with("An alarm is raised when ")
        && description.ends_with('.')
        && parameter["Default"].is_number();
    (!is_described).then(|| "has a threshold that says not when the alarm is raised".to_owned())
}

fn missing_data_mistake(properties: &Value) -> Option<String> {
    let is_explicit = properties["TreatMissingData"].is_string();
    (!is_explicit).then(|| "says not how to treat missing data".to_owned())
}

/// A single message comes back every two minutes. Metrics can be a minute late.
fn time_mistake(name: &str, properties: &Value) -> Option<String> {
    const MINUTES_BETWEEN_RECEIVES: u64 = 2;
    let number = |name: &str| properties[name].as_u64().unwrap_or_default();
    let periods = number("EvaluationPeriods");
    let datapoints = number("DatapointsToAlarm");
    if datapoints == 0 || datapoints > periods {
        return Some(format!("needs {datapoints} of {periods} datapoints"));
    }
    if !BEFORE_THE_FIFTH_RECEIVE.contains(&name) {
        return None;
    }
    let minutes = (datapoints - 1) * MINUTES_BETWEEN_RECEIVES + 1 + 1;
    if minutes > 5 {
        return Some("is raised after more than five minutes".to_owned());
    }
    (periods <= datapoints * MINUTES_BETWEEN_RECEIVES)
        .then(|| "is raised again by each message".to_owned())
}

/// `FILL` takes the place of a last minute that is late. The alarm must look at that minute again.
fn late_data_mistake(properties: &Value) -> Option<String> {
    let metrics = properties["Metrics"].as_array()?;
    let is_filled = metrics
        .iter()
        .any(|metric| metric["Expression"].as_str().is_some_and(|it| it.contains("FILL(")));
    let is_of_a_minute = metrics.iter().any(|metric| metric["MetricStat"]["Period"] == 60);
    let is_seen_once = properties["EvaluationPeriods"] == properties["DatapointsToAlarm"];
    (is_filled && is_of_a_minute && is_seen_once).then(|| "misses data that is late".to_owned())
}

/// The name of the topic that an alarm with these properties goes to.
pub(super) fn topic(properties: &Value) -> Option<&str> {
    match properties["AlarmActions"].as_array()?.as_slice() {
        [action] => action["Ref"].as_str(),
        _ => None,
    }
}

/// The heading of the section that an alarm with these properties names.
pub(super) fn section(properties: &Value) -> Option<&str> {
    let description = properties["AlarmDescription"].as_str()?;
    let (_, section) = description.split_once(". See docs/OPERATIONS.md, \"")?;
    section.strip_suffix("\".")
}

/// The name and definition of each alarm.
pub(super) fn alarms(template: &Value) -> impl Iterator<Item = (&str, &Value)> {
    of_type(template, ALARM)
}

/// The name and definition of each resource of this type.
pub(super) fn of_type<'a>(
    template: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().expect("a template has resources");
    let resources = resources.iter().map(|(name, resource)| (name.as_str(), resource));
    resources.filter(move |(_, resource)| resource["Type"] == kind)
}

pub(super) fn resource<'a>(template: &'a Value, name: &str) -> &'a Value {
    &template["Resources"][name]
}
