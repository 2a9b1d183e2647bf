use std::collections::BTreeSet;

use clap::{Command, CommandFactory as _};

use super::super::Cli;
use super::super::documents::{arguments, parses};
use super::*;

/// The program's command with all help.
pub(super) fn taught() -> Command {
    let mut command = add(Cli::command(), "docintell");
    command.build();
    command
}

/// Every command with its words, such as `keys create`. Without the help commands, which clap adds.
fn commands(command: &Command, words: &str) -> Vec<(String, Command)> {
    let below = command.get_subcommands().filter(|it| it.get_name() != "help").flat_map(|sub| {
        let words = format!("{words} {}", sub.get_name()).trim().to_owned();
        let below = commands(sub, &words);
        [(words, sub.clone())].into_iter().chain(below)
    });
    below.collect()
}

#[test]
fn every_command_has_an_entry_and_every_entry_a_command() {
    let commands: BTreeSet<String> = commands(&taught(), "").into_iter().map(|it| it.0).collect();
    let entries: BTreeSet<String> = all().map(|help| help.command.to_owned()).collect();
    assert_eq!(commands, entries);
}

#[test]
fn every_entry_has_two_to_four_examples_of_its_command_that_parse() {
    for help in all() {
        assert!((2..=4).contains(&help.examples.len()), "{}", help.command);
        let mut of_others = 0;
        for (_, words) in help.examples {
            // One line of a terminal, also with `cargo run --`.
            assert!(words.len() <= 100, "{}: `{words}`", help.command);
            assert!(parses(&arguments(words)), "{}: `{words}`", help.command);
            of_others += usize::from(!words.starts_with(help.command));
        }
        // Such as the command that shows what another has started.
        assert!(of_others <= 1, "{}", help.command);
    }
}

#[test]
fn the_commands_of_the_first_five_minutes_parse() {
    for (_, words) in first::FIRST_MINUTES {
        assert!(parses(&arguments(words)), "{words}");
    }
}

#[test]
fn long_help_teaches_and_short_help_stays_short() {
    for (words, mut command) in commands(&taught(), "") {
        let (short, long) =
            (command.render_help().to_string(), command.render_long_help().to_string());
        for text in ["Examples:\n", "\nChanges: ", &format!("docintell {words}")] {
            assert!(long.contains(text), "{words}: no `{text}` in\n{long}");
            assert!(text.contains("docintell") || !short.contains(text), "{words}:\n{short}");
        }
        assert!(short.lines().count() <= 40, "{words}:\n{short}");
    }
    let long = taught().render_long_help().to_string();
    for text in ["The first five minutes:\n", "\n  130  ", "NO_COLOR", "docintell listen"] {
        assert!(long.contains(text), "no `{text}` in\n{long}");
    }
}

#[test]
fn options_of_several_commands_stand_under_a_heading() {
    for (words, command) in commands(&taught(), "") {
        for option in command.get_arguments().filter(|it| it.is_global_set()) {
            assert!(option.get_help_heading().is_some(), "{words}: {}", option.get_id());
        }
    }
}

#[test]
fn every_option_has_a_help_text() {
    for (words, command) in commands(&taught(), "") {
        for option in command.get_arguments() {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{words}: {}", option.get_id());
            assert!(!help.ends_with('.'), "{words}: {help}");
        }
    }
}
