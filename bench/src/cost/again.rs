//! What a delivery costs that does not succeed at its first attempt: a failed, skipped or repeated one.

use anyhow::{Result, ensure};
use harness::fixtures::{
    NOTHING_FAILED, WebhookKey, api_key_row, delivery_rows, first_slice, post, replay_row,
};
use harness::{FakeAws, Receiver, Unit, after, status};
use serde_json::{Value, json};
use webhooks::timestamp::Timestamp;

use super::bill::{self, MAKING};
use super::case::{FOR_GOOD, HAPPY, ONCE, SINGLE, Used, charging_aws};
use super::environment::{Compute, Environment};
use super::prices;
use crate::progress;
use crate::setup::Bench;
use crate::table::{Table, number};

/// Deliveries per second of the replay: all are sent in one slice.
const RATE: u32 = 500;

/// Counts and prices each kind.
pub(super) async fn measure(bench: &Bench, deliveries: usize) -> Result<Table> {
    let title = "What do a million deliveries cost that do not succeed at once, in dollars?";
    let columns = ["deliveries", "requests to AWS for each", "write units for each", "a million"];
    let mut table = Table::new(title, &columns);
    let mut row = |name: &str, used: &Used, gateway: f64| {
        let each = |count: u64| bill::float(count) / bill::float(used.deliveries);
        let counts = [used.aws.total().calls, used.aws.units(Unit::Write)];
        let counts = counts.map(|count| number(each(count), 2));
        let dollars = bill::per_million(&MAKING, used) + gateway;
        table.row(name, counts.into_iter().chain([number(dollars, 2)]));
    };
    let step = |name: &str| progress::step(format_args!("cost: {deliveries} deliveries, {name}"));
    step("delivered at the second attempt");
    row("delivered at the second attempt", &ONCE.run(bench, deliveries).await?, 0.0);
    step("failed after five attempts");
    row("failed after five attempts", &FOR_GOOD.run(bench, deliveries).await?, 0.0);
    step("skipped");
    row("skipped while the webhook is off", &skipped(bench, deliveries).await?, 0.0);
    step("retried");
    let gateway = prices::API_REQUESTS.of(1e6);
    row("retried by its owner", &retried(bench, deliveries).await?, gateway);
    step("replayed");
    row("replayed", &replayed(bench, deliveries).await?, 0.0);
    table.note(
        "A failed delivery goes to a webhook that was failing already. Retried and replayed deliveries failed before, which \
         is not part of their cost, and succeed now. A retry is a request to the API, and its message is alone in its \
         batch. The replay sends 500 a second.",
    );
    Ok(table)
}

/// Events of a webhook that is switched off.
async fn skipped(bench: &Bench, events: usize) -> Result<Used> {
    let aws = charging_aws().await;
    let target = WebhookKey::random();
    let mut webhook = target.row("https://hooks.example.com/docintell");
    webhook["is_active"] = json!({"BOOL": false});
    webhook["disabled_at"] = json!({"S": Timestamp::now()});
    webhook["disabled_reason"] = json!({"S": "owner"});
    aws.put_webhook(webhook);
    let queueing = HAPPY.fan_out(bench, &aws, &[target.tenant], events).await?;
    let stored = aws.stored_deliveries();
    ensure!(stored.rows == events as u64, "{} events of {events} are skipped", stored.rows);
    Ok(Used {
        deliveries: events as u64,
        posts: 0,
        aws: aws.take_usage(),
        queueing,
        sender: Compute::default(),
        bytes_posted: 0,
        stored,
    })
}

/// Failed deliveries that their owner retries one by one.
async fn retried(bench: &Bench, deliveries: usize) -> Result<Used> {
    let Failed { aws, receiver, target } = Failed::with(bench, deliveries).await?;
    let mut program = bench.program("api", &aws)?;
    program.environment.push(("CHANGES_PER_MINUTE", deliveries.to_string()));
    let mut api = Environment::start(&program, bench.cores).await?;
    for row in delivery_rows(target, 0, u32::try_from(deliveries)?) {
        let delivery = row["delivery_id"]["S"].as_str().unwrap_or_default();
        let path = format!("/v1/webhooks/{}/deliveries/{delivery}/retry", target.webhook);
        let answer: Value = serde_json::from_slice(&api.invoke(post(&path)?).await?)?;
        ensure!(answer["statusCode"] == 202, "the api function answered {answer}");
    }
    SINGLE.deliver_queued(bench, &aws, &receiver, api.end().await, deliveries).await
}

/// Failed deliveries that a replay sends, all in one slice.
async fn replayed(bench: &Bench, deliveries: usize) -> Result<Used> {
    let Failed { aws, receiver, target } = Failed::with(bench, deliveries).await?;
    aws.put_replay(&replay_row(target, RATE));
    let mut replay = Environment::start(&bench.program("replay", &aws)?, bench.cores).await?;
    let answer = replay.invoke(first_slice(target)).await?;
    ensure!(answer == NOTHING_FAILED.as_bytes(), "the replay function answered {answer:?}");
    HAPPY.deliver_queued(bench, &aws, &receiver, replay.end().await, deliveries).await
}

/// A log of deliveries that failed, to an endpoint that works again.
struct Failed {
    aws: FakeAws,
    receiver: Receiver,
    target: WebhookKey,
}

impl Failed {
    async fn with(bench: &Bench, deliveries: usize) -> Result<Self> {
        let aws = charging_aws().await;
        aws.keep_deliveries();
        let receiver = Receiver::counting(after(HAPPY.wait, status(200)), Some(bench.tls.clone()));
        let receiver = receiver.await;
        let target = WebhookKey::random();
        aws.put_webhook(target.row(&receiver.url()));
        aws.put_api_key(api_key_row(target.tenant));
        delivery_rows(target, 0, u32::try_from(deliveries)?).for_each(|row| aws.put_delivery(&row));
        Ok(Self { aws, receiver, target })
    }
}
