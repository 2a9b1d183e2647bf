//! Receives that made no attempt, because the sender was ended or Lambda was throttled. They cost a delivery nothing.

use futures_util::future::join_all;
use harness::fixtures::{DEAD_LETTERS, DELIVERIES, FAULTS, batch, message, rows, text, webhook};
use harness::{Act, FakeAws, Hosted, Receiver, Reply, assert_lacks, eventually, log_lines, status};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{log_attempts, logged_row, ms, one_webhook, redeliver, visibilities};

/// The queue's `maxReceiveCount`.
const MAX_RECEIVES: u32 = 5;

/// Where the sender is ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    BeforeThePost,
    DuringThePost,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// The sender sent a dead letter.
    DeadLetter,
    /// The queue moved the message after its fifth receive.
    Moved,
}

/// One delivery to an endpoint that always fails, and a queue that has only its message. The sender runs anew at each
/// receive.
struct Outage {
    aws: FakeAws,
    receiver: Receiver,
    /// The message that the queue has now.
    body: String,
    receives: u32,
    /// Waits before the next attempts, in seconds.
    delays: Vec<u64>,
    end: Option<End>,
}

impl Outage {
    async fn begin() -> Self {
        let receiver = Receiver::start(status(500)).await;
        let hook = webhook(&receiver.url());
        let aws = FakeAws::with_webhooks([&hook]).await;
        aws.keep_deliveries();
        let body = text(&message(&hook, 1));
        Self { aws, receiver, body, receives: 0, delays: Vec::new(), end: None }
    }

    /// The queue hands out the message, and the sender never sees it.
    fn throttle(&mut self) {
        self.receives += 1;
        self.come_back();
    }

    /// The sender is ended by SIGKILL at this moment of the message's next receive.
    async fn kill_at(&mut self, moment: Moment) {
        let sender = Hosted::start("sender", &self.aws.environment()).await;
        self.receives += 1;
        match moment {
            Moment::BeforeThePost => self.aws.always("BatchGetItem", Reply::Late),
            Moment::DuringThePost => self.receiver.now(vec![Act::Wait(ms(60_000))]),
        }
        let reads = self.aws.calls_of("BatchGetItem").len();
        let posts = self.receiver.arrivals().len();
        let reached = eventually("the moment at which the sender is ended", async || {
            let is_reached = match moment {
                Moment::BeforeThePost => self.aws.calls_of("BatchGetItem").len() > reads,
                Moment::DuringThePost => self.receiver.arrivals().len() > posts,
            };
            is_reached.then_some(())
        });
        tokio::select! {
            reported = sender.report(batch([(self.body.as_str(), self.receives)])) => {
                panic!("the sender was not ended and reported {reported:?}")
            }
            () = reached => {}
        }
        sender.finish().await;
        self.aws.on("BatchGetItem", |_, _| None);
        self.receiver.now(status(500));
        self.come_back();
    }

    /// The sender handles the message's next receive.
    async fn receive(&mut self) {
        let sender = Hosted::start("sender", &self.aws.environment()).await;
        self.receive_with(&sender).await;
    }

    async fn receive_with(&mut self, sender: &Hosted) {
        self.receives += 1;
        let reads = self.aws.calls_of("GetItem").len();
        let hidden = self.aws.calls_of("ChangeMessageVisibility").len();
        let reported = sender.report(batch([(self.body.as_str(), self.receives)])).await;
        let reads = self.aws.calls_of("GetItem").len() - reads;
        assert_eq!(reads, usize::from(self.receives > 1), "rows read at receive {}", self.receives);
        if reported == ["m0"] {
            let calls = self.aws.calls_of("ChangeMessageVisibility");
            let last = calls[hidden..].last().expect("the message was hidden");
            self.delays.extend(last.input["VisibilityTimeout"].as_u64().filter(|delay| *delay > 0));
            self.come_back();
        } else if let Some(copy) = self.aws.take_queued(DELIVERIES).pop() {
            self.delays.extend(copy.delay);
            (self.body, self.receives) = (copy.body, 0);
        } else {
            self.end = Some(End::DeadLetter);
        }
    }

    fn come_back(&mut self) {
        if self.receives == MAX_RECEIVES {
            self.end = Some(End::Moved);
        }
    }

    /// Lets the sender handle the message until the delivery ends.
    async fn go_on(&mut self) {
        if self.end.is_none() {
            let sender = Hosted::start("sender", &self.aws.environment()).await;
            while self.end.is_none() {
                self.receive_with(&sender).await;
            }
        }
    }

    /// The numbers of the logged attempts.
    fn logged(&self) -> Vec<u64> {
        let entries = self.aws.logged();
        entries.iter().filter_map(|entry| entry["attempts"][0]["number"].as_u64()).collect()
    }

