//! The page of the program itself: the first five minutes, exit codes and environment variables.

use std::fmt::Write as _;

use clap::builder::StyledStr;

use super::{Example, examples};
use crate::style::HEADING;

pub(super) const ABOUT: &str = "\
When a document's job changes its state, DocIntell sends a signed POST to every webhook that its tenant has registered. \
This program runs that service on this machine, shows and repairs what was delivered and what was not, and helps to \
receive and verify deliveries.

Without --stack-name, commands work on the local stack of the checkout around the current directory, and with it on a \
stack on AWS, with your AWS credentials.";

/// On a local stack that runs its demo.
pub(super) const FIRST_MINUTES: &[Example] = &[
    (
        "Start the whole service on this machine, and leave it running (the first time takes minutes)",
        "local",
    ),
    ("In a second terminal: the tenant's webhooks and their health", "webhooks list"),
    ("What was sent to the webhook, newest first", "deliveries list"),
    (
        "Every attempt of the one that needed three; ids are in the first column",
        "deliveries show ID",
    ),
    ("Send it again", "deliveries retry ID"),
    (
        "In a third terminal: a receiver that lets each delivery fail twice",
        "listen --responses 500,500,200",
    ),
    (
        "In the second one: process a document, and watch its events arrive and be retried",
        "job complete",
    ),
    ("Dead letters: deliveries that failed for good, and why", "dlq list"),
    ("If something looks wrong: check the whole stack, and read what to do", "doctor"),
];

/// Exit codes with their meanings.
pub(in crate::command_line) const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "Done. `local` and `listen` also end with 0 after Ctrl-C"),
    ("1", "Failed: the sentence after `error:` on standard error says why, and what to do"),
    ("2", "Wrong command line: nothing was done"),
    ("3", "`doctor` found something wrong"),
    ("130", "Stopped by Ctrl-C before it was done. What was done stays done"),
    ("141", "Nobody reads the output any more, such as after `head`"),
];

/// Environment variables with their meanings.
pub(in crate::command_line) const VARIABLES: [(&str, &str); 4] = [
    ("AWS_…", "Region, profile and credentials for --stack-name, as for the AWS CLI"),
    ("DOCINTELL_WEBHOOK_SECRET", "The secret of `listen`, instead of --secret"),
    ("NO_COLOR", "If not empty: no colours, even on a terminal"),
    ("CLICOLOR_FORCE", "If not 0: colours, even if the output is not a terminal"),
];

pub(super) fn page(program: &str) -> StyledStr {
    let mut page = examples("The first five minutes", FIRST_MINUTES, program);
    table(&mut page, "Exit codes", &EXIT_CODES);
    table(&mut page, "Environment variables", &VARIABLES);
    write!(page, "\n\n`{program} COMMAND --help` has examples, and says what the command changes.")
        .expect("a text takes any text");
    page
}

fn table(page: &mut StyledStr, heading: &str, rows: &[(&str, &str)]) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    write!(page, "\n\n{HEADING}{heading}:{HEADING:#}").expect("a text takes any text");
    for (name, meaning) in rows {
        write!(page, "\n  {name:<width$}  {meaning}").expect("a text takes any text");
    }
}
