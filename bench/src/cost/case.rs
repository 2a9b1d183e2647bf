//! Runs a case and counts its cost, from the job's change to the log.
//!
//! The rule: fanout and the sender are real. AWS is simulated here: the queue keeps the messages of fanout, the
//! pollers hand them to the sender in batches, and messages that the sender reports as failed are handed over
//! again in the next round without a delay.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use harness::fixtures::{
    DELIVERIES, Message, NOTHING_FAILED, WebhookKey, batch_of, numbered_job_changes,
};
use harness::{Failing, FakeAws, Operation, Receiver, Stored, Usage, after, status};
use serde_json::{Value, json};
use webhooks::id::TenantId;
use webhooks::timestamp::Timestamp;

use super::environment::{Compute, Environment};
use crate::setup::Bench;
use crate::template;

/// Duration of a call to AWS.
pub(super) const AWS_LATENCY: Duration = Duration::from_millis(5);

/// One set of conditions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// The column's title.
    pub name: &'static str,
    /// Tenants with one webhook each, whose documents change in turn.
    tenants: usize,
    /// Job changes per batch of the stream.
    pub records: usize,
    /// Messages per batch of the queue.
    pub batch: usize,
    /// How long the endpoint takes to answer.
    pub wait: Duration,
    /// The deliveries that fail; `None` if all succeed.
    failing: Option<Failing>,
    /// The webhooks have been failing before.
    is_failing: bool,
    /// Execution environments of the sender. Batches are distributed over them.
    environments: usize,
}

/// Resources that the deliveries of a case used.
#[derive(Debug)]
pub(super) struct Used {
    /// Requested deliveries.
    pub deliveries: u64,
    /// Posts, including those that failed.
    pub posts: u64,
    /// Calls to AWS, by the functions and by Lambda's pollers.
    pub aws: Usage,
    /// Billed for the function that queues the deliveries: fanout, or one that sends them again.
    pub queueing: Compute,
    /// Billed for the sender.
    pub sender: Compute,
    /// Bytes of the posts in HTTP.
    pub bytes_posted: u64,
    /// The log's content at the end.
    pub stored: Stored,
}

/// The other cases are variations of this one.
pub(super) const HAPPY: Case = Case {
    name: "one webhook",
    tenants: 1,
    records: 100,
    batch: 10,
    wait: Duration::from_millis(50),
    failing: None,
    is_failing: false,
    environments: 1,
};

const SOME_FOR_GOOD: Failing = Failing { one_in: 10, attempts: u32::MAX };

/// In column order: the first has full batches, and the last batches of one.
pub(super) const ALL: [Case; 5] = [
    HAPPY,
    Case { name: "ten tenants", tenants: 10, ..HAPPY },
    Case { name: "10 % fail for good", failing: Some(SOME_FOR_GOOD), ..HAPPY },
    Case { name: "endpoint takes 2 s", wait: Duration::from_secs(2), environments: 10, ..HAPPY },
    Case { name: "batches of one", records: 1, batch: 1, environments: 10, ..HAPPY },
];

/// Every delivery fails at its first attempt and succeeds at the second one.
pub(super) const ONCE: Case = Case { failing: Some(Failing { one_in: 1, attempts: 1 }), ..HAPPY };
/// Every delivery fails five times, to a webhook that has been failing before.
pub(super) const FOR_GOOD: Case =
    Case { failing: Some(Failing { one_in: 1, attempts: u32::MAX }), is_failing: true, ..HAPPY };
/// A retry queues one message.
pub(super) const SINGLE: Case = Case { batch: 1, ..HAPPY };

/// An AWS that takes its time, counts and records.
pub(super) async fn charging_aws() -> FakeAws {
    let aws = FakeAws::start().await;
    aws.charge();
    aws.answer_after(AWS_LATENCY);
    aws.record();
    aws
}

