//! `template.yaml` and `events/` cover every event type.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use webhooks::event_type::EventType;
use webhooks::job::JobStatus;

use crate::permissions::template::Template;

/// The filter patterns of fanout's event source.
fn filters() -> Vec<Value> {
    let fanout = Template::read().resource("FanoutFunction").clone();
    let events = fanout["Properties"]["Events"].as_object().expect("fanout has event sources");
    let sources: Vec<&Value> = events.values().collect();
    let [source] = sources[..] else { panic!("fanout has more than one event source") };
    let filters = source["Properties"]["FilterCriteria"]["Filters"].as_array().expect("filters");
    let pattern = |filter: &Value| filter["Pattern"].as_str().map(serde_json::from_str);
    filters.iter().map(|filter| pattern(filter).expect("a pattern").expect("JSON")).collect()
}

/// True if the filter passes this change. Understands only `anything-but`.
fn passes(filter: &Value, event_name: &str, status: JobStatus) -> bool {
    let names = filter["eventName"].as_array().expect("every filter lists event names");
    let refused = &filter["dynamodb"]["NewImage"]["status"]["S"][0]["anything-but"];
    names.contains(&json!(event_name))
        && refused.as_array().is_some_and(|refused| !refused.contains(&json!(status)))
}

#[test]
fn the_stream_filters_pass_exactly_the_known_changes_that_fire_an_event() {
    let filters = filters();
    for status in JobStatus::ALL {
        for (event_name, is_new) in [("INSERT", true), ("MODIFY", false)] {
            let passed = filters.iter().any(|filter| passes(filter, event_name, status));
            let fires = EventType::fired_by(is_new, status).is_some();
            assert_eq!(passed, fires, "{event_name} into {status}");
        }
    }
}

#[test]
fn the_sample_stream_batch_fires_every_event_type() {
    let sample: Value = serde_json::from_str(include_str!("../../events/stream-batch.json"))
        .expect("a sample is JSON");
    let records = sample["Records"].as_array().expect("the sample has records");
    let fired: BTreeSet<_> = records
        .iter()
        .filter_map(|record| {
            let status = record["dynamodb"]["NewImage"]["status"]["S"].as_str()?;
            EventType::fired_by(record["eventName"] == "INSERT", JobStatus::from_name(status)?)
        })
        .collect();
    assert_eq!(fired, BTreeSet::from(EventType::ALL));
}
