//! `docintell listen`: a receiver for developers. It shows each delivery, verifies it, and says why a signature does not
//! match.
//!
//! `server` receives and answers, with `answer` or `forward`. `check` verifies what was `received`; `reason` has what
//! can be wrong, and `json` the forms in which a body can be written. `view` shows the result. With a local stack,
//! `follow` keeps the webhook registered; `registration` makes a webhook, and `marker` tells the next run which ones a killed
//! run left behind.
//!
//! The rule: standard output has the deliveries only; everything else is a note.

mod answer;
mod check;
mod follow;
mod forward;
mod json;
mod marker;
mod reason;
mod received;
mod registration;
mod secret;
mod server;
mod view;

use std::time::Duration;

use anyhow::{Result, bail};
use axum::http::StatusCode;
use clap::Args;
use reqwest::Url;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::age;
use crate::checkout::invocation;
use crate::output::{self, note};
use crate::stop::Stop;
pub(crate) use answer::Answers;
pub(crate) use check::Checks;
use follow::{Follower, PERIOD};
use forward::Forward;
#[cfg(test)]
pub(crate) use reason::Reason;
use secret::SecretText;
pub(crate) use server::{Behaviour, Handled, Server, Socket};

#[derive(Debug, Clone, Args)]
pub(crate) struct ListenArgs {
    /// Port of 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Signing secret of a webhook that reaches this port [default: that of a new webhook of the local stack]
    #[arg(long, value_name = "WHSEC", env = "DOCINTELL_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<SecretText>,
    /// Pass each request on, and answer with this server's answer
    #[arg(long, value_name = "URL", value_parser = forward::url, conflicts_with_all = ["status", "responses"])]
    forward: Option<Url>,
    /// Answer with this status, 200 to 599 [default: 200 to a verified request, 401 to any other]
    #[arg(long, value_parser = answer::status, conflicts_with = "responses")]
    status: Option<StatusCode>,
    /// Answer each delivery's requests with these statuses, 200 to 599, in turn; the last one repeats
    #[arg(long, value_name = "STATUS,…", value_parser = answer::status, value_delimiter = ',')]
    responses: Vec<StatusCode>,
    /// Wait before answering, such as 500ms or 12s; an attempt fails after 10 s
    #[arg(long, value_name = "TIME", value_parser = delay, default_value = "0s")]
    delay: Duration,
    /// A stack on AWS cannot reach this machine; says what to do instead
    #[arg(long, value_name = "NAME", hide = true)]
    stack_name: Option<String>,
}

pub(crate) async fn run(args: ListenArgs, json: bool) -> Result<()> {
    if let Some(name) = args.stack_name.as_ref().filter(|_| args.secret.is_none()) {
        bail!(
            "stack {name} is on AWS and cannot reach 127.0.0.1: make port {port} reachable at a public https URL, for \
             example with a tunnel, create a webhook with that URL, and run `{docintell} listen --port {port} \
             --secret whsec_…` with its secret",
            port = args.port,
            docintell = invocation()
        );
    }
    let own_secret = args.secret.as_ref().map(SecretText::parse).transpose()?;
    // From now on a signal ends the loop below, so no webhook is left behind.
    let stop = Stop::on_signals()?;
    let socket = Socket::bind(args.port).await?;
    let address = socket.address()?;
    let (mut follower, secret) = if let Some(secret) = own_secret {
        note("No webhook is registered. A request to any path is checked with the given secret.");
        (None, watch::channel(secret).1)
    } else {
        let (follower, secret) = Follower::register(address).await?;
        (Some(follower), secret)
    };
    let (sender, requests) = mpsc::unbounded_channel();
    let behaviour = Behaviour {
        secret,
        answers: Answers {
            statuses: args.status.map_or(args.responses, |status| vec![status]),
            delay: args.delay,
        },
        forward: args.forward.map(Forward::to).transpose()?,
    };
    let server = socket.serve(behaviour, sender);
    note(format_args!("Listening on http://{address}. Ctrl-C stops it.\n"));
    let shown = show(requests, &stop, follower.as_mut(), json).await;
    drop(server);
    if let Some(follower) = follower {
        follower.remove().await;
    }
    shown
}

/// Shows requests until the user asks to stop. Meanwhile, follows the local stack.
async fn show(
    mut requests: mpsc::UnboundedReceiver<Handled>,
    stop: &Stop,
    mut follower: Option<&mut Follower>,
    json: bool,
) -> Result<()> {
    let mut looks = interval(PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let handled = tokio::select! {
            handled = requests.recv() => handled,
            () = stop.requested() => None,
            _ = looks.tick() => {
                if let Some(follower) = &mut follower {
                    follower.look().await;
                }
                continue;
            }
        };
        match handled {
            None => return Ok(()),
            Some(handled) if json => output::json(&view::json(&handled))?,
            Some(handled) => output::line(view::full(&handled))?,
        }
    }
}

/// A time such as `500ms` or `12s`.
fn delay(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").and_then(|number| number.parse().ok());
    match millis {
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => age::parse(text).map_err(|_malformed| {
            "not a time; expected a number with a unit, such as 500ms or 12s".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_has_milliseconds_or_a_larger_unit() {
        for (text, millis) in [("0s", 0), ("500ms", 500), ("12s", 12_000), ("1m", 60_000)] {
            assert_eq!(delay(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "ms", "-1s", "1.5s"] {
            assert!(delay(text).is_err(), "{text}");
        }
    }
}
