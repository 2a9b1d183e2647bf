//! The documents match the code.

use std::fs;
use std::path::Path;

use webhooks::event::Event;
use webhooks::event_type::EventType;
use webhooks::id::EventId;
use webhooks::job::Job;
use webhooks::timestamp::Timestamp;

/// Lower-case words in code style that are not functions.
const NOT_FUNCTIONS: [&str; 3] = ["pending", "delivered", "tenant_id"];

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
