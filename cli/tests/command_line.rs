//! Runs the program inside and outside a checkout, with and without the SAM CLI.

#[path = "command_line/aws.rs"]
mod aws;
#[path = "command_line/completions.rs"]
mod completions;
#[path = "command_line/exit.rs"]
mod exit;
#[path = "command_line/json.rs"]
mod json;
#[path = "command_line/terminal.rs"]
mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use aws::{KEY, WEBHOOK, aws, aws_by, aws_with, one_key, one_webhook};

/// SAM's output for template.yaml.
const OUTPUTS: &str = include_str!("../src/stack/sam/stack-outputs.json");

/// A temporary folder outside of any checkout.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("docintell-{}", Uuid::new_v4()));
        fs::create_dir(&path).expect("the folder is new");
        Self(path)
    }

    /// A folder that looks like a checkout; `info` is its `stack.json`.
    fn checkout(info: &str) -> Self {
        let folder = Self::new();
        for (name, text) in [
            ("template.yaml", ""),
            ("cli/local/emulator.py", ""),
            ("functions/here.txt", ""),
            ("target/local/stack.json", info),
        ] {
            let path = folder.0.join(name);
            fs::create_dir_all(path.parent().expect("the path has a parent"))
                .expect("the folder can be created");
            fs::write(path, text).expect("the file can be written");
        }
        folder
    }

    /// Adds a fake `sam` to this folder.
    fn with_sam(self, script: &str) -> Self {
        let path = self.0.join("sam");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .expect("the test owns the file");
        self
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the test owns the file");
    }
}

/// Runs the program in `folder`, which is also its whole PATH.
async fn docintell(folder: &Path, endpoint: &str, arguments: &[&str]) -> Output {
    command(folder, endpoint, arguments).output().await.expect("the program can be started")
}

fn command(folder: &Path, endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docintell"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", folder)
        .env("HOME", folder)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "a-users-key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdin(Stdio::null());
    command
}

/// Runs a command whose standard output nobody reads; returns its exit code and standard error.
async fn unread(folder: &Path, endpoint: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe can be opened");
    drop(reader);
    let mut command = command(folder, endpoint, arguments);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
    let output = child.expect("the program can be started").wait_with_output().await;
    let output = output.expect("the program ends");
    (output.status.code(), printed(&output).1)
}

fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the output is UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a command that must fail without AWS; returns its standard error.
async fn failure(folder: &Path, arguments: &[&str]) -> String {
    let output = docintell(folder, "http://127.0.0.1:9", arguments).await;
    assert!(!output.status.success(), "{output:?}");
    printed(&output).1
}

#[tokio::test]
async fn a_key_of_a_deployed_stack_can_be_created_outside_of_a_checkout() {
    // SAM must get the same stack, region and credentials.
    let script = format!(
        r#"case "$*" in *"--stack-name prod"*"--region eu-west-1"*) ;; *) exit 3;; esac
[ "$AWS_ACCESS_KEY_ID" = "a-users-key" ] || exit 4
echo '{}'"#,
        OUTPUTS.replace('\'', r"'\''")
    );
    let folder = Folder::new().with_sam(&script);
    let output =
        docintell(&folder.0, &aws().await, &["keys", "create", "--stack-name", "prod"]).await;
    let (key, about) = printed(&output);
    assert!(key.starts_with("dk_live_"), "{key}{about}");
    assert!(about.contains("production (live)"), "{about}");
}

#[tokio::test]
async fn keys_of_the_local_stack_have_the_test_prefix() {
    let endpoint = aws().await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let output = docintell(&folder.0, &endpoint, &["keys", "create"]).await;
    assert!(printed(&output).0.starts_with("dk_test_"), "{output:?}");
}

#[tokio::test]
async fn the_list_of_keys_has_headings_over_aligned_columns() {
    let endpoint = aws_with(one_key()).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let (list, _) = printed(&docintell(&folder.0, &endpoint, &["keys", "list"]).await);
    let lines: Vec<_> = list.lines().collect();
    let [headings, key] = lines[..] else { panic!("{list}") };
    for (heading, value) in [("key id", "550e8400"), ("state", "active"), ("name", "laptop")] {
        let column = |line: &str, text| line.find(text).map(|at| line[..at].chars().count());
        assert_eq!(column(headings, heading), column(key, value), "{list}");
    }
}

