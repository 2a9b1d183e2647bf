//! Parses the command line, runs the command and prints its error. `help` teaches.

#[cfg(test)]
mod documents;
mod help;

use std::error::Error;
use std::process::ExitCode;

use aws_sdk_dynamodb::error::ErrorMetadata;
use clap::error::ErrorKind;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::checkout::invocation;
use crate::local::command::LocalArgs;
use crate::stop::Stopped;
use crate::tenant::{delivery, replay, webhook};
use crate::{completions, dlq, doctor, job, keys, listen, local, output, style};

/// `doctor` has found a fault, and has said what.
const FAULT_FOUND: u8 = 3;
/// Ended by Ctrl-C before it was done: what a shell reports, 128 + SIGINT.
const STOPPED: u8 = 130;
/// What a shell reports for a program that ends because nobody reads its output: 128 + SIGPIPE.
const CLOSED_PIPE: u8 = 141;

/// Signed document events on AWS Lambda: a stack on this machine, a receiver, a check of a stack, job states, API keys,
/// parked messages, and a tenant's webhooks, deliveries and replays.
#[derive(Debug, Parser)]
#[command(version, styles = style::HELP, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print results as JSON, one object per line
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
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
    /// Create, list, rotate and revoke API keys
    Keys(keys::KeysArgs),
    /// See what is parked in the dead-letter queue, send it again, or drop it
    Dlq(dlq::DlqArgs),
    /// See a tenant's webhooks, their health and their history, and switch them on and off
    Webhooks(webhook::WebhooksArgs),
    /// See a webhook's deliveries and their attempts, and send some again
    Deliveries(delivery::DeliveriesArgs),
    /// Send a webhook's past deliveries again, and see, pause, resume and cancel such replays
    Replay(replay::ReplayArgs),
    /// Print a script with which a shell completes commands, options and values
    Completions(completions::CompletionsArgs),
}

/// Runs the command that the program's arguments name.
pub async fn run() -> ExitCode {
    let Cli { command, json } = parse();
    let result = match command.unwrap_or(Command::Local(LocalArgs::default())) {
        Command::Local(args) => local::command::run(args, json).await,
        Command::Listen(args) => listen::run(args, json).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, json)).await,
        Command::Job(args) => job::run(args, json).await,
        Command::Keys(args) => keys::run(args, json).await,
        Command::Dlq(args) => dlq::run(args, json).await,
        Command::Webhooks(args) => webhook::run(args, json).await,
        Command::Deliveries(args) => delivery::run(args, json).await,
        Command::Replay(args) => replay::run(args, json).await,
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<output::Closed>() => ExitCode::from(CLOSED_PIPE),
        Err(error) if error.is::<doctor::FaultFound>() => ExitCode::from(FAULT_FOUND),
        Err(error) => {
            output::error(sentence(&error));
            if error.is::<Stopped>() { ExitCode::from(STOPPED) } else { ExitCode::FAILURE }
        }
    }
}

/// Parses the program's arguments; ends the program with a text if they are wrong or ask for help.
fn parse() -> Cli {
    let matches = help::add(names_numbers(Cli::command()), &invocation()).get_matches();
    Cli::from_arg_matches(&matches).and_then(Cli::consistent).unwrap_or_else(|error| error.exit())
}

impl Cli {
    /// Refuses JSON where there is none.
    fn consistent(self) -> Result<Self, clap::Error> {
        if self.json && matches!(self.command, Some(Command::Completions(_))) {
            let sentence = "`completions` prints a script for a shell, not JSON: leave out --json";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, sentence));
        }
        Ok(self)
    }
}

/// An error about a negative number names its option. It would be an unknown option otherwise.
fn names_numbers(command: clap::Command) -> clap::Command {
    let has_value = |arg: &Arg| arg.get_action().takes_values();
    let allow = |arg: Arg| if has_value(&arg) { arg.allow_negative_numbers(true) } else { arg };
    command.mut_args(allow).mut_subcommands(names_numbers)
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
    fn a_script_for_a_shell_is_never_json() {
        let parse = |json: &[&str]| {
            let words = [&["docintell", "completions", "bash"], json].concat();
            Cli::try_parse_from(words).and_then(Cli::consistent)
        };
        assert!(parse(&[]).is_ok());
        let error = parse(&["--json"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("not JSON: leave out --json"), "{error}");
    }

    #[test]
    fn the_name_of_a_key_has_1_to_100_characters() {
        for (name, accepted) in [(0, false), (1, true), (100, true), (101, false), (5_000, false)] {
            let name = "é".repeat(name);
            let parsed = Cli::try_parse_from(["docintell", "keys", "create", "--name", &name]);
            assert_eq!(parsed.map_err(|error| error.exit_code()).err(), (!accepted).then_some(2));
        }
    }

    #[test]
    fn the_command_is_optional() {
        assert!(Cli::try_parse_from(["docintell"]).is_ok_and(|cli| cli.command.is_none()));
    }
}
