//! `docintell replay`.

use std::process::Command;

use harness::{Receiver, eventually, status};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus::{Cancelled, Delivered, Failed, Skipped};

use super::OperatorOf;
use crate::support::logged::{Logged, log};
use crate::support::operator::Ended;
use crate::support::tenant::{Hook, Tenant};

/// Deliveries since the epoch.
const SINCE: &str = "--since 1970-01-01T00:00:00Z";

/// A tenant with one webhook, this many failed deliveries in its log, and the tenant's operator.
async fn failed(number: u64) -> (Tenant, Receiver, Hook, OperatorOf) {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let deliveries: Vec<Logged> = (1..=number).map(|at| Logged::at(at, Failed)).collect();
    log(&tenant, &hook, &deliveries).await;
    let operator = OperatorOf::new(&tenant).await;
    (tenant, receiver, hook, operator)
}

/// The replay as the API shows it.
async fn shown_by_the_api(tenant: &Tenant, hook: &Hook, id: &str) -> Value {
    let path = format!("/v1/webhooks/{}/replays/{id}", hook.id);
    tenant.request(reqwest::Method::GET, &path, None).await.body
}

fn id(replay: &Value) -> String {
    replay["replay_id"].as_str().expect("a replay has an id").to_owned()
}

#[tokio::test]
async fn a_dry_run_shows_what_a_replay_would_send_and_starts_nothing() {
    let (tenant, receiver, hook, operator) = failed(12).await;
    log(&tenant, &hook, &[Logged::at(13, Delivered), Logged::at(14, Skipped)]).await;
    let dry = operator.run(&format!("replay start {SINCE} --dry-run --rate 4")).await.succeeded();
    let lines: Vec<&str> = dry.printed.lines().collect();
    assert_eq!(lines[0], "13 deliveries, about 4 s at 4 a second; the first 10:");
    assert_eq!((lines.len(), lines[12]), (13, "Dry run: nothing was started."));

    for (options, count) in [
        ("", 13),
        (" --all", 14),
        (" --status delivered", 1),
        (" --until 1970-01-01T00:00:02Z", 2),
        (" --event document.processing.failed", 0),
        (" --job-id other", 0),
    ] {
        let command = format!("replay start {SINCE} --dry-run{options}");
        let counted = operator.json(&command).await.remove(0);
        assert_eq!(counted["count"], count, "{options}");
        assert_eq!(counted["count_is_exact"], true);
    }
    let nothing = operator.run(&format!("replay start {SINCE} --job-id other")).await.succeeded();
    assert!(nothing.printed.ends_with("Nothing was started.\n"), "{nothing:?}");
    let none = operator.run("replay list").await.succeeded();
    assert_eq!((none.printed.as_str(), none.noted.as_str()), ("", "0 replays.\n"));
    assert!(receiver.arrivals().is_empty());
}

#[tokio::test]
async fn a_replay_is_watched_until_everything_is_sent() {
    let (tenant, receiver, hook, operator) = failed(3).await;
    log(&tenant, &hook, &[Logged::at(4, Cancelled), Logged::at(5, Delivered)]).await;
    let ended = operator.run(&format!("replay start {SINCE} --watch")).await.succeeded();
    assert!(ended.printed.starts_with("4 deliveries, about 1 s at 50 a second:\n"), "{ended:?}");
    assert!(ended.printed.ends_with(" is completed: sent 4 of 4.\n"), "{ended:?}");
    assert_eq!(receiver.wait_for(4).await.len(), 4);
    eventually("all are delivered", async || {
        let rows = tenant.deliveries(&hook).await;
        rows.iter().all(|row| row.summary.status == Delivered).then_some(())
    })
    .await;

    let listed = operator.json("replay list").await;
    let replay = id(&listed[0]);
    let api = shown_by_the_api(&tenant, &hook, &replay).await;
    for shown in [&listed[0], &operator.json(&format!("replay show {replay}")).await[0]] {
        for (name, value) in api.as_object().expect("a replay is an object") {
            assert_eq!(&shown[name], value, "{name}");
        }
        assert_eq!(shown["webhook_config_id"], hook.id);
    }
    let full = operator.run(&format!("replay show {replay}")).await.succeeded().printed;
    assert!(full.contains("state                         completed\n"), "{full}");
    // What it has delivered is not sent again.
    let again = operator.run(&format!("replay start {SINCE} --watch")).await.succeeded();
    assert!(again.printed.ends_with("Nothing was started.\n"), "{again:?}");
}

