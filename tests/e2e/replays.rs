//! Replays on the deployed stack: what they send, how they are stopped, and what survives a crash.

mod crash;
mod refusals;
mod stops;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Receiver, eventually, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::{Attempt, DeliveryMessage, DeliveryStatus, Phases};
use webhooks::id::{DeliveryId, EventId, ReplayId, WebhookKey};
use webhooks::store::deliveries::LogEntry;
use webhooks::store::{DeliveryLog, DynamoDb, ReplayStore};
use webhooks::timestamp::Timestamp;

use crate::support::tenant::{Hook, Response, Tenant};
use crate::support::world::World;

const KEEP: Duration = Duration::from_hours(1);

/// A webhook of a new tenant, with a receiver that accepts everything, and its past.
struct Past {
    tenant: Tenant,
    hook: Hook,
    receiver: Receiver,
    webhook: WebhookKey,
    log: DeliveryLog,
    replays: ReplayStore,
    /// The time of the first delivery; delivery `n` is `n` seconds later.
    since: Timestamp,
}

impl Past {
    async fn new() -> Self {
        let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
        let webhook_id = hook.id.parse().expect("it is a UUID");
        let (aws, outputs) = (World::get().aws(), &World::get().info().outputs);
        let dynamodb = DynamoDb::new(&aws);
        let hour_ago = Timestamp::now().unix_millis() - 3_600_000;
        Self {
            webhook: WebhookKey { tenant_id: tenant.id, webhook_id },
            log: DeliveryLog::new(dynamodb.clone(), outputs.deliveries_table.clone(), KEEP),
            replays: ReplayStore::new(dynamodb, outputs.replays_table.clone(), KEEP),
            since: Timestamp::from_unix_millis(hour_ago).whole_seconds(),
            tenant,
            hook,
            receiver,
        }
    }

    /// A webhook with `count` failed deliveries.
    async fn failed(count: u64) -> Self {
        let past = Self::new().await;
        join_all((0..count).map(|number| past.add(number, DeliveryStatus::Failed))).await;
        past
    }

    fn id(&self, number: u64) -> DeliveryId {
        DeliveryId::first_at(self.since.plus(Duration::from_secs(number)))
    }

    async fn add(&self, number: u64, status: DeliveryStatus) {
        self.add_due(number, status, Timestamp::now()).await;
    }

    /// Writes delivery `number` of the log, with one attempt. If it is pending, another one is due at `due`.
    async fn add_due(&self, number: u64, status: DeliveryStatus, due: Timestamp) {
        let delivery = self.id(number);
        let message = json!({
            "v": 1,
            "delivery_id": delivery,
            "event_id": EventId::random(),
            "tenant_id": self.webhook.tenant_id,
            "webhook_config_id": self.webhook.webhook_id,
            "event": "document.uploaded",
            "occurred_at": delivery.created_at(),
            "attempts_before": 0,
            "body": {"data": {"document_id": format!("d{number}"), "job_id": format!("j{number}")}},
        });
        let message: DeliveryMessage =
            serde_json::from_str(&message.to_string()).expect("it is a message");
        let attempt = Attempt {
            chain: 1,
            number: 1,
            at: delivery.created_at(),
            duration_ms: 1,
            phases: Phases::default(),
            status_code: Some(500),
            first_status_code: None,
            error: (status != DeliveryStatus::Delivered).then(|| "out of order".to_owned()),
            response_body: None,
        };
        let entry = LogEntry {
            message: &message,
            status,
            attempt: Some(attempt),
            reason: None,
            next_attempt_at: (status == DeliveryStatus::Pending).then_some(due),
            at: Timestamp::now(),
        };
        self.log.append(&entry).await.expect("the log can be written");
    }

    fn path(&self) -> String {
        format!("/v1/webhooks/{}/replays", self.hook.id)
    }

    async fn post(&self, mut fields: Value) -> Response {
        if fields.get("since").is_none() {
            fields["since"] = json!(self.since);
        }
        self.tenant.request(Method::POST, &self.path(), Some(fields)).await
    }

    /// Starts a replay; returns its path.
    async fn start(&self, fields: Value) -> String {
        let response = self.post(fields).await;
        assert_eq!(response.status, 201, "{:?}", response.body);
        let path = response.headers["location"].to_str().expect("it is a path").to_owned();
        assert_eq!(path, format!("{}/{}", self.path(), text(&response.body["replay_id"])));
        path
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.tenant.request(Method::GET, path, None).await;
        assert_eq!(response.status, 200, "{:?}", response.body);
        response.body
    }

