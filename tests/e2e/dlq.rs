//! `docintell dlq`: an operator sees what is parked, sends it again, or drops it.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Receiver, by_number, eventually, status};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::fault::{Origin, PipelineFault};
use webhooks::timestamp::Timestamp;

use crate::support::job;
use crate::support::operator::{Ended, Operator, Size};
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::{Parked, World};

/// The webhook's next dead letter, from the real queue.
async fn letter(hook: &Hook) -> Parked {
    eventually("a dead letter", async || World::get().dead_letters_of(&hook.id).pop()).await
}

/// A delivery that its endpoint refused once, and whose next attempts succeed; and an operator who has its dead letter.
async fn refused_once() -> (Operator, Tenant, Receiver, Hook) {
    let script = by_number(|number| status(if number == 1 { 400 } else { 200 }));
    let (tenant, receiver, hook) = Tenant::subscribed(script).await;
    let operator = Operator::new().await;
    job::upload(tenant.id).await;
    operator.park(&letter(&hook).await).await;
    tenant.delivery(&hook, DeliveryStatus::Failed).await;
    (operator, tenant, receiver, hook)
}

fn visible(visible: usize) -> Size {
    Size { visible, hidden: 0 }
}

/// The value of a field in each object, sorted.
fn values<'a>(objects: &'a [Value], field: &str) -> Vec<&'a str> {
    let mut values: Vec<&str> = objects.iter().filter_map(|it| it[field].as_str()).collect();
    values.sort_unstable();
    values
}

#[tokio::test]
async fn a_dead_letter_is_listed_with_its_reason_whether_the_sender_or_sqs_moved_it() {
    let (tenant, operator) = (Tenant::new().await, Operator::new().await);
    let gone = Receiver::start(status(400)).await;
    let broken = Receiver::start(status(500)).await;
    let hooks = [tenant.subscribe(&gone).await, tenant.subscribe(&broken).await];
    let job_id = job::upload(tenant.id).await;
    for hook in &hooks {
        let letter = letter(hook).await;
        assert_eq!(letter.attributes.is_empty(), hook.id == hooks[1].id, "SQS adds no attributes");
        operator.park(&letter).await;
        tenant.delivery(hook, DeliveryStatus::Failed).await;
    }

    let listed = operator.json(&["list"]).await;
    let reasons = ["the endpoint answered 400", "the endpoint answered 500"];
    assert_eq!(values(&listed, "reason"), reasons);
    for (hook, attempts) in hooks.iter().zip([1, 5]) {
        let letter = listed.iter().find(|it| it["webhook_config_id"] == hook.id);
        let letter = letter.expect("the dead letter is listed");
        assert_eq!((&letter["attempts"], &letter["chain"]), (&json!(attempts), &json!(1)));
        assert_eq!(letter["tenant_id"], tenant.id.to_string());
        assert_eq!(
            (&letter["event"], &letter["job_id"]),
            (&json!("document.uploaded"), &json!(job_id))
        );
        assert_eq!(letter["log_status"], "failed");
    }
    let table = operator.dlq(&["list", "--reason", "ANSWERED 500"]).await.succeeded();
    assert!(table.printed.contains(&hooks[1].id) && !table.printed.contains(&hooks[0].id));
    assert!(table.printed.starts_with("id ") && table.noted.contains("1 of 2 parked messages"));

    let delivery = listed[0]["delivery_id"].as_str().expect("a dead letter is a delivery");
    let shown = operator.dlq(&["show", delivery]).await.succeeded().printed;
    assert!(shown.contains(&job_id) && shown.contains("attempt 1.1"), "{shown}");
    assert_eq!(operator.letters().await, visible(2), "looking hides nothing");

    operator.park(&letter(&hooks[0]).await).await;
    let noted = operator.dlq(&["list"]).await.succeeded().noted;
    assert!(noted.contains("3 parked messages") && noted.contains("2 are different"), "{noted}");
}

