//! The command lines in the documents parse, and docs/CLI.md has every command, exit code and variable.

use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, Parser as _};

use super::Cli;
use super::help::{EXIT_CODES, VARIABLES};

const CLI: &str = include_str!("../../../docs/CLI.md");
const PAGES: [&str; 7] = [
    include_str!("../../../README.md"),
    include_str!("../../../docs/API.md"),
    CLI,
    include_str!("../../../docs/OPERATIONS.md"),
    include_str!("../../../docs/PERMISSIONS.md"),
    include_str!("../../../docs/RECEIVING.md"),
    include_str!("../../../docs/RECOVERY.md"),
];
/// How a command line begins: installed, or in a checkout.
const PROGRAMS: [&str; 2] = ["docintell ", "cargo run -- "];
/// Stands for each placeholder. It is a valid id, and a valid text.
const PLACEHOLDER: &str = "550e8400-e29b-41d4-a716-446655440000";
/// Stands for `whsec_…`.
const SECRET: &str = "whsec_abcdefghijklmnopqrstuvwxyz1234567890ABCD";

/// The arguments of every command line in the page's blocks and in its code style.
fn command_lines(page: &str) -> Vec<Vec<String>> {
    let mut texts = Vec::new();
    // Every second part is a block, and outside of blocks every second part is in code style.
    for (index, part) in page.replace("\\\n", " ").split("```").enumerate() {
        if index % 2 == 1 {
            texts.extend(part.lines().map(str::to_owned));
        } else {
            texts.extend(part.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")));
        }
    }
    let lines = texts
        .iter()
        .flat_map(|text| PROGRAMS.into_iter().flat_map(|program| text.split(program).skip(1)));
    lines.map(arguments).collect()
}

/// The words up to the end of the shell's command. Placeholders are in capitals, or variables.
pub(super) fn arguments(line: &str) -> Vec<String> {
    let is_placeholder = |word: &str| {
        let is_capital = |char: char| char.is_ascii_uppercase() || char == '_';
        word.starts_with('$') || word.chars().all(is_capital)
    };
    let meant = |word: String| match word.as_str() {
        "whsec_…" => SECRET.to_owned(),
        text if is_placeholder(text) => PLACEHOLDER.to_owned(),
        _ => word,
    };
    words(line).into_iter().map(meant).collect()
}

/// The words up to the end of the shell's command, without quotation marks.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for char in line.chars() {
        match quote {
            Some(end) if char == end => quote = None,
            None if "\"'".contains(char) => quote = Some(char),
            None if "|);&<>#".contains(char) => break,
            None if char.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

pub(super) fn parses(arguments: &[String]) -> bool {
    let asks_for_help = |error: clap::Error| error.kind() == ErrorKind::DisplayHelp;
    let whole = Cli::try_parse_from(["docintell".to_owned()].iter().chain(arguments));
    is_name(arguments) || whole.map_or_else(asks_for_help, |_| true)
}

/// True if the words only name a command or a group of commands, such as `docintell keys`.
fn is_name(words: &[String]) -> bool {
    let mut command = Cli::command();
    words.iter().all(|word| match command.find_subcommand(word).cloned() {
        Some(found) => {
            command = found;
            true
        }
        None => false,
    })
}

#[test]
fn every_command_line_in_the_documents_parses() {
    let lines: Vec<_> = PAGES.into_iter().flat_map(command_lines).collect();
    let wrong: Vec<_> =
        lines.iter().filter(|line| !parses(line)).map(|line| line.join(" ")).collect();
    assert_eq!(wrong, [""; 0], "docintell does not have these commands or options");
    assert!(lines.len() > 40, "the documents were not understood: {lines:?}");
}

#[test]
fn the_table_of_commands_has_each_with_its_help_text() {
    let commands = commands(&Cli::command(), "docintell");
    let row = |(words, about): &(String, String)| format!("| `{words}` | {about} |");
    let rows: Vec<String> = commands.iter().map(row).collect();
    let listed: Vec<&str> = CLI.lines().filter(|it| it.starts_with("| `docintell ")).collect();
    assert_eq!(listed, rows);
}

/// Every command that does something, with its help text, in the order of the help.
fn commands(command: &Command, words: &str) -> Vec<(String, String)> {
    let all = command.get_subcommands().flat_map(|sub| {
        let words = format!("{words} {}", sub.get_name());
        match commands(sub, &words) {
            below if below.is_empty() => {
                vec![(words, sub.get_about().map(ToString::to_string).unwrap_or_default())]
            }
            below => below,
        }
    });
    all.collect()
}

#[test]
fn exit_codes_and_variables_are_those_of_the_help() {
    for (name, meaning) in EXIT_CODES.into_iter().chain(VARIABLES) {
        let row = format!("| `{name}` | {meaning} |\n");
        assert!(CLI.contains(&row), "no {row}");
    }
}

#[test]
fn an_unknown_command_option_or_value_is_found() {
    let page = "In code style: `docintell dlq undo`, `docintell dlq\nlist --failed`. In a block:\n\n```sh\n\
                key=$(docintell keys create \\\n  --tenant-id \"$TENANT\" --expires-in 0)\n```\n";
    let lines = command_lines(page);
    let expected = ["dlq undo", "dlq list --failed"].map(str::to_owned);
    let block = format!("keys create --tenant-id {PLACEHOLDER} --expires-in 0");
    let found: Vec<_> = lines.iter().map(|line| line.join(" ")).collect();
    assert_eq!(found, [&expected[..], &[block]].concat());
    assert!(lines.iter().all(|line| !parses(line)), "{lines:?}");
}
