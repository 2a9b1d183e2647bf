//! Parses the command line, runs the command and prints its error.

#[cfg(test)]
mod documents;

use std::error::Error;
use std::process::ExitCode;

use aws_sdk_dynamodb::error::ErrorMetadata;
use clap::{Parser, Subcommand};

use crate::local::command::LocalArgs;
use crate::tenant::{delivery, replay, webhook};
use crate::{dlq, doctor, job, keys, listen, local, output};

/// What a shell reports for a program that ends because nobody reads its output: 128 + SIGPIPE.
const CLOSED_PIPE: u8 = 141;

/// Signed document events on AWS Lambda: a stack on this machine, job states, API keys, parked
/// messages, and a tenant's webhooks, deliveries and replays.
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
    /// Receive deliveries, show and verify them, and say why a signature does not match
    Listen(listen::ListenArgs),
    /// Check a stack, and say what is wrong and what to do
    Doctor(doctor::DoctorArgs),
    /// Write job states, as the document pipeline does
    Job(job::JobArgs),
    /// Create, list and revoke API keys
    Keys(keys::KeysArgs),
    /// See what is parked in the dead-letter queue, send it again, or drop it
    Dlq(dlq::DlqArgs),
    /// See a tenant's webhooks and their health, and switch them on and off
    Webhooks(webhook::WebhooksArgs),
    /// See a webhook's deliveries and their attempts, and send some again
    Deliveries(delivery::DeliveriesArgs),
    /// Send a webhook's past deliveries again, and see, pause, resume and cancel such replays
    Replay(replay::ReplayArgs),
}

/// Runs the command that the program's arguments name.
pub async fn run() -> ExitCode {
    let result = match Cli::parse().command.unwrap_or(Command::Local(LocalArgs::default())) {
        Command::Local(args) => local::command::run(args).await,
        Command::Listen(args) => listen::run(args).await,
        Command::Doctor(args) => Box::pin(doctor::run(args)).await,
        Command::Job(args) => job::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Dlq(args) => dlq::run(args).await,
        Command::Webhooks(args) => webhook::run(args).await,
        Command::Deliveries(args) => delivery::run(args).await,
        Command::Replay(args) => replay::run(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<output::Closed>() => ExitCode::from(CLOSED_PIPE),
        Err(error) => {
            if let Some(output::Exit(code)) = error.downcast_ref() {
                return ExitCode::from(*code);
            }
            output::note(format_args!("error: {}", sentence(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes. Some errors of the SDK repeat the text of their cause.
fn sentence(error: &anyhow::Error) -> String {
    let mut texts: Vec<String> = error.chain().map(text).collect();
    texts.dedup();
    texts.join(": ")
}

/// An error's text without its causes. For an error from AWS, its message: the SDK would print a Rust struct.
fn text(error: &(dyn Error + 'static)) -> String {
    let message = error.downcast_ref().and_then(ErrorMetadata::message);
    message.map_or_else(|| error.to_string(), str::to_owned)
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
    fn an_error_of_aws_is_shown_as_its_message() {
        let error = ErrorMetadata::builder().code("AccessDenied").message("you may not").build();
        assert_eq!(sentence(&anyhow::Error::new(error).context("no key")), "no key: you may not");
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
