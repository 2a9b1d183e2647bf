//! Runs that end early: nothing that they have made stays.

use std::process::Command;
use std::time::Duration;

use harness::{Receiver, after, status};
use serde_json::json;
use tokio::process::Child;

use super::Patient;
use crate::support::operator::Ended;

/// A run that waits for the answer to its test, so its key, its webhook and its secret exist. The sender waits too, until
/// the receiver is dropped.
async fn run_in_the_middle(patient: &Patient) -> (Child, Receiver) {
    let receiver = Receiver::start(after(Duration::from_secs(9), status(200))).await;
    let run = patient.operator.start(&["doctor", "--url", &receiver.url()]).await;
    receiver.wait_for(1).await;
    (run, receiver)
}

#[tokio::test]
async fn after_ctrl_c_nothing_is_left() {
    let patient = Patient::get().await;
    let before = patient.contents().await;
    let (run, _receiver) = run_in_the_middle(&patient).await;
    assert_ne!(patient.contents().await, before, "it has made something");
    let id = run.id().expect("it runs").to_string();
    let kill = Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.expect("kill can be started").success());
    let ended = Ended::of(run).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.printed.ends_with("✓ removal: nothing of this run is left\n"), "{ended:?}");
    assert_eq!(patient.contents().await, before);
}

#[tokio::test]
async fn what_a_killed_run_has_left_is_removed_by_a_run_after_its_key_has_expired() {
    let patient = Patient::get().await;
    let before = patient.contents().await;
    let (mut run, receiver) = run_in_the_middle(&patient).await;
    run.kill().await.expect("it can be killed");
    drop(receiver);

    // It could still be under way, so the next run removes only what it makes itself.
    let left = patient.contents().await;
    let ended = patient.doctor(&[]).await.succeeded();
    let other = "nothing of this run is left; 1 other run may be under way, or killed";
    assert!(ended.printed.contains(other), "{ended:?}");
    assert_eq!(patient.contents().await, left);

    let table = &patient.info.outputs.api_keys_table;
    let keys = left[table].as_array().expect("it has rows");
    let registry = "d0c70000-0000-4000-8000-000000000000";
    let key = keys.iter().find(|key| key["tenant_id"]["S"] == registry).expect("it is left");
    let expire = json!({
        "TableName": table,
        "Key": {"key_hash": key["key_hash"]},
        "UpdateExpression": "SET expires_at = :past",
        "ExpressionAttributeValues": {":past": {"S": "2025-12-03T10:00:00Z"}},
    });
    patient.aws("dynamodb", "update_item", expire).await;
    let ended = patient.doctor(&[]).await.succeeded();
    let removed = "nothing of this run is left, and nothing of 1 run killed before\n";
    assert!(ended.printed.contains(removed), "{ended:?}");
    assert_eq!(patient.contents().await, before);
}
