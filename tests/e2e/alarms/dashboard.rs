//! The dashboard's JSON.

use std::collections::BTreeSet;

use serde_json::Value;

use super::metric::{Metric, substituted};

const DASHBOARD: &str = "Dashboard";

/// All metrics that the dashboard shows.
pub(super) fn metrics(template: &Value) -> Vec<Metric> {
    let widgets = widgets(template);
    let metrics = widgets.iter().filter_map(|it| it["properties"]["metrics"].as_array()).flatten();
    metrics.filter_map(parse).collect()
}

/// The names of the alarms that the dashboard shows.
pub(super) fn alarms(template: &Value) -> BTreeSet<String> {
    let widgets = widgets(template);
    let alarms = widgets.iter().filter_map(|it| it["properties"]["alarms"].as_array()).flatten();
    alarms
        .map(|alarm| {
            let alarm = alarm.as_str().and_then(|it| it.strip_prefix("${"));
            alarm.and_then(|it| it.strip_suffix(".Arn}")).expect("an alarm's ARN").to_owned()
        })
        .collect()
}

/// The widgets. References are in the form of `Fn::Sub`.
fn widgets(template: &Value) -> Vec<Value> {
    let body = &template["Resources"][DASHBOARD]["Properties"]["DashboardBody"]["Fn::Sub"];
    let mut text = body[0].as_str().expect("the body has variables of its own").to_owned();
    for (name, value) in body[1].as_object().expect("the variables") {
        text = text.replace(&format!("${{{name}}}"), &substituted(value));
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    body["widgets"].as_array().expect("the dashboard has widgets").clone()
}

/// Namespace, name, then name and value of each dimension, then perhaps options. An expression is no metric.
fn parse(metric: &Value) -> Option<Metric> {
    let parts = metric.as_array().expect("a metric is a list").iter();
    let texts: Vec<String> = parts.map_while(Value::as_str).map(str::to_owned).collect();
    let (namespace, rest) = texts.split_first()?;
    let (name, dimensions) = rest.split_first().expect("a metric has a name");
    let dimensions = dimensions.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    Some(Metric {
        user: DASHBOARD.to_owned(),
        namespace: namespace.clone(),
        name: name.clone(),
        dimensions: dimensions.collect(),
    })
}
