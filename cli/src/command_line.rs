//! Parses the command line, runs the command and prints its error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::local::command::LocalArgs;
use crate::{job, keys, local};

/// Signed document events on AWS Lambda: a stack on this machine, job states, API keys.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system on this machine (the default command)
    Local(LocalArgs),
    /// Write job states, as the document pipeline does
    Job(job::JobArgs),
    /// Create, list and revoke API keys
    Keys(keys::KeysArgs),
}

/// Runs the command that the program's arguments name.
pub async fn run() -> ExitCode {
    let result = match Cli::parse().command.unwrap_or(Command::Local(LocalArgs::default())) {
        Command::Local(args) => local::command::run(args).await,
        Command::Job(args) => job::run(args).await,
        Command::Keys(args) => keys::run(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes. The SDK gives some texts twice, once for an error and once for its cause.
fn sentence(error: &anyhow::Error) -> String {
    let mut texts: Vec<String> = error.chain().map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_that_only_repeats_its_error_is_left_out() {
        let error = anyhow::anyhow!("no such table").context("no such table").context("no key");
        assert_eq!(sentence(&error), "no key: no such table");
    }

    #[test]
    fn an_empty_stack_or_table_name_is_refused() {
        for option in ["--stack-name", "--api-keys-table"] {
            assert!(Cli::try_parse_from(["docintell", "keys", "list", option, ""]).is_err());
        }
    }

    #[test]
    fn the_command_is_optional() {
        assert!(Cli::try_parse_from(["docintell"]).is_ok_and(|cli| cli.command.is_none()));
    }
}
