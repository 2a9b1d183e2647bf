//! Runs that end early, or get no answer: nothing that they have made stays.

use std::process::Command;
use std::time::Duration;

use harness::{Receiver, after, status};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Child;

use super::between::{Between, Lose};
use super::{Patient, faults};
use crate::support::operator::Ended;

/// What a run says that has removed what another one has left.
const REMOVED: &str = "nothing of this run is left, and nothing of 1 run killed before\n";

/// A run that waits for the answer to its test, so its key, its webhook and its secret exist. The sender waits too, until
/// the receiver is dropped.
async fn run_in_the_middle(patient: &Patient) -> (Child, Receiver) {
    let receiver = Receiver::start(after(Duration::from_secs(9), status(200))).await;
    let run = patient.operator.start(&["doctor", "--url", &receiver.url()]).await;
    receiver.wait_for(1).await;
    (run, receiver)
}

fn interrupt(run: &Child) {
    let id = run.id().expect("it runs").to_string();
    let kill = Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.expect("kill can be started").success());
}

#[tokio::test]
async fn after_ctrl_c_nothing_is_left() {
    let patient = Patient::get().await;
    let before = patient.contents().await;
    let (run, _receiver) = run_in_the_middle(&patient).await;
    assert_ne!(patient.contents().await, before, "it has made something");
    interrupt(&run);
    let ended = Ended::of(run).await.stopped();
    assert!(ended.printed.ends_with("✓ removal: nothing of this run is left\n"), "{ended:?}");
    assert_eq!(patient.contents().await, before);
}

#[tokio::test]
async fn ctrl_c_while_the_webhook_is_made_waits_for_it_and_removes_it() {
    let mut patient = Patient::get().await;
    let before = patient.contents().await;
    let mut between = Between::start(&patient.info.outputs.api_url, Lose::Nothing).await;
    patient.speak_to(&between.url());
    let mut run = patient.operator.start(&["doctor"]).await;
    between.has_the_create().await;
    interrupt(&run);
    let noted = BufReader::new(run.stderr.take().expect("it is piped"));
    let mut noted = noted.lines();
    while !noted
        .next_line()
        .await
        .expect("it is text")
        .expect("it waits")
        .contains("stopping as soon")
    {}
    between.let_it_through();
    // What is noted later must not fill the pipe.
    let rest = tokio::spawn(async move { while let Ok(Some(_)) = noted.next_line().await {} });
    let ended = Ended::of(run).await.stopped();
    rest.await.expect("it ends");
    assert!(ended.printed.contains("✓ new webhook: "), "{ended:?}");
    assert!(!ended.printed.contains("test of the webhook"), "{ended:?}");
    assert!(ended.printed.ends_with("✓ removal: nothing of this run is left\n"), "{ended:?}");
    assert_eq!(patient.contents().await, before);
}

#[tokio::test]
async fn after_a_create_without_an_answer_the_marker_stays_for_a_later_run() {
    let mut patient = Patient::get().await;
    let before = patient.contents().await;
    let api_url = patient.info.outputs.api_url.clone();
    let between = Between::start(&api_url, Lose::TheAnswer).await;
    patient.speak_to(&between.url());
    between.let_it_through();
    let ended = patient.doctor(&[]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.printed.contains("✗ new webhook\n    The API does not answer"), "{ended:?}");
    let removal = "! removal\n    \"new webhook\" got no clear answer: what it asked for may still";
    assert!(ended.printed.contains(removal), "{ended:?}");

    patient.speak_to(&api_url);
    patient.expire_the_marker().await;
    let ended = patient.doctor(&[]).await.succeeded();
    assert!(ended.printed.contains(REMOVED), "{ended:?}");
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

    patient.expire_the_marker().await;
    let ended = patient.doctor(&[]).await.succeeded();
    assert!(ended.printed.contains(REMOVED), "{ended:?}");
    assert_eq!(patient.contents().await, before);
}

#[tokio::test]
async fn ctrl_c_ends_the_first_call_at_once() {
    let mut patient = Patient::get().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    patient.look_for_aws_at(&silent);
    let run = patient.operator.start(&["doctor"]).await;
    // The command first looks whether the stack is up, with a connection of its own.
    let _call = loop {
        let (mut connection, _) = silent.accept().await.expect("doctor calls AWS");
        if connection.read(&mut [0; 1]).await.is_ok_and(|length| length > 0) {
            break connection;
        }
    };
    interrupt(&run);
    let ended = Ended::of(run).await.stopped();
    assert_eq!(ended.printed, "");
}

#[tokio::test]
async fn if_aws_does_not_answer_every_check_says_so() {
    let mut patient = Patient::get().await;
    let closing = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    patient.look_for_aws_at(&closing);
    let task = tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    let ended = patient.doctor(&["--json"]).await.failed();
    task.abort();
    let error = "error: doctor could not look at the stack: AWS does not answer\n";
    assert!(ended.noted.ends_with(error), "{ended:?}");
    let findings = ended.objects();
    assert_eq!(faults(&findings), ["credentials"]);
    let mut others = findings.iter().filter(|it| it["check"] != "credentials");
    assert!(others.all(|it| it["message"] == "AWS does not answer"), "{findings:#?}");
}

impl Patient {
    /// Lets the operator's commands call AWS where this listens.
    fn look_for_aws_at(&mut self, listener: &TcpListener) {
        let address = listener.local_addr().expect("it is bound");
        self.operator.info.aws_endpoint_url = format!("http://{address}");
        self.operator.save();
    }

    /// Lets the operator's commands call the API at this URL.
    fn speak_to(&mut self, api_url: &str) {
        api_url.clone_into(&mut self.operator.info.outputs.api_url);
        self.operator.save();
    }

    /// As if the run whose marker is left had begun 15 minutes ago.
    async fn expire_the_marker(&self) {
        let table = &self.info.outputs.api_keys_table;
        let contents = self.contents().await;
        let keys = contents[table].as_array().expect("it has rows");
        let registry = "d0c70000-0000-4000-8000-000000000000";
        let key = keys.iter().find(|key| key["tenant_id"]["S"] == registry).expect("it is left");
        let expire = json!({
            "TableName": table,
            "Key": {"key_hash": key["key_hash"]},
            "UpdateExpression": "SET expires_at = :past",
            "ExpressionAttributeValues": {":past": {"S": "2025-12-03T10:00:00Z"}},
        });
        self.aws("dynamodb", "update_item", expire).await;
    }
}
