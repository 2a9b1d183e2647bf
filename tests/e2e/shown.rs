//! What `docintell local` prints and logs while it runs.

use std::fs;
use std::process::Command;

use docintell::checkout::Checkout;
use docintell::local::deliveries::{Deliveries, Outcome};
use harness::{ClosedPort, eventually, status};
use serde_json::{Value, json};

use crate::support::job;
use crate::support::tenant::Tenant;
use crate::support::world::World;

#[tokio::test]
async fn each_attempt_at_a_closed_port_is_shown() {
    let tenant = Tenant::new().await;
    let closed = ClosedPort::new();
    tenant
        .create(json!({"url": closed.url(), "events": ["document.uploaded"], "max_retries": 4}))
        .await;
    let world = World::get();
    let mut deliveries =
        Deliveries::new(world.info(), world.functions_log()).expect("the stack has a Jobs table");
    let job_id = job::upload(tenant.id).await;

    let mut shown = Vec::new();
    eventually("the last attempt's line", async || {
        let lines = deliveries.new_lines().await.expect("the log can be read");
        shown.extend(lines.into_iter().filter(|line| line.job_id == job_id));
        shown.last().filter(|line| line.outcome == Outcome::Ended).map(drop)
    })
    .await;
    let numbers: Vec<_> = shown.iter().map(|line| line.attempt).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3), Some(4)]);
    let [third, last] = [&shown[2], &shown[3]].map(ToString::to_string);
    assert!(third.contains(&job_id) && third.contains("next attempt in "), "{third}");
    assert!(last.contains("nothing listens") && last.contains("dead-letter queue"), "{last}");
}

#[tokio::test]
async fn a_successful_delivery_is_shown() {
    let (tenant, _receiver, _hook) = Tenant::subscribed(status(200)).await;
    let world = World::get();
    let mut deliveries =
        Deliveries::new(world.info(), world.functions_log()).expect("the stack has a Jobs table");
    let job_id = job::upload(tenant.id).await;
    let line = eventually("the delivery's line", async || {
        let lines = deliveries.new_lines().await.expect("the log can be read");
        lines.into_iter().find(|line| line.job_id == job_id)
    })
    .await;
    assert_eq!((line.outcome, line.attempt), (Outcome::Delivered, Some(1)));
}

#[tokio::test]
async fn each_line_of_the_functions_log_is_a_json_object_with_time_and_function() {
    Tenant::subscribed(status(200)).await;
    let log = World::get().functions_log();
    let text = eventually("a line of the log", async || {
        fs::read_to_string(&log).ok().filter(|text| text.contains("webhook created"))
    })
    .await;
    // The last line may still be incomplete.
    for line in text.lines().take(text.matches('\n').count()) {
        let entry: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(entry["time"].is_string() && entry["function"].is_string(), "{line}");
        assert!(entry["span"].is_null(), "`spans` has the same: {line}");
    }
}

#[test]
fn text_in_the_functions_log_becomes_a_json_object() {
    const SCRIPT: &str = r#"
import json, emulator
print(json.dumps(emulator.log_entry("api", b"exec format error\n")))"#;
    let folder = Checkout::find().expect("tests run in a checkout").root().join("cli/local");
    let output = Command::new("python3").args(["-c", SCRIPT]).current_dir(folder).output();
    let entry: Value =
        serde_json::from_slice(&output.expect("Python can be started").stdout).unwrap();
    assert_eq!(
        (&entry["function"], &entry["message"]),
        (&json!("api"), &json!("exec format error"))
    );
}
