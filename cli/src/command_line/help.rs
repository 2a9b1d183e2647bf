//! What `--help` says beyond a command's options: what the command is for, what it changes, and examples.
//!
//! The tables are in `here` (commands for this machine), `keys`, `tenant` and `parked`; `first` is the page of the program
//! itself. The rules: every command has an entry, every example parses, and `-h` stays short. Tests check them.

mod first;
mod here;
mod keys;
mod parked;
mod tenant;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use first::{EXIT_CODES, VARIABLES};

use std::fmt::Write as _;

use clap::Command;
use clap::builder::StyledStr;

use crate::style::HEADING;

/// What `--help` says about one command.
#[derive(Debug)]
struct Help {
    /// The command's words, such as `keys create`.
    command: &'static str,
    about: &'static str,
    /// What it changes.
    changes: &'static str,
    examples: &'static [Example],
}

/// What a command line does, and its words after the program's name. Capitals stand for the reader's own values.
type Example = (&'static str, &'static str);

/// Every entry.
fn all() -> impl Iterator<Item = &'static Help> {
    [here::HELP, keys::HELP, parked::HELP, tenant::HELP].into_iter().flatten()
}

/// Adds the entries to `command`. Examples begin with `program`.
pub(super) fn add(command: Command, program: &str) -> Command {
    let page = first::page(program);
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let command = command.long_about(first::ABOUT).after_long_help(page);
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| add_below(sub, name, program))
    })
}

/// Adds the entries of the command with these words and of those below it.
fn add_below(command: Command, words: &str, program: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let command = names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| add_below(sub, &format!("{words} {name}"), program))
    });
    let Some(help) = all().find(|help| help.command == words) else { return command };
    let first = command.get_about().map(ToString::to_string).unwrap_or_default();
    command
        .long_about(format!("{first}.\n\n{}\n\nChanges: {}", help.about, help.changes))
        .after_long_help(examples("Examples", help.examples, program))
}

fn examples(heading: &str, examples: &[Example], program: &str) -> StyledStr {
    let mut text = StyledStr::new();
    write!(text, "{HEADING}{heading}:{HEADING:#}").expect("a text takes any text");
    for (does, words) in examples {
        write!(text, "\n  {does}:\n    {program} {words}").expect("a text takes any text");
    }
    text
}
