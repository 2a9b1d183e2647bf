//! How much memory the sender has, at its start and after many deliveries.

use anyhow::Result;

use crate::aws::Aws;
use crate::bench::Bench;
use crate::function::Function;
use crate::given::{self, Message, NOTHING_FAILED, SECRET, Target};
use crate::progress;
use crate::receiver::{Manner, Receiver};
use crate::table::{Cell, Table};

/// Webhooks that the deliveries are for in turn, so that as many secrets are kept.
const WEBHOOKS: usize = 100;
/// Messages in a batch.
const BATCH: usize = 10;
/// Batches that are made at a time: more would be memory of ours for nothing.
const AT_A_TIME: usize = 100;

/// Looks at several senders on their way through many deliveries.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    // Of deliveries, where the memory is looked at.
    let marks: &[usize] = if bench.quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000] };
    let processes = bench.or_quick(3, 1);
    let mut resident = vec![Vec::new(); marks.len() + 2];
    for process in 1..=processes {
        for (values, mib) in resident.iter_mut().zip(life(bench, marks, process, processes).await?)
        {
            values.push(mib);
        }
    }
    let mut table = Table::new("Memory of the sender", &["when", "RSS MiB"]);
    let after = marks.iter().map(|mark| format!("after {mark} deliveries"));
    let names = ["after init".to_owned()].into_iter().chain(after).chain(["at most".to_owned()]);
    for (name, values) in names.zip(resident) {
        table.row([Cell::text(name), Cell::extremes(values, 1)]);
    }
    table.note(format!(
        "Median (lowest–highest) of {processes}; batches of {BATCH}, to {WEBHOOKS} webhooks in turn. To be reached: \
         ≤ 12 MiB, and no more after the last delivery than after the first thousand."
    ));
    Ok(vec![table])
}

/// The memory of one sender in MiB: after init, at each of `marks`, and the most.
async fn life(
    bench: &Bench,
    marks: &[usize],
    process: usize,
    processes: usize,
) -> Result<Vec<f64>> {
    let receiver = Receiver::start(Manner::PROMPT, None).await?;
    let aws = Aws::start(SECRET).await?;
    let targets = Target::several(WEBHOOKS);
    for target in &targets {
        aws.put_webhook(target.row(&receiver.url()));
    }
    let mut messages =
        (1..).zip(targets.iter().cycle()).map(|(number, target)| Message::new(number, *target));
    let mut sender = Function::start(&bench.sender(&aws)?, bench.cores).await?;
    let mut resident = vec![sender.process.resident_mib()?];
    let mut delivered = 0;
    for &mark in marks {
        while delivered < mark {
            progress::say(format_args!(
                "memory, process {process} of {processes}: {delivered} of {} deliveries",
                marks.last().unwrap_or(&mark)
            ));
            let batch = |_| given::batch(&messages.by_ref().take(BATCH).collect::<Vec<_>>());
            let events: Vec<_> = (0..AT_A_TIME).map(batch).collect();
            sender.run(events, NOTHING_FAILED).await?;
            delivered += BATCH * AT_A_TIME;
            receiver.take_posts((BATCH * AT_A_TIME) as u64)?;
        }
        resident.push(sender.process.resident_mib()?);
    }
    resident.push(sender.process.peak_mib()?);
    Ok(resident)
}
