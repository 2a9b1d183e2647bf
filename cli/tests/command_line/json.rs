//! With `--json`, every command that prints results prints objects, one a line, and nothing else to standard output.

use serde_json::{Value, json};

use super::aws::{WEBHOOK, aws_by, one_key, one_webhook};
use super::{Folder, docintell, printed, stack_json};

/// Runs a command on the local stack; returns the objects, and standard error.
async fn objects(arguments: &[&str]) -> (Vec<Value>, String) {
    let answer = |operation: &str, body: &str| {
        if body.contains("ApiKeys") { one_key() } else { one_webhook(operation, body) }
    };
    let endpoint = aws_by(answer).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let arguments = [arguments, &["--json"]].concat();
    let (text, notes) = printed(&docintell(&folder.0, &endpoint, &arguments).await);
    let parse = |line| {
        serde_json::from_str::<Value>(line)
            .unwrap_or_else(|_| panic!("{arguments:?}: `{line}` is not JSON\n{notes}"))
    };
    (text.lines().map(parse).collect(), notes)
}

/// The names of the only object's fields.
fn names(objects: &[Value]) -> Vec<&str> {
    let [object] = objects else { panic!("{objects:?}") };
    object.as_object().expect("it is an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_new_key_is_an_object_with_the_key() {
    let (created, notes) = objects(&["keys", "create", "--name", "laptop"]).await;
    let expected = [
        "created_at",
        "environment",
        "expires_at",
        "key",
        "key_id",
        "key_suffix",
        "name",
        "replaced_by",
        "state",
        "tenant_id",
    ];
    assert_eq!(names(&created), expected);
    assert!(created[0]["key"].as_str().is_some_and(|key| key.starts_with("dk_test_")));
    assert!(!notes.contains("dk_test_"), "{notes}");
    let (listed, _) = objects(&["keys", "list"]).await;
    assert_eq!((&listed[0]["name"], &listed[0]["key"]), (&json!("laptop"), &Value::Null));
    let (revoked, notes) = objects(&["keys", "revoke", WEBHOOK]).await;
    assert_eq!(names(&revoked), ["key_id", "state", "tenant_id"], "{notes}");
}

#[tokio::test]
async fn each_state_of_a_job_is_an_object_and_the_next_command_is_a_note() {
    let (states, notes) = objects(&["job", "complete", "--pages", "3"]).await;
    let of = |name: &str| states.iter().map(|it| it[name].clone()).collect::<Vec<Value>>();
    assert_eq!(of("status"), ["queued", "processing", "completed"], "{notes}");
    assert!(states.iter().all(|it| it["job_id"] == states[0]["job_id"]), "{states:?}");
    assert!(states.iter().all(|it| it["document_id"].is_string()), "{states:?}");
    let (states, notes) = objects(&["job", "process", "--job-id", "j-1"]).await;
    assert_eq!(names(&states), ["document_id", "job_id", "status", "tenant_id", "updated_at"]);
    assert_eq!(states[0]["document_id"], Value::Null);
    assert!(notes.contains("Next: ") && notes.contains("See its deliveries "), "{notes}");
}

#[tokio::test]
async fn no_command_prints_anything_but_objects() {
    for (arguments, count) in [
        (&["webhooks", "list"][..], 1),
        (&["webhooks", "show", WEBHOOK], 1),
        (&["webhooks", "enable", WEBHOOK], 1),
        (&["webhooks", "disable", WEBHOOK], 1),
        (&["deliveries", "list"], 1),
        (&["deliveries", "retry", WEBHOOK], 1),
        (&["replay", "list"], 1),
        (&["replay", "start", "--since", "2025-12-03T10:30:00Z", "--dry-run"], 1),
        (&["job", "upload"], 1),
        (&["job", "fail", "--job-id", "j-1"], 1),
        (&["dlq", "list"], 0),
        (&["dlq", "list", "--faults"], 0),
        (&["dlq", "redrive"], 0),
        (&["dlq", "redrive", "--dry-run"], 0),
        (&["dlq", "drop", "--all", "--yes"], 0),
        (&["dlq", "drop", "--all", "--dry-run"], 0),
    ] {
        let (objects, notes) = objects(arguments).await;
        assert_eq!(objects.len(), count, "{arguments:?}: {objects:?}\n{notes}");
        assert!(objects.iter().all(Value::is_object), "{arguments:?}: {objects:?}");
    }
}

#[tokio::test]
async fn the_option_stands_before_or_after_the_command() {
    let endpoint = aws_by(one_webhook).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let run = async |arguments: &[&str]| printed(&docintell(&folder.0, &endpoint, arguments).await);
    let (before, _) = run(&["--json", "webhooks", "list"]).await;
    let (after, _) = run(&["webhooks", "list", "--json"]).await;
    assert!(before.starts_with('{') && before == after, "{before}{after}");
}

#[tokio::test]
async fn an_error_stays_a_sentence_on_standard_error() {
    let (objects, notes) = objects(&["deliveries", "show", WEBHOOK]).await;
    assert_eq!(objects, [Value::Null; 0]);
    assert!(notes.lines().any(|line| line.starts_with("error: tenant ")), "{notes}");
}
