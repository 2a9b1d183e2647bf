//! Endpoints that send interim responses (`103`, `103`, …) without end: what they cost a neighbour's delivery, on as
//! little processor as Lambda gives a function of 256 MB.
//!
//! The rule: the neighbour is compared with itself beside as many endpoints that are merely silent.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::aws::Aws;
use crate::bench::Bench;
use crate::function::Function;
use crate::given::{self, Message, SECRET, Target};
use crate::progress;
use crate::receiver::{Manner, Receiver};
use crate::share::Share;
use crate::table::{Cell, Table};

/// The part of a processor that a Lambda function of 256 MB has.
const PROCESSOR: f64 = 0.15;
/// Endpoints that misbehave; with the neighbour one more than a batch of the queue can hold.
const ENDPOINTS: usize = 10;
/// How long the neighbour takes to answer.
const NEIGHBOUR: Duration = Duration::from_millis(50);

/// How an endpoint misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It says nothing.
    Silent,
    /// It sends interim responses as fast as they are read.
    Interim,
}

/// What one invocation came to.
struct Seen {
    invocation: Duration,
    /// How long the attempts at the endpoints that misbehave lasted.
    attempts: Vec<Duration>,
    neighbour: Duration,
}

/// Measures both ways.
pub async fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let rounds = bench.or_quick(5, 2);
    let columns = ["ten endpoints", "their attempts s", "invocation s", "neighbour's attempt ms"];
    let mut table =
        Table::new("A delivery beside ten endpoints that never end an answer", &columns);
    for (name, way) in [("say nothing", Way::Silent), ("send interim responses", Way::Interim)] {
        let (mut attempts, mut invocations, mut neighbour) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=rounds {
            progress::say(format_args!("interim, {name}, round {round} of {rounds}"));
            let seen = measure(bench, way).await?;
            attempts.extend(seen.attempts.iter().map(Duration::as_secs_f64));
            invocations.push(seen.invocation.as_secs_f64());
            neighbour.push(seen.neighbour.as_secs_f64() * 1e3);
        }
        table.row([
            Cell::text(name),
            Cell::extremes(attempts, 1),
            Cell::extremes(invocations, 1),
            Cell::extremes(neighbour, 0),
        ]);
    }
    table.note(format!(
        "Median (lowest–highest) of {rounds} senders with {PROCESSOR} of a processor, in periods of 100 ms, over TLS. \
         The neighbour answers after {} ms. To be reached: attempts that end by 10.5 s, and a neighbour's \
         that lasts at most twice as long.",
        NEIGHBOUR.as_millis()
    ));
    Ok(vec![table])
}

async fn measure(bench: &Bench, way: Way) -> Result<Seen> {
    let aws = Aws::start(SECRET).await?;
    aws.keep_log();
    let good = Receiver::start(
        Manner { wait: NEIGHBOUR, ..Manner::PROMPT },
        Some(bench.tls.acceptor.clone()),
    )
    .await?;
    let mut endpoints = Vec::new();
    let mut targets = Vec::new();
    for _ in 0..ENDPOINTS {
        let endpoint = Endpoint::start(way, bench.tls.acceptor.clone()).await?;
        let target = Target::random();
        aws.put_webhook(target.row(&endpoint.url()));
        endpoints.push(endpoint);
        targets.push(target);
    }
    let neighbour = Target::random();
    aws.put_webhook(neighbour.row(&good.url()));
    targets.push(neighbour);

    let mut sender = Function::start(&bench.sender(&aws)?, bench.cores).await?;
    let share = Share::of(sender.process.pid(), PROCESSOR);
    // A first delivery makes the connections to AWS.
    sender.invoke(given::batch(&[Message::new(0, neighbour)])).await?;
    drop(aws.take_log());
    let messages: Vec<_> =
        (1..).zip(&targets).map(|(n, target)| Message::new(n, *target)).collect();
    let invocation = sender.invoke(given::batch(&messages)).await?.took;
    drop(share);

    let mut attempts = Vec::new();
    let mut delivered = None;
    for (id, duration) in aws.take_log().iter().flat_map(logged) {
        if id == neighbour.webhook.to_string() {
            delivered = Some(duration);
        } else {
            attempts.push(duration);
        }
    }
    ensure!(attempts.len() == ENDPOINTS, "{} attempts were logged", attempts.len());
    let neighbour = delivered.context("the neighbour's delivery was not logged")?;
    Ok(Seen { invocation, attempts, neighbour })
}

/// Of each delivery that a request to the log names: its webhook, and how long its attempt lasted.
fn logged(input: &Value) -> Vec<(String, Duration)> {
    let told = |webhook: &Value, attempts: &Value| {
        let millis = attempts["L"][0]["M"]["duration_ms"]["N"].as_str()?.parse().ok()?;
        Some((webhook["S"].as_str()?.to_owned(), Duration::from_millis(millis)))
    };
    let puts = input["RequestItems"].as_object().into_iter().flatten();
    let puts = puts.flat_map(|(_, puts)| puts.as_array().into_iter().flatten());
    let items = puts.map(|put| &put["PutRequest"]["Item"]);
    let update =
        told(&input["Key"]["webhook_config_id"], &input["ExpressionAttributeValues"][":attempts"]);
    items
        .filter_map(|item| told(&item["webhook_config_id"], &item["attempts"]))
        .chain(update)
        .collect()
}

/// An endpoint that misbehaves.
struct Endpoint {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Endpoint {
    async fn start(way: Way, tls: TlsAcceptor) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let address = listener.local_addr().context("the port is unknown")?;
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // It ends when the sender hangs up, as it does after ten seconds.
                let tls = tls.clone();
                connections.spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        drop(talk(stream, way).await);
                    }
                });
            }
        });
        Ok(Self { address, server })
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/webhooks/docintell", self.address.port())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn talk(mut stream: TlsStream<TcpStream>, way: Way) -> std::io::Result<()> {
    let responses = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let mut request = [0; 4096];
    while stream.read(&mut request).await? > 0 {
        match way {
            Way::Silent => {}
            Way::Interim => loop {
                stream.write_all(responses.as_bytes()).await?;
            },
        }
    }
    Ok(())
}