#[tokio::test]
async fn a_reader_that_closes_the_pipe_ends_a_command_quietly() {
    let answer = |operation: &str, body: &str| {
        if body.contains("ApiKeys") { one_key() } else { one_webhook(operation, body) }
    };
    let endpoint = aws_by(answer).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    for arguments in [
        ["keys", "list"].as_slice(),
        &["job", "upload"],
        &["webhooks", "list"],
        &["webhooks", "show", WEBHOOK, "--json"],
        &["deliveries", "list"],
        &["deliveries", "list", "--json"],
        &["deliveries", "retry", WEBHOOK],
        &["replay", "list"],
        &["replay", "start", "--since", "2025-12-03T10:30:00Z", "--dry-run"],
    ] {
        let (code, error) = unread(&folder.0, &endpoint, arguments).await;
        assert_eq!(code, Some(141), "{error}");
        assert!(!error.contains("panicked") && !error.contains("error:"), "{error}");
    }
}

#[tokio::test]
async fn a_malformed_row_is_left_out_with_a_note_and_texts_cannot_control_a_terminal() {
    let endpoint = aws_by(one_webhook).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let run = async |arguments: &[&str]| printed(&docintell(&folder.0, &endpoint, arguments).await);
    let (list, notes) = run(&["webhooks", "list"]).await;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(notes.contains("A webhook is malformed and left out: "), "{notes}");
    let (list, notes) = run(&["deliveries", "list"]).await;
    assert!(list.contains("  job␛[2J  refused\u{fffd}31m\n"), "{list}");
    assert!(notes.contains("Left out 1 row of the log that cannot be read."), "{notes}");
    let (json, _) = run(&["deliveries", "list", "--json"]).await;
    assert!(json.contains(r#""job_id":"job\u001b[2J""#) && json.lines().count() == 1, "{json}");
}

#[tokio::test]
async fn a_switch_that_cannot_be_announced_is_an_error_that_says_so() {
    let endpoint = aws_by(one_webhook).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let output = docintell(&folder.0, &endpoint, &["webhooks", "disable", WEBHOOK, "--json"]).await;
    let (json, error) = printed(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(json.contains(r#""announced":false"#) && json.contains(r#""changed":true"#), "{json}");
    for text in [
        "is switched off, but the change could not be announced",
        "events:PutEvents",
        "InternalFailure no␛",
    ] {
        assert!(error.contains(text), "{error}");
    }
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[tokio::test]
async fn a_stack_on_aws_needs_a_tenant() {
    let script = format!("echo '{}'", OUTPUTS.replace('\'', r"'\''"));
    let folder = Folder::new().with_sam(&script);
    for command in ["webhooks", "deliveries"] {
        let error = failure(&folder.0, &[command, "list", "--stack-name", "prod"]).await;
        assert!(error.contains("choose one with --tenant-id"), "{error}");
    }
}

#[tokio::test]
async fn a_new_key_that_nobody_reads_is_an_error_that_names_it() {
    let endpoint = aws().await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let (code, error) = unread(&folder.0, &endpoint, &["keys", "create"]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("could not be printed") && error.contains("revoke key"), "{error}");

    let endpoint = aws_with(one_key()).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let (code, error) = unread(&folder.0, &endpoint, &["keys", "rotate", KEY]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("could not be printed") && error.contains("revoke key"), "{error}");
}

#[tokio::test]
async fn a_rotation_of_a_key_is_one_transaction() {
    let (sender, requests) = std::sync::mpsc::channel();
    let endpoint = aws_by(move |operation, body| {
        let body: Value = serde_json::from_str(body).expect("a request is JSON");
        sender.send((operation.to_owned(), body)).expect("the test reads the requests");
        one_key()
    })
    .await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let output = docintell(&folder.0, &endpoint, &["keys", "rotate", KEY]).await;
    assert!(output.status.success(), "{output:?}");
    let [(query, _), (transaction, writes)] = &requests.try_iter().collect::<Vec<_>>()[..] else {
        panic!("not two requests")
    };
    assert_eq!((query.as_str(), transaction.as_str()), ("Query", "TransactWriteItems"));
    let writes = writes["TransactItems"].as_array().expect("it has writes");
    assert_eq!(writes[0]["Update"]["Key"]["key_hash"], json!({"S": "0"}));
    assert_eq!(writes[1]["Put"]["Item"]["name"], json!({"S": "laptop"}));
    assert_eq!(writes.len(), 2);
}

#[tokio::test]
async fn a_command_in_a_copied_checkout_uses_the_files_of_the_copy() {
    let folder = Folder::checkout("not JSON");
    let error = failure(&folder.0.join("functions"), &["keys", "list"]).await;
    let file = folder.0.join("target/local/stack.json");
    assert!(error.contains(&format!("{} is damaged", file.display())), "{error}");
}

#[tokio::test]
async fn a_command_for_the_local_stack_fails_outside_of_a_checkout() {
    let folder = Folder::new();
    for arguments in [["local"].as_slice(), &["job", "upload"], &["keys", "list"]] {
        let error = failure(&folder.0, arguments).await;
        assert!(error.contains("is not in a checkout of DocIntell Webhooks"), "{error}");
    }
}

#[tokio::test]
async fn a_listener_needs_the_local_stack_or_a_secret() {
    let (checkout, elsewhere) = (Folder::checkout("{}"), Folder::new());
    fs::remove_file(checkout.0.join("target/local/stack.json")).expect("the file exists");
    for (folder, text) in [
        (&checkout, "no local stack is running: start one with"),
        (&elsewhere, "no stack to work on"),
    ] {
        let error = failure(&folder.0, &["listen", "--port", "0"]).await;
        assert!(error.contains(text) && error.contains("with --secret"), "{error}");
        assert!(!error.contains("--stack-name"), "{error}");
    }
    let error = failure(&elsewhere.0, &["listen", "--stack-name", "prod"]).await;
    for text in ["stack prod is on AWS and cannot reach 127.0.0.1", "tunnel", "--secret whsec_"] {
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_listener_refuses_wrong_options_and_quotes_no_secret() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let secret = format!("whsec_{}", "a".repeat(40));
    for (arguments, text) in [
        (&["--secret", "whsec_almost"][..], "the secret has 12 characters, not 46"),
        (&["--secret", &secret, "--port", &port], "cannot listen on port"),
        (&["--status", "99"], "expected a number from 200 to 599"),
        (&["--responses", "500,ok"], "expected a number from 200 to 599"),
        (&["--status", "500", "--responses", "500"], "cannot be used with"),
        (&["--status", "500", "--forward", "http://127.0.0.1:1/"], "cannot be used with"),
        (&["--forward", "https://127.0.0.1:1/"], "not an http:// URL"),
        (&["--delay", "5"], "such as 500ms or 12s"),
    ] {
        let error = failure(&folder.0, &[&["listen"], arguments].concat()).await;
        assert!(error.contains(text), "{arguments:?}: {error}");
        assert!(!error.contains("almost") && !error.contains("aaaa"), "{error}");
    }
}

#[tokio::test]
async fn without_sam_the_error_says_how_to_install_it() {
    let error = failure(&Folder::new().0, &["keys", "list", "--stack-name", "prod"]).await;
    assert!(error.contains("the SAM CLI is not installed: install it with"), "{error}");
    assert!(error.contains("--api-keys-table"), "{error}");
}

#[tokio::test]
async fn an_invalid_endpoint_url_is_refused_with_a_sentence() {
    let folder = Folder::new();
    for endpoint in ["", "localhost:4566"] {
        let arguments = ["keys", "create", "--api-keys-table", "keys"];
        let output = docintell(&folder.0, endpoint, &arguments).await;
        let error = printed(&output).1;
        assert!(error.starts_with("error: environment variable AWS_ENDPOINT_URL is"), "{error}");
    }
}

#[tokio::test]
async fn the_error_for_a_missing_stack_quotes_sam() {
    let folder =
        Folder::new().with_sam("echo 'Error: The input stack prod does not exist' >&2; exit 1");
    let error = failure(&folder.0, &["job", "upload", "--stack-name", "prod"]).await;
    assert!(error.contains("the SAM CLI failed: The input stack prod does not exist"), "{error}");
}

fn stack_json(endpoint: &str) -> String {
    let mut info: Value = json!({
        "api_key": "dk_test_",
        "tenant_id": "770e8400-e29b-41d4-a716-446655440002",
        "aws_endpoint_url": endpoint,
        "region": "us-east-1",
    });
    let outputs: Vec<Value> = serde_json::from_str(OUTPUTS).expect("SAM prints JSON");
    for output in outputs {
        info[output["OutputKey"].as_str().expect("an output has a name")] =
            output["OutputValue"].clone();
    }
    info.to_string()
}
