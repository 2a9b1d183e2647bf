//! The command line: which command is meant, and how its error is shown.

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
    /// Run the whole system on this machine (what no command means)
    Local(LocalArgs),
    /// Write job states as the document pipeline would
    Job(job::JobArgs),
    /// Make, list and revoke API keys
    Keys(keys::KeysArgs),
}

/// Does what the program's arguments ask for.
pub async fn run() -> ExitCode {
    let done = match Cli::parse().command.unwrap_or(Command::Local(LocalArgs::default())) {
        Command::Local(args) => local::command::run(args).await,
        Command::Job(args) => job::run(args).await,
        Command::Keys(args) => keys::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
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
    fn no_command_means_local() {
        assert!(Cli::try_parse_from(["docintell"]).is_ok_and(|cli| cli.command.is_none()));
    }
}