#[tokio::test]
async fn a_redrive_delivers_as_the_next_chain_and_empties_the_queue() {
    let (operator, tenant, receiver, hook) = refused_once().await;
    let dry = operator.dlq(&["redrive", "--dry-run"]).await.succeeded();
    assert!(dry.printed.contains("Dry run: would redrive 1 of 1 message."), "{dry:?}");
    let dry_objects = operator.json(&["redrive", "--dry-run"]).await;
    assert_eq!((receiver.arrivals().len(), operator.letters().await), (1, visible(1)));

    let redriven = operator.dlq(&["redrive", "--json"]).await.succeeded();
    assert!(redriven.noted.contains("Redrove 1 of 1 message."), "{redriven:?}");
    assert_eq!(operator.letters().await, visible(0));
    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    let id = row.summary.delivery_id.to_string();
    for (objects, result) in [(dry_objects, "would_redrive"), (redriven.objects(), "redriven")] {
        assert_eq!(
            (values(&objects, "result"), values(&objects, "delivery_id")),
            (vec![result], vec![id.as_str()])
        );
    }
    let attempts: Vec<_> =
        row.attempts.iter().map(|it| (it.chain, it.number, it.status_code)).collect();
    assert_eq!(attempts, [(1, 1, Some(400)), (2, 1, Some(200))]);
    let arrivals = receiver.arrivals();
    assert_eq!((arrivals.len(), &arrivals[0].body), (2, &arrivals[1].body));
    for name in ["X-DocIntell-Delivery", "webhook-id", "X-DocIntell-Signature"] {
        assert_eq!(arrivals[0].header(name), arrivals[1].header(name), "{name}");
    }
}

#[tokio::test]
async fn what_has_been_delivered_since_is_left_out_of_a_redrive_and_can_be_dropped() {
    let (operator, tenant, receiver, hook) = refused_once().await;
    let letter = letter(&hook).await;
    operator.dlq(&["redrive"]).await.succeeded();
    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    operator.park(&letter).await;
    let other = Tenant::subscribed(status(400)).await;
    job::upload(other.0.id).await;
    operator.park(&self::letter(&other.2).await).await;
    other.0.delivery(&other.2, DeliveryStatus::Failed).await;

    let tenant_id = tenant.id.to_string();
    let left_out = operator.dlq(&["redrive", "--tenant-id", &tenant_id]).await.succeeded();
    assert!(left_out.printed.contains("Left out 1: delivered since"), "{left_out:?}");
    assert_eq!((receiver.arrivals().len(), operator.letters().await), (2, visible(2)));

    let dropped = operator.dlq(&["drop", "--delivered"]).await.succeeded();
    assert!(dropped.printed.contains("Dropped 1 of 1 message."), "{dropped:?}");
    let left = operator.json(&["list"]).await;
    assert_eq!(values(&left, "webhook_config_id"), [other.2.id.as_str()]);

    operator.park(&letter).await;
    operator.dlq(&["redrive", "--all", "--tenant-id", &tenant_id]).await.succeeded();
    receiver.wait_for(3).await;
    assert_eq!(operator.letters().await, visible(1));
}

#[tokio::test]
async fn a_message_whose_copy_cannot_be_queued_stays_parked() {
    let (mut operator, tenant, receiver, hook) = refused_once().await;
    let queue = operator.info.outputs.delivery_queue_url.clone();
    operator.info.outputs.delivery_queue_url.push_str("-missing");
    operator.save();
    let failed = operator.dlq(&["redrive"]).await.failed();
    assert!(failed.noted.contains("1 message was not redriven"), "{failed:?}");
    assert_eq!(operator.letters().await, visible(1));
    let row = tenant.delivery(&hook, DeliveryStatus::Failed).await;
    assert_eq!(row.summary.last_error.as_deref(), Some("the delivery could not be queued"));

    operator.info.outputs.delivery_queue_url = queue;
    operator.save();
    operator.dlq(&["redrive"]).await.succeeded();
    receiver.wait_for(2).await;
    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(row.attempts.iter().map(|it| it.chain).collect::<Vec<_>>(), [1, 3]);
}

#[tokio::test]
async fn a_delivery_of_a_webhook_that_is_off_stays_parked_until_it_is_on_again() {
    let (operator, tenant, receiver, hook) = refused_once().await;
    tenant.change(&hook, json!({"is_active": false})).await;
    let off = operator.dlq(&["redrive"]).await.succeeded();
    assert!(off.printed.contains("Left out 1: the webhook is switched off"), "{off:?}");
    assert_eq!(operator.letters().await, visible(1));
    tenant.change(&hook, json!({"is_active": true})).await;
    operator.dlq(&["redrive"]).await.succeeded();
    receiver.wait_for(2).await;
}

