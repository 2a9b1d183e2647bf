//! `docintell completions`: each shell gets a script, and bash's works.

use std::process::Stdio;

use tokio::process::Command;

use super::{Folder, docintell, printed};

/// What each shell calls a completion.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "complete -F _docintell"),
    ("zsh", "#compdef docintell"),
    ("fish", "complete -c docintell"),
    ("elvish", "edit:completion:arg-completer[docintell]"),
    ("powershell", "Register-ArgumentCompleter"),
];

async fn script(shell: &str) -> String {
    let folder = Folder::new();
    let output = docintell(&folder.0, "http://127.0.0.1:9", &["completions", shell]).await;
    assert!(output.status.success(), "{output:?}");
    printed(&output).0
}

#[tokio::test]
async fn each_shell_gets_a_script_with_commands_and_values() {
    for (shell, mark) in SHELLS {
        let script = script(shell).await;
        for text in [mark, "deliveries", "webhook-id", "redrive"] {
            assert!(script.contains(text), "{shell}: no `{text}`");
        }
    }
}

/// What bash offers at the tab key after these words.
async fn offered(words: &[&str]) -> Vec<String> {
    let file = Folder::new();
    let path = file.0.join("docintell.bash");
    std::fs::write(&path, script("bash").await).expect("the file can be written");
    let line = r#"source "$1"; shift; COMP_WORDS=(docintell "$@"); COMP_CWORD=$#
        _docintell docintell "${@: -1}" "${*: -2:1}"; printf '%s\n' "${COMPREPLY[@]}""#;
    let bash = Command::new("bash")
        .args(["--norc", "-c", line, "bash"])
        .arg(&path)
        .args(words)
        .stdin(Stdio::null())
        .output();
    let output = bash.await.expect("bash is installed");
    let (text, errors) = printed(&output);
    assert_eq!(errors, "", "{words:?}");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_options_and_values() {
    for (words, expected) in [
        (&["del"][..], &["deliveries"][..]),
        (&["deliveries", "re"], &["retry"]),
        (&["dlq", "redrive", "--dr"], &["--dry-run"]),
        (&["deliveries", "list", "--event", "document.u"], &["document.uploaded"]),
        (&["keys", "create", "--environment", ""], &["live", "test"]),
        (&["completions", "f"], &["fish"]),
    ] {
        assert_eq!(offered(words).await, expected, "{words:?}");
    }
    let statuses = offered(&["deliveries", "list", "--status", ""]).await;
    assert_eq!(statuses, ["pending", "delivered", "failed", "cancelled", "skipped"]);
}