    /// Asserts that the endpoint refused this many posts, and that the log has five attempts and their schedule.
    fn assert_all_attempts_were_made(&self, posts: usize, case: &str) {
        assert_eq!(self.receiver.arrivals().len(), posts, "{case}");
        assert_eq!(self.logged(), [1, 2, 3, 4, 5], "{case}");
        assert_eq!(self.delays, [1, 2, 4, 8], "{case}");
        let last = self.aws.logged().pop().expect("it is logged");
        assert_eq!(last["status"], "failed", "{case}");
        if self.end == Some(End::DeadLetter) {
            assert_eq!(self.aws.queued(DEAD_LETTERS)[0].attributes["attempts"], "5", "{case}");
        }
        assert_eq!(self.aws.queued(FAULTS).len(), 0, "{case}");
    }
}

#[tokio::test]
async fn a_sender_that_is_ended_at_any_receive_before_the_last_costs_no_attempt() {
    let moments = [(Moment::BeforeThePost, 5), (Moment::DuringThePost, 6)];
    let cases =
        (1..MAX_RECEIVES).flat_map(|killed| moments.map(|(moment, posts)| (killed, moment, posts)));
    join_all(cases.map(async |(killed, moment, posts)| {
        let mut outage = Outage::begin().await;
        for _ in 1..killed {
            outage.receive().await;
        }
        outage.kill_at(moment).await;
        outage.go_on().await;
        assert_eq!(outage.end, Some(End::DeadLetter), "the copy had receives left");
        outage
            .assert_all_attempts_were_made(posts, &format!("ended at receive {killed} {moment:?}"));
    }))
    .await;
}

#[tokio::test]
async fn a_sender_that_is_ended_at_the_last_receive_leaves_a_row_that_lacks_the_last_attempt() {
    for (moment, posts) in [(Moment::BeforeThePost, 4), (Moment::DuringThePost, 5)] {
        let mut outage = Outage::begin().await;
        for _ in 1..MAX_RECEIVES {
            outage.receive().await;
        }
        outage.kill_at(moment).await;
        assert_eq!(outage.end, Some(End::Moved));
        assert_eq!((outage.receiver.arrivals().len(), outage.logged()), (posts, vec![1, 2, 3, 4]));
        let last = outage.aws.logged().pop().expect("it is logged");
        assert_eq!(last["status"], "pending", "this tells it from a delivery that failed");
    }
}

#[tokio::test]
async fn a_sender_that_is_ended_at_receive_after_receive_costs_no_attempt() {
    let mut outage = Outage::begin().await;
    for moment in [Moment::BeforeThePost, Moment::DuringThePost, Moment::BeforeThePost] {
        outage.kill_at(moment).await;
    }
    outage.throttle();
    outage.go_on().await;
    outage.assert_all_attempts_were_made(6, "four lost receives");
}

#[tokio::test]
async fn a_sender_that_is_ended_at_each_receive_of_a_message_leaves_no_row() {
    let mut outage = Outage::begin().await;
    for _ in 0..MAX_RECEIVES {
        outage.kill_at(Moment::BeforeThePost).await;
    }
    assert_eq!((outage.end, outage.receiver.connections()), (Some(End::Moved), 0));
    assert_eq!(outage.aws.logged().len(), 0);
}

#[tokio::test]
async fn throttled_receives_cost_no_attempt() {
    // The throttled receives before each attempt.
    for throttled in
        [[3, 0, 0, 0, 0], [4, 0, 0, 0, 0], [0, 2, 0, 0, 0], [1, 1, 1, 1, 0], [2, 3, 4, 2, 4]]
    {
        let mut outage = Outage::begin().await;
        let sender = Hosted::start("sender", &outage.aws.environment()).await;
        for number in throttled {
            (0..number).for_each(|_| outage.throttle());
            assert_eq!(outage.end, None, "{throttled:?}");
            outage.receive_with(&sender).await;
        }
        assert!(outage.end.is_some(), "{throttled:?}");
        outage.assert_all_attempts_were_made(5, &format!("throttled {throttled:?}"));
    }
}

#[tokio::test]
async fn a_delivery_that_succeeds_after_lost_receives_is_its_first_attempt() {
    let (receiver, hook, aws, sender) = one_webhook(status(200)).await;
    aws.keep_deliveries();
    let text = text(&message(&hook, 1));
    assert_eq!(sender.report(batch([(text.as_str(), 5)])).await, [""; 0]);
    let row = &aws.logged()[0];
    assert_eq!((&row["status"], &row["attempts"][0]["number"]), (&json!("delivered"), &json!(1)));
    assert_eq!(receiver.arrivals().len(), 1);
    assert_eq!(aws.calls_of("UpdateItem").len(), 1, "the row may have a late entry");
}