#[tokio::test]
async fn each_of_many_messages_is_listed_once_and_redriven_at_the_given_rate() {
    let (operator, tenant, receiver, hook) = refused_once().await;
    let letter = letter(&hook).await;
    // Deliveries without a row in the log.
    for _ in 1..25 {
        let mut message: Value = serde_json::from_str(&letter.body).expect("a message is JSON");
        message["delivery_id"] = job::new_id().into();
        operator.park(&Parked { body: message.to_string(), ..letter.clone() }).await;
    }
    let listed = operator.json(&["list", "--webhook-id", &hook.id]).await;
    let mut ids = values(&listed, "delivery_id");
    ids.dedup();
    assert_eq!((listed.len(), ids.len()), (25, 25));

    let start = Instant::now();
    let redriven = operator.dlq(&["redrive", "--rate", "10"]).await.succeeded();
    assert!(redriven.printed.contains("Redrove 25 of 25 messages."), "{redriven:?}");
    assert!(
        start.elapsed() >= Duration::from_millis(2_300),
        "25 messages take 24 tenths of a second"
    );
    receiver.wait_for(26).await;
    let row = tenant.deliveries(&hook).await.pop().expect("the deliveries are logged");
    assert_eq!(row.summary.chain, 2);
    assert_eq!(operator.letters().await, visible(0));
}

#[tokio::test]
async fn a_redrive_that_is_stopped_loses_and_hides_nothing() {
    let (operator, _tenant, receiver, hook) = refused_once().await;
    let letter = letter(&hook).await;
    for _ in 1..30 {
        let mut message: Value = serde_json::from_str(&letter.body).expect("a message is JSON");
        message["delivery_id"] = job::new_id().into();
        operator.park(&Parked { body: message.to_string(), ..letter.clone() }).await;
    }
    let running = operator.start(&["dlq", "redrive", "--rate", "1"]).await;
    receiver.wait_for(2).await;
    let id = running.id().expect("it still runs").to_string();
    let kill = Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.expect("kill can be started").success());
    let stopped = Ended::of(running).await.stopped();
    assert!(stopped.noted.contains("the other messages are still parked"), "{stopped:?}");
    let words = |line: &str| line.strip_prefix("Redrove ")?.split(' ').next()?.parse().ok();
    let sent: usize = stopped.printed.lines().find_map(words).expect("it says how many");
    assert!((1..30).contains(&sent), "{stopped:?}");
    assert_eq!(operator.letters().await, visible(30 - sent));
}

#[tokio::test]
async fn nothing_is_dropped_without_a_choice_and_a_confirmation() {
    let operator = Operator::new().await;
    for body in ["not a delivery \u{7f}", "neither"] {
        operator.park(&Parked { body: body.to_owned(), attributes: HashMap::new() }).await;
    }
    for (arguments, complaint) in [
        (["drop"].as_slice(), "nothing says what to drop"),
        (&["drop", "--all"], "add --yes"),
        (&["drop", "--all", "--json"], "--json is for programs: add --yes"),
        (&["drop", "--yes"], "nothing says what to drop"),
        (&["drop", "unknown", "--yes"], "no parked message has the id unknown"),
    ] {
        let refused = operator.dlq(arguments).await.failed();
        assert!(refused.noted.contains(complaint), "{refused:?}");
    }
    operator.dlq(&["drop", "--all", "--dry-run"]).await.succeeded();
    let planned = operator.json(&["drop", "--all", "--dry-run"]).await;
    assert_eq!(values(&planned, "result"), ["would_drop", "would_drop"]);
    let none = operator.dlq(&["drop", "--event", "document.uploaded", "--yes"]).await.succeeded();
    assert!(none.printed.contains("Dropped 0 of 0 messages."), "{none:?}");
    assert_eq!(operator.letters().await, visible(2));

    let listed = operator.json(&["list"]).await;
    assert_eq!(values(&listed, "kind"), ["unreadable", "unreadable"]);
    let id = listed[0]["message_id"].as_str().expect("a message has an id");
    let shown = operator.json(&["show", id]).await.remove(0);
    let dropped = operator.json(&["drop", id, "--yes"]).await;
    assert_eq!(
        (values(&dropped, "result"), values(&dropped, "message_id")),
        (vec!["dropped"], vec![id])
    );
    let left = operator.json(&["list"]).await;
    assert_eq!(left.len(), 1);
    assert_ne!(left[0]["message_id"], shown["message_id"]);
    let refused = operator.dlq(&["redrive"]).await.succeeded();
    assert!(refused.printed.contains("Left out 1: this version cannot read"), "{refused:?}");
    let refused = operator.json(&["redrive"]).await;
    assert_eq!(values(&refused, "result"), ["left_out"]);
    let reason = refused[0]["reason"].as_str().expect("what is left out has a reason");
    assert!(reason.starts_with("this version cannot read"), "{reason}");
    operator.dlq(&["drop", "--all", "--yes"]).await.succeeded();
    assert_eq!(operator.letters().await, visible(0));
    let empty = operator.dlq(&["list"]).await.succeeded();
    assert_eq!((empty.printed.as_str(), empty.noted.as_str()), ("", "No messages are parked.\n"));
}