    async fn change(&self, method: Method, path: &str) -> Value {
        let response = self.tenant.request(method, path, None).await;
        assert_eq!(response.status, 200, "{path}: {:?}", response.body);
        response.body
    }

    /// Waits until the replay has this state, and returns it.
    async fn until(&self, path: &str, state: &str) -> Value {
        eventually(&format!("a replay that is {state}"), async || {
            Some(self.get(path).await).filter(|replay| replay["state"] == state)
        })
        .await
    }

    /// The numbers of the deliveries that have arrived, in order of arrival.
    fn arrived(&self) -> Vec<u64> {
        let number = |id: &str| {
            let id: DeliveryId = id.parse().expect("it is a UUID");
            (id.created_at().unix_millis() - self.since.unix_millis()) / 1000
        };
        self.receiver
            .arrivals()
            .iter()
            .map(|it| number(it.header("X-DocIntell-Delivery")))
            .collect()
    }

    /// Waits until these deliveries have arrived, each once.
    async fn assert_arrived_once(&self, expected: impl IntoIterator<Item = u64>) {
        let expected: Vec<u64> = expected.into_iter().collect();
        self.receiver.wait_for(expected.len()).await;
        let mut arrived = self.arrived();
        arrived.sort_unstable();
        assert_eq!(arrived, expected);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is text")
}

fn replay_id(path: &str) -> ReplayId {
    let (_, id) = path.rsplit_once('/').expect("it is a path");
    id.parse().expect("it is a UUID")
}

#[tokio::test]
async fn a_replay_sends_what_its_dry_run_counts_once_each_and_the_oldest_first() {
    let past = Past::failed(60).await;
    let dry_run = past.post(json!({"dry_run": true})).await;
    assert_eq!(dry_run.status, 200);
    assert_eq!(
        (&dry_run.body["count"], &dry_run.body["count_is_exact"]),
        (&json!(60), &json!(true))
    );
    assert_eq!(dry_run.body["estimated_seconds"], 2);
    let sample = dry_run.body["sample"].as_array().expect("it is a list");
    let ids: Vec<_> = sample.iter().map(|it| text(&it["delivery_id"]).to_owned()).collect();
    assert_eq!(ids, (0..10).map(|number| past.id(number).to_string()).collect::<Vec<_>>());
    assert_eq!((&sample[0]["status"], &sample[0]["document_id"]), (&json!("failed"), &json!("d0")));
    assert_eq!(past.get(&past.path()).await, json!({"replays": []}), "nothing was started");

    let path = past.start(json!({})).await;
    let replay = past.until(&path, "completed").await;
    past.assert_arrived_once(0..60).await;
    assert_eq!((&replay["counted"], &replay["sent"]), (&json!(60), &json!(60)));
    assert_eq!(replay["rate_per_second"], 50);
    assert!(text(&replay["completed_at"]) > text(&replay["created_at"]));
    let expected = json!({"since": past.since, "until": replay["created_at"], "event": null,
        "status": ["failed", "skipped", "cancelled"], "document_id": null, "job_id": null});
    assert_eq!(replay["filter"], expected);

    let arrived = past.arrived();
    let mean = |numbers: &[u64]| numbers.iter().sum::<u64>() / numbers.len() as u64;
    assert!(mean(&arrived[..20]) < mean(&arrived[20..40]), "{arrived:?}");
    assert!(mean(&arrived[20..40]) < mean(&arrived[40..]), "{arrived:?}");

    let rows = eventually("60 delivered rows", async || {
        let rows = past.tenant.deliveries(&past.hook).await;
        let is_done = |status| status == DeliveryStatus::Delivered;
        Some(rows).filter(|rows| rows.iter().all(|row| is_done(row.summary.status)))
    })
    .await;
    assert_eq!(rows.len(), 60);
    for row in rows {
        assert_eq!((row.summary.chain, row.summary.replay_id), (2, Some(replay_id(&path))));
    }
}

#[tokio::test]
async fn a_replay_keeps_its_pace() {
    let past = Past::failed(20).await;
    let path = past.start(json!({"rate_per_second": 5})).await;
    past.until(&path, "completed").await;
    let arrivals = past.receiver.wait_for(20).await;
    // The 20th leaves 3.8 s after the first. A busy emulator may bring the first late.
    let took = arrivals[19].at - arrivals[0].at;
    assert!(took > Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn what_was_delivered_since_or_is_under_way_is_left_out() {
    use DeliveryStatus::{Cancelled, Delivered, Failed, Pending, Skipped};
    let past = Past::new().await;
    for (number, status) in [Failed, Delivered, Cancelled, Skipped, Failed].into_iter().enumerate()
    {
        past.add(number as u64, status).await;
    }
    let hour_ago = past.since;
    past.add_due(5, Pending, Timestamp::now()).await;
    past.add_due(6, Pending, hour_ago).await;
    let dry_run = past.post(json!({"dry_run": true})).await.body;
    let ids = |body: &Value| -> Vec<String> {
        let sample = body["sample"].as_array().expect("it is a list");
        sample.iter().map(|it| text(&it["delivery_id"]).to_owned()).collect()
    };
    let of =
        |numbers: &[u64]| numbers.iter().map(|it| past.id(*it).to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&dry_run), of(&[0, 2, 3, 4, 6]));
    assert_eq!(dry_run["sample"][4]["last_error"], "attempts_lost");

    let retry = format!("/v1/webhooks/{}/deliveries/{}/retry", past.hook.id, past.id(4));
    assert_eq!(past.tenant.request(Method::POST, &retry, None).await.status, 202);
    past.receiver.wait_for(1).await;
    eventually("the retry's success in the log", async || {
        let row = past.log.get(past.webhook, past.id(4)).await.expect("the log can be read");
        row.filter(|row| row.summary.status == Delivered)
    })
    .await;
    let path = past.start(json!({})).await;
    let replay = past.until(&path, "completed").await;
    assert_eq!((&replay["counted"], &replay["sent"]), (&json!(4), &json!(4)));
    past.assert_arrived_once([0, 2, 3, 4, 6]).await;
}

#[tokio::test]
async fn all_sends_even_what_was_delivered() {
    use DeliveryStatus::{Delivered, Failed, Pending, Skipped};
    let past = Past::new().await;
    for (number, status) in [Delivered, Failed, Skipped, Pending, Delivered].into_iter().enumerate()
    {
        past.add(number as u64, status).await;
    }
    let path = past.start(json!({"status": "all"})).await;
    let replay = past.until(&path, "completed").await;
    assert_eq!((&replay["sent"], &replay["filter"]["status"]), (&json!(4), &json!("all")));
    past.assert_arrived_once([0, 1, 2, 4]).await;
}

#[tokio::test]
async fn a_filter_selects_by_time_status_event_document_and_job() {
    use DeliveryStatus::{Delivered, Failed, Skipped};
    let past = Past::new().await;
    for (number, status) in [Failed, Failed, Skipped, Delivered, Failed].into_iter().enumerate() {
        past.add(number as u64, status).await;
    }
    let at = |number| json!(past.id(number).created_at());
    let all = json!({});
    for (filter, expected) in [
        (all, 4),
        (json!({"since": at(1)}), 3),
        (json!({"since": at(1), "until": at(2)}), 2),
        (json!({"status": ["skipped"]}), 1),
        (json!({"status": ["delivered"]}), 1),
        (json!({"status": ["skipped", "delivered"]}), 2),
        (json!({"event": "document.uploaded"}), 4),
        (json!({"event": "document.processing.failed"}), 0),
        (json!({"document_id": "d4"}), 1),
        (json!({"job_id": "j4"}), 1),
        (json!({"document_id": "d4", "job_id": "j1"}), 0),
        (json!({"document_id": "d3"}), 0),
        (json!({"document_id": "d3", "status": "all"}), 1),
    ] {
        let mut body = filter.clone();
        body["dry_run"] = json!(true);
        let dry_run = past.post(body).await.body;
        assert_eq!(dry_run["count"], expected, "{filter}");
    }
    let path = past.start(json!({"since": at(1), "until": at(2), "status": ["skipped"]})).await;
    past.until(&path, "completed").await;
    past.assert_arrived_once([2]).await;
}

#[tokio::test]
async fn replays_are_listed_newest_first() {
    let past = Past::failed(1).await;
    let mut paths = Vec::new();
    for _ in 0..3 {
        let path = past.start(json!({"status": "all"})).await;
        past.until(&path, "completed").await;
        paths.push(path);
    }
    let list = past.get(&past.path()).await;
    let listed = list["replays"].as_array().expect("it is a list");
    let ids: Vec<_> = listed.iter().map(|it| text(&it["replay_id"]).parse().ok()).collect();
    assert_eq!(ids, paths.iter().rev().map(|path| Some(replay_id(path))).collect::<Vec<_>>());
    assert_eq!(listed[0], past.get(&paths[2]).await);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
}
