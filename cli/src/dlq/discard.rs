//! `docintell dlq drop`: deletes parked messages for good.
//!
//! The rule: nothing is deleted that the user did not choose, and nothing undelivered without a confirmation.

use std::collections::HashMap;
use std::io::{IsTerminal as _, stdin};
use std::thread;

use anyhow::{Result, bail, ensure};
use tokio::sync::oneshot;

use super::held::BATCH;
use super::outcome::{Ended, Outcome};
use super::parked::Parked;
use super::select::Selection;
use super::stopped;
use crate::output;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::words::count;

/// An error if nobody can confirm anything: a program reads JSON.
pub(super) fn ensure_can_confirm(messages: usize, json: bool) -> Result<()> {
    ensure!(
        !json && stdin().is_terminal(),
        "nobody can confirm this, because {}: add --yes to drop {}",
        if json { "--json is for programs" } else { "standard input is not a terminal" },
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
pub(super) async fn drop_all(selection: &mut Selection, stop: &Stop, json: bool) -> Result<()> {
    let Selection { messages, held, .. } = selection;
    let task = Progress::Shown.begin("dropping");
    let work = async {
        let (mut dropped, mut ended) = (0, Vec::new());
        for batch in messages.chunks(BATCH) {
            if stop.is_requested() {
                break;
            }
            held.extend_if_due().await;
            let mut failed: HashMap<_, _> = held.delete(&ids(batch)).await.into_iter().collect();
            dropped += batch.len() - failed.len();
            ended.extend(batch.iter().map(|parked| {
                let reason = failed.remove(&parked.received.message_id);
                Ended::new(parked, reason.map_or(Outcome::Dropped, Outcome::NotDropped))
            }));
            task.note(&format!("{dropped} of {}", messages.len()));
        }
        (dropped, ended)
    };
    let (dropped, ended) = task.watch(work).await;
    if json {
        ended.iter().map(Ended::json).try_for_each(|it| output::json(&it))?;
    }
    let all = count(messages.len(), "message");
    output::sentence(format_args!("Dropped {dropped} of {all}."), json)?;
    ended.iter().filter_map(Ended::problem).for_each(output::note);
    let kept = ended.len() - dropped;
    if kept > 0 {
        bail!("{} could not be dropped: try again", count(kept, "message"));
    }
    if dropped < messages.len() {
        return Err(stopped());
    }
    Ok(())
}

fn ids(batch: &[Parked]) -> Vec<&str> {
    batch.iter().map(|parked| parked.received.message_id.as_str()).collect()
}
