//! `docintell dlq list`, and the lists of what other commands work on.

use std::collections::HashSet;

use anyhow::Result;
use webhooks::timestamp::Timestamp;

use super::parked::Parked;
use super::select::Selection;
use super::view;
use crate::output;
use crate::words::count;

/// Prints a table.
pub(super) fn table<'a>(
    messages: impl IntoIterator<Item = &'a Parked>,
    faults: bool,
    now: Timestamp,
) -> Result<()> {
    let messages = messages.into_iter();
    if faults {
        view::faults(messages, now).print()
    } else {
        view::dead_letters(messages, now).print()
    }
}

/// Prints an object for each message, without bodies.
pub(super) fn json(messages: &[Parked], now: Timestamp) -> Result<()> {
    messages.iter().map(|parked| view::json(parked, now)).try_for_each(|it| output::json(&it))
}

/// Prints everything about each message.
pub(super) fn full(messages: &[Parked], json: bool, now: Timestamp) -> Result<()> {
    for parked in messages {
        if json {
            output::json(&view::full_json(parked, now))?;
        } else {
            output::line(format_args!("{}\n", view::full(parked, now)))?;
        }
    }
    Ok(())
}

pub(super) fn note_numbers(selection: &Selection) {
    let (selected, read) = (selection.messages.len(), selection.read);
    if read == 0 {
        output::note("No messages are parked.");
    } else if selected == read {
        output::note(format_args!("{}.", count(read, "parked message")));
    } else {
        output::note(format_args!("{selected} of {}.", count(read, "parked message")));
    }
    let unattempted = selection.messages.iter().filter(|parked| parked.is_unattempted()).count();
    if unattempted > 0 {
        output::note(format_args!(
            "{} ours: see the column `unattempted`. Send them again with `docintell dlq redrive --unattempted`.",
            if unattempted == 1 { "1 is".to_owned() } else { format!("{unattempted} are") }
        ));
    }
    let deliveries = selection.messages.iter().filter_map(Parked::delivery);
    let ids: Vec<_> = deliveries.map(|delivery| delivery.delivery_id).collect();
    let distinct = ids.iter().collect::<HashSet<_>>().len();
    if distinct < ids.len() {
        output::note(format_args!(
            "Some deliveries are parked more than once, after a failure of the service: {distinct} are different."
        ));
    }
}
