//! A case whose cost is counted, from the job's change to the log.
//!
//! The rule: fanout and the sender are the real ones. What AWS does between and around them is played here:
//! the queue keeps what fanout sent, the pollers hand it to the sender in batches, and what the sender
//! reports as failed is handed over once more in the next round, without waiting for its time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use harness::fixtures::{
    DELIVERIES, Message, NOTHING_FAILED, WebhookKey, batch_of, numbered_job_changes,
};
use harness::{
    Failing, FakeAws, Operation, Receiver, Stored, Usage, after, queue_units_of, status,
};
use serde::Deserialize;
use webhooks::id::TenantId;

use super::environment::{Compute, Environment};
use crate::bench::Bench;
use crate::neighbours::template;

/// How long a call to AWS takes.
const AWS_LATENCY: Duration = Duration::from_millis(5);

/// One set of conditions.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// Tenants whose documents change, in turn.
    pub tenants: usize,
    /// Webhooks of each tenant, every one of which gets each of its events.
    pub webhooks: usize,
    /// Job changes in a batch of the stream.
    pub records: usize,
    /// Messages in a batch of the queue.
    pub batch: usize,
    /// How long the endpoint takes to answer.
    pub wait: Duration,
    /// Which deliveries fail.
    pub failing: Option<Failing>,
    /// Execution environments of the sender, among which batches are dealt out.
    pub environments: usize,
}

/// What the deliveries of a case have used.
#[derive(Debug, Clone)]
pub struct Used {
    /// Deliveries that were asked for.
    pub deliveries: usize,
    /// Posts that were made for them.
    pub posts: u64,
    /// What AWS was asked for, by the functions and by Lambda's pollers in the sender's name.
    pub aws: Usage,
    /// What fanout is billed.
    pub fanout: Compute,
    /// What the sender is billed.
    pub sender: Compute,
    /// Bytes of the posts, as HTTP writes them.
    pub bytes_posted: u64,
    /// What is in the log afterwards.
    pub stored: Stored,
}

/// The case that the others are variations of.
pub const HAPPY: Case = Case {
    name: "one webhook",
    tenants: 1,
    webhooks: 1,
    records: 100,
    batch: 10,
    wait: Duration::from_millis(50),
    failing: None,
    environments: 1,
};

/// One event, ten webhooks.
pub const FAN_OUT: Case = Case { name: "fan-out of ten", webhooks: 10, ..HAPPY };

/// All of them.
pub const ALL: [Case; 7] = [
    HAPPY,
    Case { name: "ten tenants", tenants: 10, ..HAPPY },
    FAN_OUT,
    Case { name: "10 % fail once", failing: Some(Failing { one_in: 10, attempts: 1 }), ..HAPPY },
    Case {
        name: "10 % fail for good",
        failing: Some(Failing { one_in: 10, attempts: u32::MAX }),
        ..HAPPY
    },
    Case { name: "endpoint takes 2 s", wait: Duration::from_secs(2), environments: 10, ..HAPPY },
    Case { name: "batches of one", records: 1, batch: 1, environments: 10, ..HAPPY },
];

impl Case {
    /// Makes `deliveries` deliveries, which must be a multiple of the webhooks of a tenant.
    pub async fn run(self, bench: &Bench, deliveries: usize) -> Result<Used> {
        let aws = FakeAws::start().await;
        aws.charge();
        aws.answer_after(AWS_LATENCY);
        aws.record();
        let tls = Some(bench.tls.clone());
        let script = match self.failing {
            Some(failing) => failing.after(self.wait),
            None => after(self.wait, status(200)).into(),
        };
        let receiver = Receiver::counting(script, tls).await;
        let mut tenants: Vec<TenantId> = Vec::new();
        for targets in (0..self.tenants).map(|_| WebhookKey::several(self.webhooks)) {
            for target in &targets {
                aws.put_webhook(target.row(&receiver.url()));
            }
            tenants.extend(targets.first().map(|target| target.tenant));
        }

        let fanout = self.fan_out(bench, &aws, &tenants, deliveries / self.webhooks).await?;
        let queued = aws.take_queued(DELIVERIES).into_iter();
        let messages: Vec<Message> =
            (1..).zip(queued).map(|(number, sent)| Message::queued(number, sent.body)).collect();
        ensure!(
            messages.len() == deliveries,
            "fanout queued {} deliveries in place of {deliveries}: on a busy machine it asks twice",
            messages.len()
        );
        let mut usage = Usage::default();
        let sender = self.deliver(bench, &aws, messages, &mut usage).await?;
        usage += aws.take_usage();

        let (posts, bytes_posted) = receiver.take();
        let stored = aws.stored_deliveries();
        ensure!(
            stored.rows == deliveries as u64,
            "the log has {} rows of {deliveries} deliveries: on a busy machine it is asked twice",
            stored.rows
        );
        Ok(Used { deliveries, posts, aws: usage, fanout, sender, bytes_posted, stored })
    }

