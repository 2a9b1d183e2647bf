//! The cost of the guard against hostile endpoints: the same posts by a guarded client and by a bare one.
//!
//! The rule: the two clients take turns, and only neighbours in time are compared, because the machine's speed
//! drifts by more than the guard costs.

use std::fmt::Write as _;

use anyhow::Result;
use harness::{Receiver, answer_and_close, status};

use crate::bare::{Bare, By};
use crate::progress;
use crate::setup::Bench;
use crate::table::quartiles;

/// Posts in flight at the same time, like a batch of the sender.
const IN_FLIGHT: usize = 10;

/// Measures with kept connections and with new ones. Each new connection resolves the name.
pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let rounds = bench.or_quick(31, 7);
    let mut text = "### What does the guard against hostile endpoints cost?\n\n".to_owned();
    for (name, is_kept, posts) in [("kept", true, 4000), ("new", false, 800)] {
        let script = if is_kept { status(200) } else { answer_and_close(200) };
        let receiver = Receiver::counting(script, None).await;
        let (mut bare, mut guarded, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            progress::step(format_args!("guard, {name} connections: {round} of {rounds} done"));
            let mut cost = [0.0; 2];
            // They alternate in going first, because the first one changes the state of the machine for the
            // second.
            let mut order = [(0, By::Reqwest), (1, By::Guarded)];
            order.rotate_left(round % 2);
            for (at, by) in order {
                cost[at] = micros(bench, &receiver, posts, by).await?;
            }
            bare.push(cost[0]);
            guarded.push(cost[1]);
            ratio.push(cost[1] / cost[0]);
        }
        let [bare, guarded, ratio] =
            [quartiles(bare, 1), quartiles(guarded, 1), quartiles(ratio, 2)];
        write!(
            text,
            "A post on a {name} connection takes {bare} µs of processor time without the guard and {guarded} µs with it, \
             which is {ratio} times as much. "
        )?;
    }
    writeln!(
        text,
        "Median (quartiles) of {rounds} pairs, {IN_FLIGHT} posts in flight. The guard checks the URL before each post, \
         and every address of the endpoint's name before each connection."
    )?;
    Ok(text)
}

/// Processor time per post, in microseconds.
async fn micros(bench: &Bench, receiver: &Receiver, posts: usize, by: By) -> Result<f64> {
    let warm_up = posts / 10;
    let bare =
        Bare { url: receiver.url(), authority: None, in_flight: IN_FLIGHT, posts, warm_up, by };
    let cost = bare.run(Some(bench.cores)).await?;
    receiver.take_posts((warm_up + posts) as u64)?;
    Ok(cost.cpu_micros(posts))
}
