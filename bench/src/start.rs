//! The cost of a new execution environment: time until a function asks for its first event, time of the first
//! invocation, and the extra time when a sender first uses TLS.

use std::path::Path;

use anyhow::{Context as _, Result};
use harness::fixtures::{
    Message, NOTHING_FAILED, WebhookKey, api_key_row, batch_of, get, job_changes,
};
use harness::{FakeAws, Function, Receiver, status};

use crate::functions::success;
use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, number, quartiles};

/// Starts every function many times, and then the sender for its first HTTPS call.
pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let processes = bench.or_quick(31, 11);
    let title = "How long does a new environment take, and how large is it?";
    let columns =
        ["function", "init ms", "first invocation ms", "RSS after init MiB", "bootstrap MB"];
    let mut table = Table::new(title, &columns);
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
            progress::step(format_args!("start: {name}, process {process} of {processes}"));
            let mut function = Function::start(&program, Some(bench.cores)).await?;
            init.push(function.init.as_secs_f64() * 1000.0);
            resident.push(function.process.resident_mib()?);
            let took = function.invoke_expecting(event.clone(), expected).await?;
            first.push(took.as_secs_f64() * 1000.0);
        }
        let [init, first, resident] = [init, first, resident].map(|values| quartiles(values, 1));
        table.row(name, [init, first, resident, number(megabytes(&program.path)?, 2)]);
    }
    receiver.take_posts(processes as u64)?;
    let [plain, https, added] = first_https(bench, processes).await?;
    table.note(format!(
        "Median (quartiles) of {processes} processes. Init is the time from the start of the process, with its file in \
         memory, to its first request for an event. The first invocation connects to AWS, here over \
         plain HTTP, and is a GET of a webhook, a record with one webhook, or one delivery. The first delivery \
         over HTTPS in a process takes {} ms, the one before it over plain HTTP {} ms: TLS adds {} ms.",
        quartiles(https, 2),
        quartiles(plain, 2),
        quartiles(added, 2)
    ));
    Ok(table.to_string())
}

/// Milliseconds of a delivery over plain HTTP, of the first one over HTTPS, and the difference.
///
/// One delivery before them initializes everything else. Each of the three goes to another webhook on a new
/// connection, so that each reads a secret and resolves a name.
async fn first_https(bench: &Bench, processes: usize) -> Result<[Vec<f64>; 3]> {
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
        progress::step(format_args!("start: first HTTPS call, process {process} of {processes}"));
        let mut sender = Function::start(&program, Some(bench.cores)).await?;
        let mut millis = Vec::new();
        for event in &events {
            let cost = sender.run([event.clone()], NOTHING_FAILED).await?;
            millis.push(cost.wall.as_secs_f64() * 1000.0);
        }
        let (plain, https) = (millis[1], millis[2]);
        for (times, time) in times.iter_mut().zip([plain, https, https - plain]) {
            times.push(time);
        }
    }
    for receiver in receivers {
        receiver.take_posts(processes as u64)?;
    }
    Ok(times)
}

fn megabytes(bootstrap: &Path) -> Result<f64> {
    let bytes =
        std::fs::metadata(bootstrap).context("cannot read the size of the bootstrap")?.len();
    Ok(f64::from(u32::try_from(bytes)?) / 1e6)
}
