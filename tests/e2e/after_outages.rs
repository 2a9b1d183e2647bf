//! What a tenant and an operator do after an outage, and after a webhook was switched off.
//!
//! The first test takes the longest of all. The tests start in the order of their names, so it starts first.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use docintell::checkout::Checkout;
use docintell::local::build::Profile;
use docintell::local::{LocalStack, Options};
use futures_util::future::join_all;
use harness::{Receiver, eventually, eventually_within, status};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use webhooks::delivery::DeliveryStatus;
use webhooks::timestamp::Timestamp;

use crate::support::job;
use crate::support::operator::{Operator, Size};
use crate::support::run_folder::run_folder;
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::patient;

/// How long the receiver is down: longer than the 15 s of a delivery's attempts.
const DOWN: Duration = Duration::from_secs(30);
/// A thousand attempts take long on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// A stack of its own, because the drill kills a function that other tests use.
async fn stack(folder: &Path) -> LocalStack {
    let checkout = Checkout::find().expect("tests run in a checkout");
    let profile = Profile::of_this_program();
    // The smallest number: with more functions at a time, a busy machine answers none of them in time.
    let parameters = [("SenderMaximumConcurrency".to_owned(), "11".to_owned())].into();
    let options = Options { profile, parameters, ..Options::new(checkout, folder.to_owned()) };
    LocalStack::start(options).await.expect("a second stack can be started")
}

/// Kills every process of the replay function of the stack in `folder`. Returns their number.
fn kill_replay_function(folder: &Path) -> usize {
    let listed = Command::new("ps").args(["axww", "-o", "pid=,args="]).output();
    let listed = String::from_utf8(listed.expect("ps can be started").stdout).expect("it is text");
    let processes = listed.lines().filter_map(|line| line.trim().split_once(' '));
    let functions = processes.filter(|(_, program)| Path::new(program.trim()).starts_with(folder));
    let succeeds = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    functions
        .filter(|(_, program)| {
            // The names of the source files are in the binary.
            succeeds(Command::new("grep").args(["-q", "functions/replay/src", program.trim()]))
        })
        .filter(|(process, _)| succeeds(Command::new("kill").args(["-KILL", process])))
        .count()
}

/// A webhook of a tenant, and what its owner reads through the API.
struct Owner {
    tenant: Tenant,
    hook: Hook,
}

impl Owner {
    async fn request(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let path = format!("/v1/webhooks/{}/{path}", self.hook.id);
        let response = self.tenant.request(method, &path, body).await;
        (response.status, response.body)
    }

    /// The ids of the deliveries with this status; `None` if a busy machine does not answer in time.
    async fn deliveries(&self, status: DeliveryStatus) -> Option<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let path = format!("deliveries?status={status}&limit=100{cursor}");
            let (code, page) = self.request(Method::GET, &path, None).await;
            if code == 503 {
                return None;
            }
            assert_eq!(code, 200, "{page}");
            let deliveries = page["deliveries"].as_array().expect("it is a list");
            ids.extend(deliveries.iter().map(|delivery| text(&delivery["delivery_id"])));
            let Some(next) = page["next_cursor"].as_str() else { return Some(ids) };
            cursor = format!("&cursor={next}");
        }
    }

    /// Waits until `count` deliveries have this status; returns their ids.
    async fn wait_for(&self, count: usize, status: DeliveryStatus) -> BTreeSet<String> {
        eventually_within(PATIENCE, &format!("{count} deliveries to be {status}"), async || {
            let ids = self.deliveries(status).await.filter(|ids| ids.len() == count);
            if ids.is_none() {
                // A list of hundreds of deliveries is work for the emulator.
                sleep(Duration::from_secs(1)).await;
            }
            ids
        })
        .await
    }

    /// Waits until the replay has this state.
    async fn replay_is(&self, replay: &str, state: &str) -> Value {
        eventually_within(PATIENCE, &format!("a replay that is {state}"), async || {
            let (_, body) = self.request(Method::GET, &format!("replays/{replay}"), None).await;
            (body["state"] == state).then_some(body)
        })
        .await
    }

    /// Starts a replay; returns its id.
    async fn replay(&self, fields: Value) -> String {
        let (code, body) = self.request(Method::POST, "replays", Some(fields)).await;
        assert_eq!(code, 201, "{body}");
        text(&body["replay_id"])
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is a string").to_owned()
}