#[tokio::test]
async fn if_the_row_cannot_be_read_each_receive_counts_as_an_attempt() {
    let mut tests = JoinSet::new();
    let malformed = Reply::Body(json!({"Item": {"status": {"S": "unknown"}}}));
    let refused = Reply::Refused("AccessDeniedException");
    for reply in [Reply::Broken, refused, Reply::Late, malformed] {
        tests.spawn(async move {
            let (receiver, hook, aws, sender) = one_webhook(status(500)).await;
            aws.always("GetItem", reply);
            let message = message(&hook, 1);
            let text = text(&message);
            assert_eq!(sender.report(batch([(text.as_str(), 3)])).await, ["m0"]);
            assert_eq!(visibilities(&aws), [("handle-0".to_owned(), 4)]);
            assert_eq!(aws.logged()[0]["attempts"][0]["number"], 3);
            assert_eq!(receiver.arrivals().len(), 1);
            let log = log_lines(&sender.finish().await);
            let says = |line: &&Value| {
                let sentence = line["fields"]["message"].as_str().unwrap_or_default();
                sentence.ends_with("each receive of its message counts as an attempt")
            };
            let line = log.iter().find(says).expect("the sender says so");
            assert_eq!(line["level"], "ERROR", "an alarm is raised: attempts may be lost");
            assert_eq!(line["fields"]["delivery.id"], message["delivery_id"]);
            assert_eq!(line["fields"]["event.id"], message["event_id"]);
        });
    }
    tests.join_all().await;
}

#[tokio::test]
async fn only_the_attempts_of_the_messages_own_chain_count() {
    let (_receiver, hook, aws, sender) = one_webhook(status(500)).await;
    let stale = message(&hook, 1);
    let mut row = logged_row(&stale, 4);
    // Two attempts of the message's chain, and two of a later one.
    row["chain"] = json!(2);
    for (at, number) in [(2, 1), (3, 2)] {
        row["attempts"][at]["chain"] = json!(2);
        row["attempts"][at]["number"] = json!(number);
    }
    log_attempts(&aws, &stale, 0);
    aws.put_delivery(&rows([&row])[0]);
    let text = text(&stale);
    assert_eq!(sender.report(batch([(text.as_str(), 3)])).await, ["m0"]);
    assert_eq!(aws.logged()[0]["attempts"][0]["number"], 3);

    // The row of an earlier chain says that this one has no attempt.
    let mut later = stale;
    later["chain"] = json!(3);
    let text = self::text(&later);
    assert_eq!(sender.report(batch([(text.as_str(), 2)])).await, [""; 0], "a copy goes on");
    assert_eq!(aws.logged()[1]["attempts"][0]["number"], 1);
}

#[tokio::test]
async fn a_batch_reads_the_rows_of_only_those_that_were_received_before() {
    let (_receiver, hook, aws, sender) = one_webhook(status(200)).await;
    let messages: Vec<Value> = (0..10).map(|number| message(&hook, number)).collect();
    for message in &messages {
        log_attempts(&aws, message, 1);
    }
    let texts: Vec<String> = messages.iter().map(text).collect();
    let counts = [1, 1, 2, 1, 1, 1, 2, 1, 1, 1];
    let received = batch(texts.iter().map(String::as_str).zip(counts));
    assert_eq!(sender.report(received).await, [""; 0]);
    let read: Vec<Value> = aws
        .calls_of("GetItem")
        .into_iter()
        .map(|call| call.input["Key"]["delivery_id"]["S"].clone())
        .collect();
    assert_eq!(read.len(), 2);
    for number in [2, 6] {
        assert!(read.contains(&messages[number]["delivery_id"]), "{read:?}");
    }
    assert_lacks(&sender.finish().await, "WARN");
}

#[tokio::test]
async fn an_attempt_that_was_not_logged_is_made_twice_at_most() {
    let (receiver, hook, aws, sender) = one_webhook(status(500)).await;
    aws.always("UpdateItem", Reply::Broken);
    let mut outage = Outage {
        body: text(&message(&hook, 1)),
        aws,
        receiver,
        receives: 0,
        delays: vec![],
        end: None,
    };
    while outage.end.is_none() {
        outage.receive_with(&sender).await;
    }
    assert_eq!((outage.receiver.arrivals().len(), outage.end), (9, Some(End::DeadLetter)));
}

#[tokio::test]
async fn a_message_that_was_moved_back_gets_all_its_attempts_again() {
    let (receiver, hook, aws, sender) = one_webhook(status(500)).await;
    let message = message(&hook, 1);
    assert_eq!(redeliver(&aws, &sender, &message, 5).await, ["m0"]);
    let text = text(&message);
    for receive in 1..=5 {
        assert_eq!(sender.report(batch([(text.as_str(), receive)])).await, ["m0"], "{receive}");
    }
    assert_eq!(receiver.arrivals().len(), 6);
}
