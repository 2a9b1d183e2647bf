//! A job's text arrives unchanged, through fanout, the queue and the sender.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use harness::fixtures::{DELIVERIES, FAULTS, TENANT, batch, job_change, job_change_with, webhook};
use harness::{Arrival, FakeAws, Hosted, Receiver, status};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};
use webhooks::id::EventId;
use webhooks::timestamp::Timestamp;

use super::sender::sender;

/// Fanout and the sender on one fake AWS, and the receiver of its webhook.
struct Pipeline {
    aws: FakeAws,
    fanout: Hosted,
    sender: Hosted,
    receiver: Receiver,
}

impl Pipeline {
    /// A pipeline whose receiver answers every post with `code`.
    async fn answering(code: u16) -> Self {
        let receiver = Receiver::start(status(code)).await;
        let (aws, sender) = sender(&[webhook(&receiver.url())]).await;
        let fanout = Hosted::start("fanout", &aws.environment()).await;
        Self { aws, fanout, sender, receiver }
    }

    /// Runs fanout and returns the bodies of the queued messages. Fails if a record is reported or parked.
    async fn queue(&self, records: &[Value]) -> Result<Vec<String>, TestCaseError> {
        prop_assert_eq!(self.fanout.report(json!({"Records": records})).await, [""; 0]);
        let parked = self.aws.queued(FAULTS);
        prop_assert!(parked.is_empty(), "{:?}", parked[0]);
        Ok(self.aws.take_queued(DELIVERIES).into_iter().map(|it| it.body).collect())
    }

    /// Runs the sender on these bodies, received for the `count`th time, and returns the posts that arrive.
    async fn post(&self, texts: &[String], count: u32) -> Vec<Arrival> {
        let before = self.receiver.arrivals().len();
        for texts in texts.chunks(10) {
            let batch = batch(texts.iter().map(|text| (text.as_str(), count)));
            self.sender.invoke(batch).await.expect("the batch as a whole succeeds");
        }
        self.receiver.arrivals().split_off(before)
    }
}

#[tokio::test]
async fn a_job_with_characters_that_sqs_refuses_is_delivered_and_so_are_its_neighbours() {
    let pipeline = Pipeline::answering(500).await;
    let failed = |number, text| job_change_with(number, "failed", json!({"error_message": text}));
    let records = [
        job_change(0, "queued"),
        failed(1, "bad glyph \u{ffff}"),
        failed(2, "\u{fffe}"),
        job_change(3, "queued"),
    ];
    let texts = pipeline.queue(&records).await.expect("nothing is reported or parked");
    assert_eq!(texts.len(), 4);
    let mut attempts = Vec::new();
    for count in 1..=3 {
        let mut arrivals = pipeline.post(&texts, count).await;
        arrivals.sort_by(|one, other| one.body.cmp(&other.body));
        attempts.push(arrivals.into_iter().map(|it| it.body).collect::<Vec<_>>());
    }
    assert_eq!((attempts[0].len(), &attempts[0]), (4, &attempts[1]));
    assert_eq!(attempts[0], attempts[2]);
    let posted = String::from_utf8(attempts[0].concat()).expect("it is UTF-8");
    assert!(posted.contains(r#""error_message":"bad glyph \uffff"}"#), "{posted}");
    assert!(posted.contains(r#""error_message":"\ufffe"}"#), "{posted}");
}

/// The free text of a job.
#[derive(Debug, Clone)]
struct Words {
    job_id: String,
    document_id: String,
    ir_version: Option<String>,
    error_message: Option<String>,
}

/// Any character; more often one that some component may treat specially.
fn character() -> impl Strategy<Value = char> {
    const NASTY: &str = "\0\u{1}\t\n\r\u{1b}\"\\/<&u\u{7f}\u{80}\u{85}\u{2028}\u{d7ff}\u{e000}\u{feff}\
                         \u{fdd0}\u{fffd}\u{fffe}\u{ffff}\u{10000}\u{1fffe}\u{10ffff}";
    let nasty: Vec<char> = NASTY.chars().collect();
    prop_oneof![any::<char>(), proptest::sample::select(nasty), proptest::char::range(' ', '~')]
}

fn words_of(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(character(), length).prop_map(String::from_iter)
}

fn words() -> impl Strategy<Value = Words> {
    // Some lengths are near the limit of 1,024 characters.
    let error_message = prop_oneof![9 => words_of(0..40), 1 => words_of(1020..1030)];
    let ids = (words_of(1..40), words_of(1..40));
    (ids, option::of(words_of(0..40)), option::of(error_message)).prop_map(
        |((job_id, document_id), ir_version, error_message)| Words {
            job_id,
            document_id,
            ir_version,
            error_message,
        },
    )
}

impl Words {
    /// The stream record with this number, and the `data` of the event that it fires.
    fn record(&self, number: usize) -> (Value, Value) {
        let status = if self.error_message.is_some() { "failed" } else { "completed" };
        let fields = json!({
            "job_id": self.job_id,
            "document_id": self.document_id,
            "ir_version": self.ir_version,
            "error_message": self.error_message,
        });
        let mut data = json!({
            "job_id": self.job_id,
            "document_id": self.document_id,
            "tenant_id": TENANT,
            "status": status,
        });
        match (&self.error_message, &self.ir_version) {
            (Some(message), _) => {
                data["error_message"] = message.chars().take(1024).collect::<String>().into();
            }
            (None, Some(version)) => data["ir_version"] = json!(version),
            (None, None) => {}
        }
        (job_change_with(number, status, fields), data)
    }
}

/// Runs the jobs through the pipeline. The error names the first one that does not arrive unchanged.
async fn assert_jobs_arrive(pipeline: &Pipeline, jobs: &[Words]) -> Result<(), TestCaseError> {
    let (records, expected): (Vec<Value>, Vec<Value>) =
        jobs.iter().enumerate().map(|(number, words)| words.record(number)).unzip();
    let texts = pipeline.queue(&records).await?;
    let posted = pipeline.post(&texts, 1).await;
    prop_assert_eq!((texts.len(), posted.len()), (jobs.len(), jobs.len()));
    let arrivals: HashMap<&str, &Arrival> =
        posted.iter().map(|arrival| (arrival.header("webhook-id"), arrival)).collect();
    for (record, data) in records.iter().zip(&expected) {
        let recorded_at = Timestamp::parse("2025-12-03T10:30:47Z").expect("a time");
        let event = record["eventID"].as_str().expect("a record has an id");
        let id = EventId::of_record(event, recorded_at).to_string();
        let Some(arrival) = arrivals.get(id.as_str()) else {
            return Err(TestCaseError::fail(format!("nothing arrived for {data}")));
        };
        let body: Value = serde_json::from_slice(&arrival.body).expect("a body is JSON");
        prop_assert_eq!(&body["data"], data);
    }
    Ok(())
}

/// Not a `tokio::test`, because the test runner runs each case to its end on this runtime.
#[test]
fn any_text_of_a_job_arrives_unchanged() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    let pipeline = runtime.block_on(Pipeline::answering(200));
    let seed = RandomState::new().build_hasher().finish();
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases: 10, max_shrink_iters: 100, rng_seed, ..Config::default() };
    let jobs = proptest::collection::vec(words(), 1..100);
    let result = TestRunner::new(config)
        .run(&jobs, |jobs| runtime.block_on(assert_jobs_arrive(&pipeline, &jobs)));
    if let Err(error) = result {
        panic!("with seed {seed}: {error}");
    }
}
