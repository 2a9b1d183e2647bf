//! How much memory the sender has, at its start and after many deliveries.

use anyhow::Result;
use harness::fixtures::{Message, NOTHING_FAILED, WebhookKey, batch_of};
use harness::{FakeAws, Function, Receiver, status};

use crate::bench::Bench;
use crate::progress;
use crate::table::{Cell, Table};

/// Webhooks that the deliveries are for in turn, so that as many secrets are kept.
const WEBHOOKS: usize = 100;
/// Messages in a batch.
const BATCH: usize = 10;
/// Batches that are made at a time: more would be memory of ours for nothing.
const AT_A_TIME: usize = 100;

/// Deliveries after which the memory is looked at; a quick run stops one earlier.
const MARKS: [usize; 4] = [0, 1_000, 10_000, 100_000];
/// Senders that are looked at.
const PROCESSES: usize = 2;

/// Looks at several senders on their way through many deliveries.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let marks = &MARKS[..bench.or_quick(4, 3)];
    let mut lives = Vec::new();
    for process in 1..=PROCESSES {
        lives.push(life(bench, marks, process).await?);
    }
    let mut table =
        Table::new("Memory of the sender", &["deliveries", "RSS MiB", "most so far MiB"]);
    for (at, mark) in marks.iter().enumerate() {
        let [resident, most] =
            [0, 1].map(|which| Cell::extremes(lives.iter().map(|it| it[at][which]).collect(), 1));
        table.row([Cell::count(*mark as u64), resident, most]);
    }
    table.note(format!(
        "Median (lowest–highest) of {PROCESSES} processes; batches of {BATCH}, to {WEBHOOKS} webhooks in turn. To \
         be reached: ≤ 12 MiB, and no more after the last delivery than after the first thousand."
    ));
    Ok(vec![table])
}

/// The memory of one sender at each of `marks`, in MiB: what it has, and the most that it had until then.
async fn life(bench: &Bench, marks: &[usize], process: usize) -> Result<Vec<[f64; 2]>> {
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    let targets = WebhookKey::several(WEBHOOKS);
    for target in &targets {
        aws.put_webhook(target.row(&receiver.url()));
    }
    let mut messages =
        (1..).zip(targets.iter().cycle()).map(|(number, target)| Message::new(number, *target));
    let mut sender = Function::start(&bench.sender(&aws)?, bench.cores).await?;
    let mut memory = Vec::new();
    let mut delivered = 0;
    for &mark in marks {
        while delivered < mark {
            progress::say(format_args!(
                "memory, process {process} of {PROCESSES}: {delivered} deliveries"
            ));
            let batch = |_| batch_of(&messages.by_ref().take(BATCH).collect::<Vec<_>>());
            let events: Vec<_> = (0..AT_A_TIME).map(batch).collect();
            sender.run(events, NOTHING_FAILED).await?;
            delivered += BATCH * AT_A_TIME;
            receiver.take_posts((BATCH * AT_A_TIME) as u64)?;
        }
        memory.push([sender.process.resident_mib()?, sender.process.peak_mib()?]);
    }
    Ok(memory)
}
