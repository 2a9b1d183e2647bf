//! What the guard against hostile endpoints costs: the same posts by a guarded client and by one without it.
//!
//! The rule: the two take turns, and neighbours in time are compared, since a machine's speed drifts by more
//! than the guard costs.

use anyhow::Result;
use harness::{Receiver, answer_and_close, status};

use crate::bare::{Bare, By};
use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, quartiles};

/// Posts in flight together: a batch of the sender.
const IN_FLIGHT: usize = 10;

/// Measures on connections that are kept and on new ones, each of which asks the resolver.
pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let rounds = bench.or_quick(31, 7);
    let title = "What does the guard against hostile endpoints cost?";
    let columns = ["connections", "bare CPU µs a post", "guarded", "guarded / bare"];
    let mut table = Table::new(title, &columns);
    for (name, is_kept, posts) in [("kept", true, 4000), ("new", false, 800)] {
        let script = if is_kept { status(200) } else { answer_and_close(200) };
        let receiver = Receiver::counting(script, None).await;
        let (mut bare, mut guarded, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            progress::step(format_args!("guard, {name} connections: {round} of {rounds} done"));
            let mut cost = [0.0; 2];
            // Each goes first every other time: the second finds the machine as the first left it.
            let mut order = [(0, By::Reqwest), (1, By::Guarded)];
            order.rotate_left(round % 2);
            for (at, by) in order {
                cost[at] = micros(bench, &receiver, posts, by).await?;
            }
            bare.push(cost[0]);
            guarded.push(cost[1]);
            ratio.push(cost[1] / cost[0]);
        }
        table.row(name, [quartiles(bare, 1), quartiles(guarded, 1), quartiles(ratio, 2)]);
    }
    table.note(format!(
        "Median (quartiles) of {rounds} pairs, {IN_FLIGHT} posts in flight. The guard judges the URL before each \
         post, and before each connection every address that the endpoint's name leads to."
    ));
    Ok(table.to_string())
}

/// Processor time of each of so many posts.
async fn micros(bench: &Bench, receiver: &Receiver, posts: usize, by: By) -> Result<f64> {
    let warm_up = posts / 10;
    let bare =
        Bare { url: receiver.url(), authority: None, in_flight: IN_FLIGHT, posts, warm_up, by };
    let cost = bare.run(Some(bench.cores)).await?;
    receiver.take_posts((warm_up + posts) as u64)?;
    Ok(cost.cpu_micros(posts))
}
