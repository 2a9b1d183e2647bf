//! Colours are for terminals, and for those who ask for them.

use std::process::Stdio;

use tokio::process::Command;

use super::aws::{WEBHOOK, aws_by, one_key, one_webhook};
use super::{Folder, command, printed, stack_json};

const ESCAPE: char = '\u{1b}';

/// Runs the rest of its arguments in a terminal of its own, and copies what that shows to standard output.
const IN_A_TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

async fn endpoint() -> String {
    let answer = |operation: &str, body: &str| {
        if body.contains("ApiKeys") { one_key() } else { one_webhook(operation, body) }
    };
    aws_by(answer).await
}

/// What a program prints with these variables, without a terminal.
async fn piped(arguments: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let endpoint = endpoint().await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let mut command = command(&folder.0, &endpoint, arguments);
    let output = command.envs(variables.iter().copied()).output().await;
    printed(&output.expect("the program can be started"))
}

/// What a terminal shows.
async fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let endpoint = endpoint().await;
    let folder = Folder::checkout(&stack_json(&endpoint));
    let program = command(&folder.0, &endpoint, &[]);
    let variables_of_program = program.as_std().get_envs();
    let variables_of_program = variables_of_program
        .filter(|(name, _)| *name != "PATH")
        .filter_map(|(name, value)| Some((name, value?)));
    let output = Command::new("python3")
        .args(["-c", IN_A_TERMINAL, env!("CARGO_BIN_EXE_docintell")])
        .args(arguments)
        .current_dir(&folder.0)
        .env_remove("NO_COLOR")
        .envs(variables_of_program)
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output();
    printed(&output.await.expect("Python is installed")).0
}

#[tokio::test]
async fn no_command_prints_an_escape_without_a_terminal() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["help", "keys"],
        &["unknown"],
        &["keys"],
        &["keys", "list"],
        &["keys", "create"],
        &["keys", "revoke", WEBHOOK],
        &["job", "complete"],
        &["job", "process", "--job-id", "\u{1b}[2J"],
        &["webhooks", "list"],
        &["webhooks", "show", WEBHOOK],
        &["webhooks", "disable", WEBHOOK],
        &["deliveries", "list"],
        &["deliveries", "list", "--json"],
        &["deliveries", "show", WEBHOOK],
        &["deliveries", "retry", WEBHOOK],
        &["replay", "list"],
        &["replay", "start", "--since", "2025-12-03T10:30:00Z", "--dry-run"],
        &["dlq", "list"],
        &["dlq", "redrive", "\u{1b}[31m"],
        &["dlq", "drop", "--all"],
        &["listen", "--port", "0", "--secret", "whsec_"],
        &["completions", "bash"],
        &["completions", "fish"],
    ] {
        let (text, notes) = piped(arguments, &[]).await;
        assert!(!text.is_empty() || !notes.is_empty(), "{arguments:?}");
        assert!(!text.contains(ESCAPE) && !notes.contains(ESCAPE), "{arguments:?}: {text}{notes}");
    }
}

#[tokio::test]
async fn a_terminal_shows_bold_headings_states_in_colours_and_red_errors() {
    for (arguments, text) in [
        (&["deliveries", "list"][..], "\u{1b}[31mfailed\u{1b}[0m"),
        (&["deliveries", "list"], "\u{1b}[1mstatus\u{1b}[0m"),
        (&["webhooks", "list"], "\u{1b}[32mok\u{1b}[0m"),
        (&["deliveries", "show", WEBHOOK], "\u{1b}[31merror:\u{1b}[0m tenant "),
        (&["--help"], "\u{1b}[1mExit codes:\u{1b}[0m"),
        (&["keys", "create", "--help"], "\u{1b}[1mExamples:\u{1b}[0m"),
    ] {
        let shown = on_a_terminal(arguments, &[]).await;
        assert!(shown.contains(text), "{arguments:?}: {shown:?}");
    }
}

#[tokio::test]
async fn no_color_and_clicolor_force_decide_before_the_terminal() {
    let arguments = ["deliveries", "list"];
    let plain = on_a_terminal(&arguments, &[("NO_COLOR", "1")]).await;
    assert!(plain.contains("  failed  ") && !plain.contains(ESCAPE), "{plain:?}");
    let (coloured, _) = piped(&arguments, &[("CLICOLOR_FORCE", "1")]).await;
    assert!(coloured.contains("\u{1b}[31mfailed\u{1b}[0m"), "{coloured:?}");
    // What strangers write is made visible before it is coloured.
    assert!(!coloured.contains("\u{1b}[2J"), "{coloured:?}");
}
