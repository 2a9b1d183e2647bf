//! Memory of the sender after many deliveries. The section on starts has its memory at startup.

use anyhow::Result;
use harness::fixtures::{NOTHING_FAILED, WebhookKey, batches};
use harness::{FakeAws, Function, Receiver, status};

use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, number, range};

/// Webhooks that the deliveries are for, in turn. The sender caches as many secrets.
const WEBHOOKS: usize = 100;
const BATCH: usize = 10;
/// Deliveries prepared at a time, to limit the memory of the benchmark itself.
const AT_A_TIME: usize = 1_000;
/// Deliveries after which memory is measured. A quick run leaves out the last.
const MARKS: [u32; 3] = [1_000, 10_000, 100_000];
/// Measured processes.
const PROCESSES: usize = 2;

/// Measures the memory of several senders as they make deliveries.
pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let marks = &MARKS[..bench.or_quick(3, 2)];
    let mut processes = Vec::new();
    for process in 1..=PROCESSES {
        progress::step(format_args!("memory, process {process} of {PROCESSES}"));
        processes.push(memory_at(bench, marks).await?);
    }
    let title = "How much memory does the sender use?";
    let mut table = Table::new(title, &["deliveries", "RSS MiB", "peak MiB"]);
    for (at, mark) in marks.iter().enumerate() {
        let figures =
            [0, 1].map(|which| range(processes.iter().map(|it| it[at][which]).collect(), 1));
        table.row(number((*mark).into(), 0), figures);
    }
    table.note(format!(
        "Median (lowest–highest) of {PROCESSES} processes; batches of {BATCH}, to {WEBHOOKS} webhooks in turn."
    ));
    Ok(table.to_string())
}

/// The memory of one sender at each of `marks`, in MiB: current and peak.
async fn memory_at(bench: &Bench, marks: &[u32]) -> Result<Vec<[f64; 2]>> {
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    let targets = WebhookKey::several(WEBHOOKS);
    for target in &targets {
        aws.put_webhook(target.row(&receiver.url()));
    }
    let events = batches(&targets, BATCH, AT_A_TIME / BATCH)?;
    let mut sender = Function::start(&bench.sender(&aws)?, Some(bench.cores)).await?;
    let mut memory = Vec::new();
    let mut delivered = 0;
    for &mark in marks {
        while delivered < mark as usize {
            sender.run(events.clone(), NOTHING_FAILED).await?;
            delivered += AT_A_TIME;
            receiver.take_posts(AT_A_TIME as u64)?;
        }
        memory.push([sender.process.resident_mib()?, sender.process.peak_mib()?]);
    }
    Ok(memory)
}
