//! `docintell completions`: scripts that let a shell complete command lines.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::output;

/// The program's name in the scripts.
const PROGRAM: &str = "docintell";

#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that reads the script
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for `command`.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> Result<()> {
    output::line(script(args.shell, &mut command).trim_end())
}

fn script(shell: Shell, command: &mut Command) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, PROGRAM, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
