//! What lists of deliveries and replays read as the delivery log grows.

use harness::fixtures::{
    DELIVERIES, LISTS, NOTHING_FAILED, WebhookKey, api_key_row, delivery_rows, first_slice, get,
    replay_row,
};
use harness::{FakeAws, Function, Program, Unit, bootstrap, place};
use serde_json::Value;

/// Deliveries that failed, in logs of all lengths.
const FAILED: u32 = 20;

/// Requests to AWS, rows that they look at, and read units.
type Reads = (u64, u64, u64);

/// The reads of each of [`LISTS`], and those of a replay of what failed, in a log with this many delivered rows.
async fn reads_with(delivered: u32) -> Vec<Reads> {
    let _place = place().await;
    let aws = FakeAws::start().await;
    aws.keep_deliveries();
    aws.record();
    let target = WebhookKey::random();
    aws.put_webhook(target.row("https://hooks.example.com/docintell"));
    aws.put_api_key(api_key_row(target.tenant));
    delivery_rows(target, delivered, FAILED).for_each(|row| aws.put_delivery(&row));
    aws.put_replay(&replay_row(target, 500));
    let start = async |name| {
        let program = Program::new(bootstrap(name).await, aws.environment());
        Function::start(&program, None).await.expect("the bootstrap starts")
    };
    let (mut api, mut replay) = (start("api").await, start("replay").await);
    let taken = || {
        let usage = aws.take_usage();
        (usage.total().calls, aws.take_examined(), usage.units(Unit::Read))
    };
    let mut reads = Vec::new();
    for (name, query) in LISTS {
        let path = format!("/v1/webhooks/{}/deliveries?{query}", target.webhook);
        taken();
        let answer = api.invoke(get(&path).expect("the sample is JSON")).await.expect(name).answer;
        let answer: Value = serde_json::from_slice(&answer.expect(name)).expect(name);
        assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
        reads.push(taken());
    }
    replay.run([first_slice(target)], NOTHING_FAILED).await.expect("the slice is done");
    assert_eq!(aws.queued(DELIVERIES).len(), FAILED as usize);
    reads.push(taken());
    reads
}

#[tokio::test]
async fn lists_and_replays_read_no_more_from_a_longer_log() {
    let [short, long] = [reads_with(1000).await, reads_with(3000).await];
    let rows = |reads: &[Reads]| reads.iter().map(|(_, rows, _)| *rows).collect::<Vec<_>>();
    assert_eq!(rows(&short), [21, FAILED.into(), 1000, FAILED.into()]);
    assert_eq!(short, long);
}
