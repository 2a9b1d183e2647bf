//! What `template.yaml` and `events/` must say of every event type.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use webhooks::event_type::EventType;
use webhooks::job::JobStatus;

use crate::permissions::template::Template;

/// The filters of fanout's event source, each as JSON.
fn filters() -> Vec<Value> {
    let fanout = Template::read().resource("FanoutFunction").clone();
    let events = fanout["Properties"]["Events"].as_object().expect("fanout has event sources");
    let sources: Vec<&Value> = events.values().collect();
    let [source] = sources[..] else { panic!("fanout has more than one event source") };
    let filters = source["Properties"]["FilterCriteria"]["Filters"].as_array().expect("filters");
    let pattern = |filter: &Value| filter["Pattern"].as_str().map(serde_json::from_str);
    filters.iter().map(|filter| pattern(filter).expect("a pattern").expect("JSON")).collect()
}

/// Whether a filter lets a row that has just been written pass. Understands `anything-but`, and no more.
fn passes(filter: &Value, event_name: &str, status: JobStatus) -> bool {
    let names = filter["eventName"].as_array().expect("every filter names its kinds of record");
    let refused = &filter["dynamodb"]["NewImage"]["status"]["S"][0]["anything-but"];
    names.contains(&json!(event_name))
        && refused.as_array().is_some_and(|refused| !refused.contains(&json!(status)))
}

#[test]
fn the_stream_filters_pass_exactly_the_job_changes_that_fire_an_event() {
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