/// The ids of the deliveries that have arrived after the first `refused` requests.
fn accepted(receiver: &Receiver, hook: &Hook, refused: usize) -> BTreeSet<String> {
    let arrivals = receiver.arrivals().into_iter().skip(refused);
    arrivals
        .map(|arrival| {
            assert!(arrival.is_signed_with(&hook.secret));
            arrival.header("X-DocIntell-Delivery").to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_replay_delivers_every_event_although_its_function_is_killed() {
    const EVENTS: usize = 200;
    let folder = run_folder("e2e-outage");
    let stack = stack(&folder).await;
    let receiver = Receiver::start(status(503)).await;
    let tenant = Tenant::of_stack(stack.info());
    let hook = tenant.subscribe(&receiver).await;
    let owner = Owner { tenant, hook };

    let since = Timestamp::now();
    let aws = patient(&stack.info().aws_config());
    let uploads = (0..EVENTS).map(|_| job::upload_to(stack.info(), &aws, owner.tenant.id));
    tokio::join!(join_all(uploads), sleep(DOWN));
    let failed = owner.wait_for(EVENTS, DeliveryStatus::Failed).await;
    let refused = receiver.arrivals().len();
    receiver.now(status(200));

    let filter = json!({"since": since, "dry_run": true});
    let (code, counted) = owner.request(Method::POST, "replays", Some(filter)).await;
    assert_eq!((code, &counted["count"]), (200, &json!(EVENTS)), "{counted}");
    assert_eq!(counted["count_is_exact"], true);

    let replay = owner.replay(json!({"since": since, "rate_per_second": 20})).await;
    receiver.wait_for(refused + 40).await;
    let (code, paused) =
        owner.request(Method::POST, &format!("replays/{replay}/pause"), None).await;
    assert_eq!((code, &paused["state"]), (200, &json!("paused")), "{paused}");
    // The replay stops within seconds, and what was queued before still arrives. Then nothing does.
    let arrived = eventually("a paused replay to stop", async || {
        let before = accepted(&receiver, &owner.hook, refused).len();
        sleep(Duration::from_secs(3)).await;
        (accepted(&receiver, &owner.hook, refused).len() == before).then_some(before)
    })
    .await;
    assert!(arrived < EVENTS, "the pause came too late: {arrived}");

    let (code, _) = owner.request(Method::POST, &format!("replays/{replay}/resume"), None).await;
    assert_eq!(code, 200);
    receiver.wait_for(refused + arrived + 20).await;
    assert!(kill_replay_function(&folder) > 0, "the replay function runs");
    assert!(accepted(&receiver, &owner.hook, refused).len() < EVENTS, "it was killed too late");

    owner.replay_is(&replay, "completed").await;
    owner.wait_for(EVENTS, DeliveryStatus::Delivered).await;
    assert_eq!(accepted(&receiver, &owner.hook, refused), failed);
    owner.wait_for(0, DeliveryStatus::Failed).await;

    let operator = Operator::of_stack(stack.info());
    // On a busy machine a delivery can be queued twice, and then has two letters.
    let letters = operator.letters().await;
    assert!(letters.visible >= EVENTS && letters.hidden == 0, "{letters:?}");
    operator.dlq(&["drop", "--delivered"]).await.succeeded();
    assert_eq!(operator.letters().await, Size { visible: 0, hidden: 0 });
}

#[tokio::test]
async fn events_of_a_webhook_that_was_off_arrive_with_a_replay() {
    const EVENTS: usize = 20;
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let owner = Owner { tenant, hook };
    let since = Timestamp::now();
    owner.tenant.change(&owner.hook, json!({"is_active": false})).await;
    join_all((0..EVENTS).map(|_| job::upload(owner.tenant.id))).await;
    let skipped = owner.wait_for(EVENTS, DeliveryStatus::Skipped).await;
    assert_eq!(receiver.arrivals().len(), 0);

    let (code, refused) =
        owner.request(Method::POST, "replays", Some(json!({"since": since}))).await;
    assert_eq!((code, &refused["error"]), (409, &json!("webhook_inactive")), "{refused}");
    owner.tenant.change(&owner.hook, json!({"is_active": true})).await;
    let replay = owner.replay(json!({"since": since})).await;
    let ended = owner.replay_is(&replay, "completed").await;
    assert_eq!(ended["sent"], json!(EVENTS));
    owner.wait_for(EVENTS, DeliveryStatus::Delivered).await;
    assert_eq!(accepted(&receiver, &owner.hook, 0), skipped);
}