    /// Gives fanout the job changes.
    async fn fan_out(
        self,
        bench: &Bench,
        aws: &FakeAws,
        tenants: &[TenantId],
        events: usize,
    ) -> Result<Compute> {
        let program = bench.program("fanout", aws)?;
        let mut fanout = Environment::start(&program, bench.cores).await?;
        for first in (0..events).step_by(self.records) {
            let numbers = first..events.min(first + self.records);
            let batch = numbered_job_changes(tenants, numbers)?;
            fanout.invoke_expecting(batch, NOTHING_FAILED).await?;
        }
        fanout.end().await
    }

    /// Gives the sender the messages until none is left: delivered, or failed at the last receive.
    async fn deliver(
        self,
        bench: &Bench,
        aws: &FakeAws,
        mut waiting: Vec<Message>,
        usage: &mut Usage,
    ) -> Result<Compute> {
        let program = bench.sender(aws)?;
        let starting = (0..self.environments).map(|_| Environment::start(&program, bench.cores));
        let mut environments = try_join_all(starting).await?;
        let last: u32 = template::number("DeliveryQueue", "maxReceiveCount");
        while !waiting.is_empty() {
            let batches: Vec<&[Message]> = waiting.chunks(self.batch).collect();
            let rounds = environments.iter_mut().enumerate().map(|(at, environment)| {
                let dealt = batches.iter().skip(at).step_by(self.environments);
                hand_over(environment, dealt.copied())
            });
            let (mut failed, mut polled) = (Vec::new(), Usage::default());
            for (again, poller) in try_join_all(rounds).await? {
                failed.extend(again);
                polled += poller;
            }
            *usage += polled;
            let copies = aws.take_queued(DELIVERIES).len();
            ensure!(copies == 0, "the sender queued {copies} copies, which nobody would receive");
            // The queue moves the others to the dead-letter queue, which costs nothing.
            failed.retain(|message| message.receives < last);
            for message in &mut failed {
                message.receives += 1;
            }
            waiting = failed;
        }
        let mut compute = Compute::default();
        for environment in environments {
            compute += environment.end().await?;
        }
        Ok(compute)
    }
}

/// Hands over batches one after the other; the messages that failed, and what Lambda's pollers ask the
/// queue for: one receive for each batch, and one delete of those that did not fail.
async fn hand_over<'a>(
    environment: &mut Environment,
    batches: impl Iterator<Item = &'a [Message]>,
) -> Result<(Vec<Message>, Usage)> {
    let (mut failed, mut polled) = (Vec::new(), Usage::default());
    for batch in batches {
        let size: usize = batch.iter().map(Message::size).sum();
        let units = queue_units_of(size);
        polled.add(Operation::ReceiveMessage, 0, size, units);
        let answer = environment.invoke(batch_of(batch)).await?;
        let failures = Failures::read(&answer)?;
        let again = batch.iter().filter(|message| failures.name(&message.id)).cloned();
        let before = failed.len();
        failed.extend(again);
        if failed.len() - before < batch.len() {
            polled.add(Operation::DeleteMessageBatch, 0, 0, 1);
        }
    }
    Ok((failed, polled))
}

/// What the sender answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failures {
    batch_item_failures: Vec<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

impl Failures {
    fn read(answer: &[u8]) -> Result<Self> {
        serde_json::from_slice(answer).context("the sender's answer names no failures")
    }

    fn name(&self, id: &str) -> bool {
        self.batch_item_failures.iter().any(|failure| failure.item_identifier == id)
    }
}