#[tokio::test]
async fn a_replay_is_paused_resumed_and_cancelled() {
    let (tenant, receiver, hook, operator) = failed(100).await;
    let command = format!("replay start {SINCE} --rate 2");
    let started = id(&operator.json(&command).await[0]);
    receiver.wait_for(1).await;
    let refused = operator.run(&command).await.failed();
    for text in [&started, "is running", "replay cancel"] {
        assert!(refused.noted.contains(text), "{refused:?}");
    }
    for (change, state) in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")] {
        let changed = operator.run(&format!("replay {change} {started}")).await.succeeded();
        let expected = format!("Replay {started} is {state}: sent ");
        assert!(changed.printed.starts_with(&expected), "{changed:?}");
        assert_eq!(shown_by_the_api(&tenant, &hook, &started).await["state"], state);
        if change == "resume" {
            let before = receiver.arrivals().len();
            receiver.wait_for(before + 1).await;
        }
    }
    for change in ["pause", "resume"] {
        let refused = operator.run(&format!("replay {change} {started}")).await.failed();
        assert!(refused.noted.contains("is cancelled: start another one"), "{refused:?}");
    }
    let watched = operator.run(&format!("replay show {started} --watch")).await.failed();
    assert!(watched.noted.contains("error: the replay is cancelled"), "{watched:?}");
    assert!(receiver.arrivals().len() < 100);
}

#[tokio::test]
async fn a_replay_goes_on_when_nobody_watches_it_any_more() {
    let (tenant, receiver, hook, operator) = failed(100).await;
    let command = format!("replay start {SINCE} --rate 2 --watch --json");
    let running = operator.start(&command).await;
    receiver.wait_for(1).await;
    let process = running.id().expect("it still runs").to_string();
    let kill = Command::new("kill").args(["-INT", &process]).status();
    assert!(kill.expect("kill can be started").success());
    let stopped = Ended::of(running).await.stopped();
    assert!(stopped.noted.contains("stopped: the replay goes on"), "{stopped:?}");
    let replay = id(&stopped.objects()[0]);
    assert_eq!(shown_by_the_api(&tenant, &hook, &replay).await["state"], "running");
    operator.run(&format!("replay cancel {replay}")).await.succeeded();
}

#[tokio::test]
async fn a_webhook_that_is_off_gets_a_dry_run_but_no_replay() {
    let (tenant, _receiver, hook, operator) = failed(1).await;
    tenant.change(&hook, json!({"is_active": false})).await;
    let refused = operator.run(&format!("replay start {SINCE}")).await.failed();
    assert!(refused.noted.contains("is off: switch it on first"), "{refused:?}");
    let dry = operator.json(&format!("replay start {SINCE} --dry-run")).await;
    assert_eq!(dry[0]["count"], 1);
}

#[tokio::test]
async fn a_replay_whose_message_cannot_be_queued_is_cancelled() {
    let (_tenant, receiver, _hook, mut operator) = failed(1).await;
    let queue = operator.operator.info.outputs.replay_queue_url.clone();
    operator.operator.info.outputs.replay_queue_url.push_str("-missing");
    operator.operator.save();
    let refused = operator.run(&format!("replay start {SINCE}")).await.failed();
    assert!(refused.noted.contains("cannot start the replay: nothing was sent"), "{refused:?}");
    assert_eq!(operator.json("replay list").await[0]["state"], "cancelled");
    operator.operator.info.outputs.replay_queue_url = queue;
    operator.operator.save();
    operator.run(&format!("replay start {SINCE}")).await.succeeded();
    receiver.wait_for(1).await;
}

#[tokio::test]
async fn another_tenants_replays_are_neither_shown_nor_changed() {
    let (tenant, receiver, hook, operator) = failed(100).await;
    let started = id(&operator.json(&format!("replay start {SINCE} --rate 1")).await[0]);
    receiver.wait_for(1).await;
    let stranger = OperatorOf::new(&Tenant::new().await).await;
    for webhook in ["", &format!(" --webhook-id {}", hook.id)] {
        for command in ["show", "pause", "resume", "cancel"] {
            let refused =
                stranger.run(&format!("replay {command} {started}{webhook}")).await.failed();
            assert!(refused.noted.contains(" has no replay "), "{refused:?}");
        }
        let refused = stranger.run(&format!("replay start {SINCE}{webhook}")).await.failed();
        assert!(refused.noted.contains(" has no webhook"), "{refused:?}");
    }
    let refused = stranger.run(&format!("replay list --webhook-id {}", hook.id)).await.failed();
    assert!(refused.noted.contains(" has no webhook"), "{refused:?}");
    assert_eq!(shown_by_the_api(&tenant, &hook, &started).await["state"], "running");
    operator.run(&format!("replay cancel {started}")).await.succeeded();
}

#[tokio::test]
async fn malformed_arguments_of_a_replay_are_named() {
    let operator = OperatorOf::new(&Tenant::new().await).await;
    for (command, name) in [
        ("replay start", "--since"),
        ("replay start --since yesterday", "--since"),
        ("replay start --since 2h --status pending", "--status"),
        ("replay start --since 2h --status failed --all", "--all"),
        ("replay start --since 2h --rate 0", "--rate"),
        ("replay pause x", "<ID>"),
        ("replay show", "<ID>"),
    ] {
        let refused = operator.run(command).await;
        assert_eq!(refused.code, Some(2), "{command}: {refused:?}");
        assert!(refused.noted.contains(name), "{refused:?}");
    }
    let reversed = operator.run("replay start --since 1h --until 2h").await.failed();
    assert!(reversed.noted.contains("--since") && reversed.noted.contains("--until"));
}
