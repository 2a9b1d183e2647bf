//! Runs other programs. Their output is the task's progress; the error of a failed program quotes it.
//!
//! The rule: a program whose caller stops waiting is killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use crate::progress::Task;

enum Line {
    Output(String),
    Error(String),
}

/// Runs `command` as a part of `task`; returns its standard output.
pub async fn run(task: &Task, command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} failed: {program} cannot be started", task.title()))?;
    let (sender, mut lines) = mpsc::unbounded_channel();
    if let Some(stdout) = child.stdout.take() {
        read_lines(stdout, sender.clone(), Line::Output);
    }
    if let Some(stderr) = child.stderr.take() {
        read_lines(stderr, sender, Line::Error);
    }
    let mut child = KillOnDrop(child);
    let (mut output, mut errors) = (String::new(), String::new());
    task.watch(async {
        while let Some(line) = lines.recv().await {
            let (text, kept) = match &line {
                Line::Output(text) => (text, &mut output),
                Line::Error(text) => (text, &mut errors),
            };
            // JSON lines are for programs, not for the user.
            if !text.starts_with('{') {
                task.note(text);
            }
            kept.push_str(text);
            kept.push('\n');
        }
    })
    .await;
    // Both outputs have ended, so the program exits at once.
    let status = child.0.wait().with_context(|| format!("cannot wait for {program}"))?;
    if status.success() {
        return Ok(output);
    }
    let shown = if errors.trim().is_empty() { output } else { errors };
    bail!("{} failed ({status}):\n{}", task.title(), shown.trim_end())
}

fn read_lines(
    stream: impl Read + Send + 'static,
    sender: mpsc::UnboundedSender<Line>,
    kind: fn(String) -> Line,
) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if sender.send(kind(text)).is_err() {
                return;
            }
        }
    });
}

/// Kills the program when dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail if the program has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    async fn sh(script: &str) -> Result<String> {
        run(&Progress::Silent.begin("running a script"), Command::new("sh").args(["-c", script]))
            .await
    }

    #[tokio::test]
    async fn a_successful_program_returns_its_standard_output() {
        assert_eq!(sh("echo out; echo err >&2").await.unwrap(), "out\n");
    }

    #[tokio::test]
    async fn the_error_of_a_failed_program_quotes_it() {
        let error = sh("echo it broke >&2; exit 3").await.unwrap_err().to_string();
        assert_eq!(error, "running a script failed (exit status: 3):\nit broke");
    }

    #[tokio::test]
    async fn a_program_is_killed_when_its_caller_stops_waiting() {
        let mark = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
        // Moved into place, so the test never reads half a file.
        let script = format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 600", mark.display());
        let started = async {
            while !mark.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            ended = sh(&script) => panic!("it should sleep: {ended:?}"),
            () = started => {}
        }
        let process = std::fs::read_to_string(&mark).unwrap();
        std::fs::remove_file(&mark).unwrap();
        let signal = Command::new("kill").args(["-0", process.trim()]).output().unwrap();
        assert!(!signal.status.success(), "it is still running");
    }
}
