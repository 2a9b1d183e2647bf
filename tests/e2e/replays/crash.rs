//! Replays whose function dies, whose message is lost, or that make no progress.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{Hosted, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::id::ReplayId;
use webhooks::queue::Queue;
use webhooks::replay::{Replay, ReplayFilter};
use webhooks::store::replays::NewReplay;
use webhooks::timestamp::Timestamp;

use super::{KEEP, Past};
use crate::samples;
use crate::support::world::World;

impl Past {
    /// A running replay without a message, created `age` ago.
    async fn without_message(&self, rate_per_second: u32, age: Duration) -> Replay {
        let now = Timestamp::now();
        let created = now.unix_millis() - u64::try_from(age.as_millis()).expect("it is short");
        let filter = ReplayFilter {
            since: self.since,
            until: now,
            statuses: Some(webhooks::replay::DEFAULT_STATUSES.to_vec()),
            event: None,
            document_id: None,
            job_id: None,
        };
        let new = NewReplay { webhook: self.webhook, filter, rate_per_second, counted: 40 };
        let created = self.replays.create(new, Timestamp::from_unix_millis(created)).await;
        created.expect("the replay can be created")
    }

    /// Waits until the replay has noted that it sent `count` deliveries.
    async fn has_sent(&self, count: u64, replay: &Replay) {
        eventually(&format!("{count} deliveries to be sent"), async || {
            (self.row(replay.replay_id).await.sent >= count).then_some(())
        })
        .await;
    }

    async fn row(&self, replay: ReplayId) -> Replay {
        let row = self.replays.get(self.webhook, replay).await;
        row.expect("the row can be read").expect("there is a row")
    }

    /// Sets attributes of the replay's row.
    async fn set(&self, replay: ReplayId, attribute: &str, value: AttributeValue) {
        aws_sdk_dynamodb::Client::new(&World::get().aws())
            .update_item()
            .table_name(&World::get().info().outputs.replays_table)
            .key("webhook", AttributeValue::S(self.webhook.to_string()))
            .key("replay_id", AttributeValue::S(replay.to_string()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", attribute)
            .expression_attribute_values(":value", value)
            .send()
            .await
            .expect("the row can be written");
    }

    async fn delete(&self, replay: ReplayId) {
        aws_sdk_dynamodb::Client::new(&World::get().aws())
            .delete_item()
            .table_name(&World::get().info().outputs.replays_table)
            .key("webhook", AttributeValue::S(self.webhook.to_string()))
            .key("replay_id", AttributeValue::S(replay.to_string()))
            .send()
            .await
            .expect("the row can be deleted");
    }

    fn path_of(&self, replay: &Replay) -> String {
        format!("{}/{}", self.path(), replay.replay_id)
    }
}

/// Queues the message of the replay's slice, for the deployed function.
async fn queue(replay: &Replay) {
    let (sqs, outputs) =
        (aws_sdk_sqs::Client::new(&World::get().aws()), &World::get().info().outputs);
    let message = replay.message().outgoing().expect("it can be written");
    let queue = Queue::new(sqs, outputs.replay_queue_url.clone());
    queue.send(message).await.expect("the queue takes it");
}

/// The event that Lambda makes of the replay's message.
fn event(replay: &Replay) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("../../../events/replay-slice.json"))
        .expect("it is JSON");
    let message = replay.message().outgoing().expect("it can be written");
    event["Records"][0]["body"] = json!(message.body.as_str());
    event
}

#[tokio::test]
async fn a_slice_whose_function_was_killed_is_taken_over_and_everything_arrives() {
    let past = Past::failed(40).await;
    let replay = past.without_message(5, Duration::ZERO).await;
    let function: Hosted = samples::host("replay").await;
    tokio::select! {
        _ = function.invoke(event(&replay)) => panic!("it ended before it was killed"),
        () = past.has_sent(10, &replay) => {}
    }
    function.finish().await;
    let row = past.row(replay.replay_id).await;
    assert!(row.claimed_by.is_some() && row.slice == 1, "it died with its claim");
    assert!(row.sent > 0 && row.sent < 40, "progress is noted within a slice: {}", row.sent);

    // Two receives of the same message. The first comes before the claim has expired.
    let rival = samples::host("replay").await;
    assert_eq!(rival.report(event(&replay)).await.len(), 1, "the message is kept");
    let claimed_at = Timestamp::from_unix_millis(Timestamp::now().unix_millis() - 60_000);
    past.set(replay.replay_id, "claimed_at", AttributeValue::S(claimed_at.to_string())).await;
    queue(&replay).await;
    let path = past.path_of(&replay);
    let ended = past.until(&path, "completed").await;
    // The index does not show what was sent without a note and is delivered by now: at most a second's deliveries.
    let sent = ended["sent"].as_u64().expect("it is a number");
    assert!((34..=40).contains(&sent), "{sent}");

    past.receiver.wait_for(40).await;
    let mut arrived = past.arrived();
    let total = arrived.len();
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, (0..40).collect::<Vec<_>>());
    assert!(total <= 40 + 6, "at most a second's deliveries arrive twice: {total}");
}

