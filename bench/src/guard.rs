//! What the address guard costs: the same posts through a guarded and a bare client, side by side.
//!
//! `cargo run --release -p bench` prints processor time per post and the ratio of the two, round by round,
//! since a machine's speed drifts more than the guard costs. The endpoint is named by host name, so that
//! every new connection asks the resolver; it answers on a thread of its own.




use std::sync::Arc;

use anyhow::{Context as _, Result};
use reqwest::Client;
use reqwest::redirect::Policy;
use sender::guard;
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::resolve;

use bench::endpoint;
use bench::round::Round;

/// Rounds of each kind: many short ones, so that what else the machine does falls on both sides alike.
const ROUNDS: usize = 101;

fn main() -> Result<()> {
    let port = endpoint::start()?;
    let url = EndpointUrl::parse(&format!("http://localhost:{port}/"))?;
    println!(
        "processor time per post, µs, {ROUNDS} rounds each; ratio guarded / bare of each pair"
    );
    for (name, kept, posts) in [("kept connections", true, 2_000), ("new connections", false, 400)]
    {
        let mut bare = Vec::new();
        let mut guarded = Vec::new();
        for round in 0..ROUNDS {
            // Each goes first every other time: the second finds the caches as the first left them.
            if round % 2 == 0 {
                bare.push(measure(posts, &url, kept, None)?);
            }
            guarded.push(measure(posts, &url, kept, Some(&policy()?))?);
            if round % 2 == 1 {
                bare.push(measure(posts, &url, kept, None)?);
            }
        }
        let ratios = guarded.iter().zip(&bare).map(|(guarded, bare)| guarded / bare).collect();
        println!(
            "{name}: bare {}, guarded {}, ratio {}",
            spread(bare),
            spread(guarded),
            spread(ratios)
        );
    }
    Ok(())
}

/// One round on a runtime and with a client of its own, so that no round inherits connections.
fn measure(
    posts: usize,
    url: &EndpointUrl,
    kept: bool,
    policy: Option<&Arc<EndpointPolicy>>,
) -> Result<f64> {
    let client = match policy {
        Some(policy) => guard::builder(Arc::clone(policy), resolve::system(), None)?,
        None => Client::builder()
            .tls_backend_preconfigured(guard::tls(None)?)
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            // As long as the guarded client's, so that both send as many bytes.
            .user_agent("DocIntell-Webhooks/0.0.0"),
    };
    let client = if kept { client } else { client.pool_max_idle_per_host(0) };
    let round = Round { client: client.build()?, url, policy: policy.map(Arc::as_ref), posts };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(round.run())
}

/// Loopback is allowed as a network, so that the policy goes all the way through its table.
fn policy() -> Result<Arc<EndpointPolicy>> {
    let allowed_networks =
        ["127.0.0.0/8", "::1/128"].iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let allowed_networks = allowed_networks.context("they are networks")?;
    Ok(Arc::new(EndpointPolicy { allow_http: true, allowed_networks, protected: Vec::new() }))
}

/// Median, and the quartiles in brackets.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let [low, median, high] = [1, 2, 3].map(|quarter| values[values.len() * quarter / 4]);
    format!("{median:.2} ({low:.2}–{high:.2})")
}