impl Case {
    /// Makes `deliveries` deliveries.
    pub(super) async fn run(self, bench: &Bench, deliveries: usize) -> Result<Used> {
        let aws = charging_aws().await;
        let script = match self.failing {
            Some(failing) => failing.after(self.wait),
            None => after(self.wait, status(200)).into(),
        };
        let receiver = Receiver::counting(script, Some(bench.tls.clone())).await;
        let targets: Vec<WebhookKey> = (0..self.tenants).map(|_| WebhookKey::random()).collect();
        for target in &targets {
            let mut row = target.row(&receiver.url());
            if self.is_failing {
                row["failing_since"] = json!({"S": Timestamp::now()});
            }
            aws.put_webhook(row);
        }
        let tenants: Vec<TenantId> = targets.iter().map(|target| target.tenant).collect();

        let fanout = self.fan_out(bench, &aws, &tenants, deliveries).await?;
        self.deliver_queued(bench, &aws, &receiver, fanout, deliveries).await
    }

    /// Delivers everything that a function, which was billed `queueing`, has queued.
    pub(super) async fn deliver_queued(
        self,
        bench: &Bench,
        aws: &FakeAws,
        receiver: &Receiver,
        queueing: Compute,
        deliveries: usize,
    ) -> Result<Used> {
        let queued = aws.take_queued(DELIVERIES).into_iter();
        let messages: Vec<Message> =
            (1..).zip(queued).map(|(number, sent)| Message::queued(number, sent.body)).collect();
        ensure!(
            messages.len() == deliveries,
            "{} deliveries are queued instead of {deliveries}: on a busy machine, a call can time out and be repeated",
            messages.len()
        );
        let mut usage = Usage::default();
        let sender = self.deliver(bench, aws, messages, &mut usage).await?;
        usage += aws.take_usage();

        let deliveries = deliveries as u64;
        let (posts, bytes_posted) = receiver.take();
        let stored = aws.stored_deliveries();
        ensure!(
            stored.rows == deliveries,
            "the log has {} rows instead of {deliveries}: on a busy machine, a call can time out and be repeated",
            stored.rows
        );
        Ok(Used { deliveries, posts, aws: usage, queueing, sender, bytes_posted, stored })
    }

    /// Sends the job changes to fanout.
    pub(super) async fn fan_out(
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
            let answer = fanout.invoke(batch).await?;
            ensure!(answer == NOTHING_FAILED.as_bytes(), "fanout answered {answer:?}");
        }
        Ok(fanout.end().await)
    }

    /// Hands messages to the sender until each is delivered or has failed at its last receive.
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
        let last = template::number("DeliveryQueue", "maxReceiveCount");
        while !waiting.is_empty() {
            let batches: Vec<&[Message]> = waiting.chunks(self.batch).collect();
            let rounds = environments.iter_mut().enumerate().map(|(at, environment)| {
                let own_batches = batches.iter().skip(at).step_by(self.environments);
                hand_over(environment, own_batches.copied())
            });
            let mut failed = Vec::new();
            for (again, polled) in try_join_all(rounds).await? {
                failed.extend(again);
                *usage += polled;
            }
            let copies = aws.take_queued(DELIVERIES).len();
            ensure!(
                copies == 0,
                "the sender queued {copies} copies, which this benchmark does not deliver"
            );
            // The queue moves the others to the dead-letter queue, which is free of charge.
            failed.retain(|message| message.receives < last);
            for message in &mut failed {
                message.receives += 1;
            }
            waiting = failed;
        }
        let mut compute = Compute::default();
        for environment in environments {
            compute.add(environment.end().await);
        }
        Ok(compute)
    }
}

/// Hands over batches one at a time. Returns the failed messages and the requests of Lambda's pollers: one
/// receive per batch, and one delete if any message succeeded.
async fn hand_over<'a>(
    environment: &mut Environment,
    batches: impl Iterator<Item = &'a [Message]>,
) -> Result<(Vec<Message>, Usage)> {
    let (mut failed, mut polled) = (Vec::new(), Usage::default());
    for batch in batches {
        // Ten messages are far below the 64 KB of one billed request.
        polled.add(Operation::ReceiveMessage, 0, 0, 1);
        let answer = environment.invoke(batch_of(batch)).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let failures = answer["batchItemFailures"].as_array().map_or(&[][..], Vec::as_slice);
        let fails = |message: &&Message| {
            failures.iter().any(|failure| failure["itemIdentifier"] == message.id)
        };
        failed.extend(batch.iter().filter(fails).cloned());
        if failures.len() < batch.len() {
            polled.add(Operation::DeleteMessageBatch, 0, 0, 1);
        }
    }
    Ok((failed, polled))
}