#[tokio::test]
async fn the_message_of_the_slice_before_replaces_a_lost_message() {
    let past = Past::failed(5).await;
    let replay = past.without_message(50, Duration::ZERO).await;
    past.set(replay.replay_id, "slice", AttributeValue::N("2".to_owned())).await;
    queue(&replay).await;
    past.until(&past.path_of(&replay), "completed").await;
    past.assert_arrived_once(0..5).await;
}

#[tokio::test]
async fn an_expired_replay_blocks_no_other_even_if_only_its_row_is_deleted_yet() {
    let past = Past::new().await;
    let expired = past.without_message(1, KEEP + Duration::from_mins(1)).await;
    past.delete(expired.replay_id).await;
    let next = past.without_message(1, Duration::ZERO).await;
    assert_eq!(past.row(next.replay_id).await, next);
}

#[tokio::test]
async fn duplicates_of_a_message_send_nothing_twice() {
    let past = Past::failed(20).await;
    let replay = past.without_message(10, Duration::ZERO).await;
    for _ in 0..3 {
        queue(&replay).await;
    }
    past.until(&past.path_of(&replay), "completed").await;
    past.assert_arrived_once(0..20).await;
}

#[tokio::test]
async fn a_replay_without_a_message_can_be_resumed() {
    let past = Past::failed(5).await;
    let replay = past.without_message(50, Duration::ZERO).await;
    let path = past.path_of(&replay);
    assert_eq!(past.get(&path).await["state"], "running");
    past.change(Method::POST, &format!("{path}/resume")).await;
    past.until(&path, "completed").await;
    past.assert_arrived_once(0..5).await;
}

#[tokio::test]
async fn a_replay_without_progress_for_15_minutes_is_failed_and_sends_nothing_until_it_is_resumed()
{
    let past = Past::failed(5).await;
    let replay = past.without_message(50, Duration::from_mins(16)).await;
    let path = past.path_of(&replay);
    let failed = past.get(&path).await;
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["completed_at"], json!(replay.created_at.plus(Duration::from_mins(15))));
    let function = samples::host("replay").await;
    assert_eq!(function.report(event(&replay)).await, [""; 0], "a late message is dropped");
    assert_eq!(past.arrived(), [0; 0]);
    for (method, path) in [(Method::POST, format!("{path}/pause")), (Method::DELETE, path.clone())]
    {
        let response = past.tenant.request(method, &path, None).await;
        assert_eq!((response.status, &response.body["error"]), (409, &json!("replay_ended")));
    }
    past.change(Method::POST, &format!("{path}/resume")).await;
    past.until(&path, "completed").await;
    past.assert_arrived_once(0..5).await;
}

#[tokio::test]
async fn a_corrupt_replay_is_missing_from_the_list_and_hides_no_other() {
    let past = Past::failed(1).await;
    let first = past.start(json!({})).await;
    past.until(&first, "completed").await;
    let corrupt = past.without_message(50, Duration::ZERO).await;
    past.set(corrupt.replay_id, "state", AttributeValue::S("unknown".to_owned())).await;
    let list = past.get(&past.path()).await;
    let ids: Vec<_> = list["replays"].as_array().into_iter().flatten().collect();
    assert_eq!(ids.len(), 1, "{list}");
    assert!(first.ends_with(ids[0]["replay_id"].as_str().expect("it is an id")));
}

#[tokio::test]
async fn another_replay_may_start_after_a_failed_one_which_then_stays_failed() {
    let past = Past::failed(5).await;
    let replay = past.without_message(50, Duration::from_mins(16)).await;
    let next = past.start(json!({})).await;
    let path = past.path_of(&replay);
    let resumed = past.tenant.request(Method::POST, &format!("{path}/resume"), None).await;
    assert_eq!((resumed.status, &resumed.body["error"]), (409, &json!("replay_ended")));
    assert_eq!(past.get(&path).await["state"], "failed");
    past.until(&next, "completed").await;
    past.assert_arrived_once(0..5).await;
}
