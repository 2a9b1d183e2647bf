//! The documents match the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use webhooks::event::Event;
use webhooks::event_type::EventType;
use webhooks::id::EventId;
use webhooks::job::Job;
use webhooks::timestamp::Timestamp;

use crate::support::tenant::Tenant;

/// Lower-case words in code style that are not functions.
const NOT_FUNCTIONS: [&str; 4] = ["pending", "delivered", "tenant_id", "failing_since"];

const API: &str = include_str!("../../docs/API.md");

/// The first JSON block after `heading`, without its indentation and line breaks.
fn example(heading: &str) -> String {
    let (_, after) = API.split_once(heading).unwrap_or_else(|| panic!("no {heading} in API.md"));
    let (_, block) = after.split_once("```json\n").expect("a block of JSON follows");
    let (block, _) = block.split_once("\n```").expect("the block ends");
    block.lines().map(str::trim_start).collect::<String>().replace("\": ", "\":")
}

#[test]
fn api_md_shows_the_body_of_every_event_type() {
    for event in EventType::ALL {
        let shown = example(&format!("\n`{event}`: "));
        let time = shown.split('"').nth(7).expect("the second value of the body is its time");
        let tenant = "770e8400-e29b-41d4-a716-446655440002".parse().expect("a UUID");
        let document = "660e8400-e29b-41d4-a716-446655440001".to_owned();
        let job = "550e8400-e29b-41d4-a716-446655440000".to_owned();
        let time = Timestamp::parse(time).expect("an RFC 3339 time");
        let job = Job::example(tenant, document, job, time);
        let event = Event::new(EventId::of_record("1", job.updated_at), event, &job);
        assert_eq!(shown, event.expect("an event").body.get());
    }
}

#[tokio::test]
async fn api_md_and_the_readme_show_every_field_of_the_webhook_object() {
    let created = json!({"url": "https://hooks.invalid/"});
    let response =
        Tenant::new().await.request(Method::POST, "/v1/webhooks", Some(created)).await.body;
    let fields: BTreeSet<&str> = keys(&response);

    let (_, after) = API.split_once("## The webhook object").expect("there is the object");
    let (section, _) = after.split_once("\n## ").expect("the section ends");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    // The names are in the first column, between backticks.
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let listed = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(fields, listed, "in the table");

    let readme = include_str!("../../README.md");
    for document in [API, readme] {
        let mut objects = document.split("```json\n").skip(1).map(|it| it.split("```").next());
        let is_webhook = |text: &&str| text.contains("\"webhook_config_id\"");
        let shown = objects.find_map(|text| text.filter(is_webhook)).expect("there is a sample");
        let shown: Value = serde_json::from_str(shown).expect("it is JSON");
        assert_eq!(fields, keys(&shown), "in the sample");
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("it is an object").keys().map(String::as_str).collect()
}

#[test]
fn architecture_md_names_only_files_and_functions_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = include_str!("../../docs/ARCHITECTURE.md");
    let (_, walkthroughs) = document.split_once("## Walkthroughs").expect("there are walkthroughs");
    let names: Vec<&str> = walkthroughs.split('`').skip(1).step_by(2).collect();
    let (files, others): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| name.contains(".rs"));
    let code: String = files
        .iter()
        .map(|file| {
            fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        })
        .collect();
    let is_function = |name: &&&str| {
        name.chars().all(|char| char.is_ascii_lowercase() || char == '_')
            && !NOT_FUNCTIONS.contains(*name)
    };
    for function in others.iter().filter(is_function) {
        let is_defined =
            ["(", "<"].iter().any(|next| code.contains(&format!("fn {function}{next}")));
        assert!(is_defined, "no named file defines {function}");
    }
    assert!(others.iter().filter(is_function).count() > 5, "{others:?}");
}