#[tokio::test]
async fn a_job_change_that_was_parked_is_delivered_once_the_job_is_corrected() {
    let (tenant, receiver, _hook) = Tenant::subscribed(status(200)).await;
    let (operator, world) = (Operator::new().await, World::get());
    let job_id = job::new_id();
    let row = |tenant_id: &str| {
        json!({
            "job_id": job_id,
            "document_id": job::new_id(),
            "tenant_id": tenant_id,
            "status": "queued",
            "updated_at": Timestamp::now().to_string(),
        })
    };
    job::put(row("acme")).await;
    let fault = eventually("the fault", async || world.faults_of(&job_id).pop()).await;
    operator.park_fault(&fault).await;

    let listed = operator.json(&["list", "--faults"]).await.remove(0);
    assert_eq!((&listed["kind"], &listed["source"]), (&json!("job change"), &json!("fanout")));
    assert_eq!((&listed["job_id"], &listed["tenant_id"]), (&json!(job_id), &json!("acme")));
    let shown = operator.dlq(&["show", "--faults", &job_id]).await.succeeded().printed;
    assert!(
        shown.contains("`tenant_id` is not a UUID") && shown.contains("\"NewImage\""),
        "{shown}"
    );

    // The job is still wrong, so fanout parks its change again.
    operator.dlq(&["redrive", "--faults", &job_id]).await.succeeded();
    assert_eq!(operator.faults().await, visible(0));
    let again = eventually("the fault again", async || {
        Some(world.faults_of(&job_id)).filter(|faults| faults.len() == 2)
    });
    operator.park_fault(&again.await[1]).await;

    job::put(row(&tenant.id.to_string())).await;
    let redriven = operator.dlq(&["redrive", "--faults"]).await.succeeded();
    assert!(redriven.printed.contains("Redrove 1 of 1 message."), "{redriven:?}");
    let arrival = receiver.wait_for(1).await.remove(0);
    let body: Value = serde_json::from_slice(&arrival.body).expect("a body is JSON");
    assert_eq!(
        (&body["event"], &body["data"]["job_id"]),
        (&json!("document.uploaded"), &json!(job_id))
    );
    assert_eq!(operator.faults().await, visible(0));
}

#[tokio::test]
async fn a_delivery_that_the_sender_parked_is_delivered_as_the_next_chain() {
    let (operator, tenant, receiver, hook) = refused_once().await;
    let record = letter(&hook).await.body;
    let origin = Origin::Sender { message_id: "m0".to_owned() };
    let fault = PipelineFault::new(origin, "the secret cannot be read", record).message();
    let body = fault.body.as_str().to_owned();
    operator.park_fault(&Parked { body, attributes: HashMap::new() }).await;

    let listed = operator.json(&["list", "--faults", "--reason", "secret"]).await.remove(0);
    assert_eq!((&listed["kind"], &listed["source"]), (&json!("delivery"), &json!("sender")));
    operator.dlq(&["redrive", "--faults", "m0"]).await.succeeded();
    receiver.wait_for(2).await;
    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(row.summary.chain, 2);
    assert_eq!(operator.faults().await, visible(0));
}
