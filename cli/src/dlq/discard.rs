//! `docintell dlq drop`: deletes parked messages for good.
//!
//! The rule: nothing is deleted that the user did not choose, and nothing undelivered without a confirmation.

use std::io::{IsTerminal as _, stdin};
use std::thread;

use anyhow::{Result, bail, ensure};
use tokio::sync::oneshot;

use super::held::BATCH;
use super::parked::Parked;
use super::select::Selection;
use super::stop::Stop;
use super::{count, stopped};
use crate::output;
use crate::progress::Progress;

/// An error if nobody can confirm anything.
pub(super) fn ensure_terminal(messages: usize) -> Result<()> {
    ensure!(
        stdin().is_terminal(),
        "nobody can confirm this, because standard input is not a terminal: add --yes to drop {}",
        count(messages, "message")
    );
    Ok(())
}

/// Asks for confirmation.
pub(super) async fn confirm(messages: usize, stop: &Stop) -> Result<()> {
    output::note(format_args!("Drop {} for good? [y/N]", count(messages, "message")));
    let (sender, answer) = oneshot::channel();
    // Not a task of tokio, which would wait for the line before the program could end.
    thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line);
        sender.send(read.map(|_| line)).ok();
    });
    tokio::select! {
        answer = answer => {
            let line = answer??;
            let is_yes = ["y", "yes"].contains(&line.trim().to_lowercase().as_str());
            ensure!(is_yes, "not confirmed: nothing was dropped");
            Ok(())
        }
        () = stop.requested() => Err(stopped()),
    }
}

/// Deletes the messages, until they are done or the user stops.
pub(super) async fn drop_all(selection: &mut Selection, stop: &Stop) -> Result<()> {
    let Selection { messages, held, .. } = selection;
    let task = Progress::Shown.begin("dropping");
    let work = async {
        let (mut dropped, mut kept) = (0, Vec::new());
        for batch in messages.chunks(BATCH) {
            if stop.is_requested() {
                break;
            }
            held.extend_if_due().await;
            let failed = held.delete(&ids(batch)).await;
            dropped += batch.len() - failed.len();
            kept.extend(failed);
            task.note(&format!("{dropped} of {}", messages.len()));
        }
        (dropped, kept)
    };
    let (dropped, kept) = task.watch(work).await;
    output::line(format_args!("Dropped {dropped} of {}.", count(messages.len(), "message")))?;
    for (id, reason) in &kept {
        output::note(format_args!("message {id}: {reason}"));
    }
    if !kept.is_empty() {
        bail!("{} could not be dropped: try again", count(kept.len(), "message"));
    }
    if dropped < messages.len() {
        return Err(stopped());
    }
    Ok(())
}

fn ids(batch: &[Parked]) -> Vec<&str> {
    batch.iter().map(|parked| parked.received.message_id.as_str()).collect()
}
