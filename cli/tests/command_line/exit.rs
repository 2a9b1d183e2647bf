//! Exit codes: 0 done, 1 failed, 2 wrong command line. 130 (Ctrl-C) and 141 (nobody reads the output) are what a shell
//! reports for a program that a signal ended. Tests of the deployed stack have 3 (doctor found a fault), and the commands
//! that end with 130 themselves.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use tokio::net::TcpListener;

use super::aws::{WEBHOOK, aws_by, one_webhook};
use super::{Folder, command, docintell, printed, stack_json};

#[tokio::test]
async fn a_command_ends_with_0_if_it_is_done_1_if_it_failed_and_2_if_it_is_wrong() {
    let endpoint = aws_by(one_webhook).await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    for (arguments, code) in [
        (&["webhooks", "list"][..], 0),
        (&["--help"], 0),
        (&["completions", "bash"], 0),
        (&["deliveries", "show", WEBHOOK], 1),
        (&["deliveries", "list", "--since", "1h", "--until", "2h"], 1),
        (&["keys"], 2),
        (&["unknown"], 2),
        (&["keys", "create", "--expires-in", "0"], 2),
        (&["keys", "revoke"], 2),
        (&["completions", "tcsh"], 2),
    ] {
        let output = docintell(&folder.0, &endpoint, arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let (_, notes) = printed(&output);
        // A group of commands without a command shows its help instead.
        assert!(code == 0 || arguments == ["keys"] || notes.contains("error: "), "{notes}");
    }
}

#[tokio::test]
async fn doctor_ends_with_1_without_a_stack_that_it_can_look_at() {
    let (checkout, elsewhere) = (Folder::checkout("{}"), Folder::new());
    std::fs::remove_file(checkout.0.join("target/local/stack.json")).expect("the file exists");
    let unknown =
        Folder::new().with_sam("echo 'Error: The input stack prod does not exist' >&2; exit 1");
    let on_aws = &["doctor", "--json", "--stack-name", "prod"][..];
    for (folder, arguments, has_credentials, text) in [
        (&checkout, &["doctor"][..], true, "no local stack is running: start one with"),
        (&elsewhere, &["doctor"], true, "no stack to work on"),
        (&elsewhere, on_aws, true, "the SAM CLI is not installed: install it with"),
        (&unknown, on_aws, true, "The input stack prod does not exist"),
        (&unknown, on_aws, false, "cannot find AWS credentials: log in"),
    ] {
        let mut command = command(&folder.0, "http://127.0.0.1:9", arguments);
        if !has_credentials {
            command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        }
        let output = command.output().await.expect("the program can be started");
        let (found, error) = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("error: ") && error.contains(text), "{error}");
        assert_eq!(found, "", "it has checked nothing");
    }
}

#[tokio::test]
async fn an_error_about_a_negative_number_names_its_option() {
    let folder = Folder::new();
    for arguments in [
        ["job", "complete", "--seconds", "-1"],
        ["job", "complete", "--pages", "-1"],
        ["keys", "create", "--expires-in", "-1"],
        ["deliveries", "list", "--limit", "-1"],
        ["dlq", "redrive", "--rate", "-1"],
    ] {
        let output = docintell(&folder.0, "http://127.0.0.1:9", &arguments).await;
        let error = printed(&output).1;
        assert!(error.contains(&format!("invalid value '-1' for '{} ", arguments[2])), "{error}");
    }
}

#[tokio::test]
async fn ctrl_c_ends_a_command_at_once_that_waits_for_aws() {
    for arguments in [
        &["keys", "list"][..],
        &["webhooks", "list"],
        &["deliveries", "list"],
        &["deliveries", "retry", WEBHOOK],
        &["replay", "list"],
    ] {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let endpoint = format!("http://{}", silent.local_addr().expect("it is bound"));
        let folder = Folder::checkout(&stack_json(&endpoint));
        let mut command = command(&folder.0, &endpoint, arguments);
        let mut child = command.stderr(Stdio::null()).spawn().expect("the program can be started");
        // The first connection only asks whether the local stack runs.
        drop(silent.accept().await.expect("the program connects"));
        let _request = silent.accept().await.expect("the program sends a request");
        let id = child.id().expect("it runs").to_string();
        let kill = std::process::Command::new("kill").args(["-INT", &id]).status();
        assert!(kill.expect("kill can be started").success());
        let status = child.wait().await.expect("it ends");
        assert_eq!(status.signal(), Some(2), "{arguments:?}: {status:?}");
    }
}
