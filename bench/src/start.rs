//! What a new execution environment costs: until a function asks for its first event, until it has answered
//! that, and what TLS adds when a sender uses it for the first time.

use std::path::Path;

use anyhow::{Context as _, Result};
use harness::fixtures::{
    Message, NOTHING_FAILED, WebhookKey, api_key_row, batch_of, get, job_changes,
};
use harness::{Cost, FakeAws, Function, Receiver, status};

use crate::bench::Bench;
use crate::functions::success;
use crate::progress;
use crate::table::{Cell, Table};

/// Starts every function, and then the sender for its first HTTPS call, each many times.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let processes = bench.or_quick(31, 11);
    Ok(vec![starts(bench, processes).await?, first_https(bench, processes).await?])
}

async fn starts(bench: &Bench, processes: usize) -> Result<Table> {
    let columns =
        ["function", "init ms", "first invocation ms", "RSS after init MiB", "bootstrap MB"];
    let mut table = Table::new(format!("{processes} new processes of each function"), &columns);
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    let target = WebhookKey::random();
    aws.put_webhook(target.row(&receiver.url()));
    aws.put_api_key(api_key_row(target.tenant));

    let api = bench.program("api", &aws)?;
    let request = get(&format!("/v1/webhooks/{}", target.webhook))?;
    let got = success(&api, &request).await?;
    let fanout = bench.program("fanout", &aws)?;
    let change = job_changes(&[target.tenant], 1)?;
    let sender = bench.sender(&aws)?;
    let message = batch_of(&[Message::new(1, target)]);
    for (name, program, event, expected) in [
        ("api", api, request, got.as_str()),
        ("fanout", fanout, change, NOTHING_FAILED),
        ("sender", sender, message, NOTHING_FAILED),
    ] {
        let (mut init, mut first, mut resident) = (Vec::new(), Vec::new(), Vec::new());
        for process in 1..=processes {
            progress::say(format_args!("start: {name}, process {process} of {processes}"));
            let mut function = Function::start(&program, bench.cores).await?;
            init.push(function.init.as_secs_f64() * 1000.0);
            resident.push(function.process.resident_mib()?);
            let took = function.invoke_expecting(event.clone(), expected).await?;
            first.push(took.as_secs_f64() * 1000.0);
        }
        let [init, first, resident] =
            [init, first, resident].map(|values| Cell::quartiles(values, 1));
        table.row([Cell::text(name), init, first, resident, size(&program.path)?]);
    }
    receiver.take_posts(processes as u64)?;
    table.note(
        "Median (quartiles). Init is from the start of the process, whose file is in memory already, to its \
         first request for an event. The first invocation is a GET of a webhook, a record with one webhook, \
         and one delivery over plain HTTP; it makes the connections to AWS, which here are plain HTTP too.",
    );
    table.note("To be reached: init ≤ 8 ms, RSS ≤ 12 MiB, bootstrap ≤ 8.5 MB.");
    Ok(table)
}

/// Three deliveries by each new sender, each to another webhook and on a new connection: one that gets
/// everything else ready, one over plain HTTP, one over HTTPS.
async fn first_https(bench: &Bench, processes: usize) -> Result<Table> {
    let columns = ["delivery", "ms", "sender's processor ms"];
    let mut table = Table::new("The first HTTPS call of a new sender", &columns);
    let aws = FakeAws::start().await;
    let (mut receivers, mut events) = (Vec::new(), Vec::new());
    let tls = [None, None, Some(bench.tls.clone())];
    for ((number, target), tls) in (1..).zip(WebhookKey::several(3)).zip(tls) {
        let receiver = Receiver::counting(status(200), tls).await;
        aws.put_webhook(target.row(&receiver.url()));
        events.push(batch_of(&[Message::new(number, target)]));
        receivers.push(receiver);
    }
    let program = bench.sender(&aws)?;
    let mut times = [const { Vec::new() }; 3];
    for process in 1..=processes {
        progress::say(format_args!("start: first HTTPS call, process {process} of {processes}"));
        let mut sender = Function::start(&program, bench.cores).await?;
        sender.run([events[0].clone()], NOTHING_FAILED).await?;
        let plain = millis(sender.run([events[1].clone()], NOTHING_FAILED).await?);
        let https = millis(sender.run([events[2].clone()], NOTHING_FAILED).await?);
        let added = [https[0] - plain[0], https[1] - plain[1]];
        for (times, time) in times.iter_mut().zip([plain, https, added]) {
            times.push(time);
        }
    }
    for receiver in receivers {
        receiver.take_posts(processes as u64)?;
    }
    for (name, times) in
        ["plain HTTP", "HTTPS, the first in the process", "added"].iter().zip(times)
    {
        let [wall, cpu] =
            [0, 1].map(|at| Cell::quartiles(times.iter().map(|it| it[at]).collect(), 2));
        table.row([Cell::text(*name), wall, cpu]);
    }
    table.note(format!(
        "Median (quartiles) of {processes} processes, in each of which one delivery over plain HTTP went before \
         these two. Each of the two is to another webhook and on a new connection, so that both read a secret \
         and look a name up. The server's share of the handshake is in the time and not in the processor time.",
    ));
    table.note("To be reached: ≤ 3 ms added.");
    Ok(table)
}

/// Wall clock and the process's processor time.
fn millis(cost: Cost) -> [f64; 2] {
    [cost.wall, cost.cpu].map(|time| time.as_secs_f64() * 1000.0)
}

fn size(bootstrap: &Path) -> Result<Cell> {
    let bytes = std::fs::metadata(bootstrap).context("the bootstrap is gone")?.len();
    Ok(Cell::number(f64::from(u32::try_from(bytes)?) / 1e6, 2))
}
