//! Deliveries that SQS moved to the dead-letter queue before all their attempts were made, because the sender failed.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use docintell::checkout::Checkout;
use docintell::local::build::Profile;
use docintell::local::{LocalStack, Options};
use harness::{Authority, Receiver, answer, eventually_within, status};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;

use crate::support::job;
use crate::support::operator::{Operator, Size};
use crate::support::run_folder::run_folder;
use crate::support::tenant::Tenant;
use crate::support::world::{Parked, patient};

const EVENTS: usize = 12;
/// The emulator starts the function again and again, beside other tests.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test]
async fn what_a_sender_that_cannot_start_left_unattempted_is_told_apart_and_delivered_once_it_is_repaired()
 {
    // A separate stack. Its sender must read a file that does not exist, so it cannot start.
    let folder = run_folder("e2e-unattempted");
    // Not in the folder: the parameter takes at most 40 characters.
    let missing = PathBuf::from(format!("/tmp/docintell-{}.pem", std::process::id()));
    let path = missing.to_str().expect("it is UTF-8").to_owned();
    let parameters = [("ExtraCaFile", path.as_str()), ("ReserveSenderConcurrency", "true")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let checkout = Checkout::find().expect("tests run in a checkout");
    let profile = Profile::of_this_program();
    let options = Options { profile, parameters, ..Options::new(checkout, folder) };
    let stack = LocalStack::start(options).await.expect("a second stack can be started");
    let aws = patient(&stack.info().aws_config());
    let outputs = &stack.info().outputs;
    let short = aws_sdk_sqs::Client::new(&aws)
        .set_queue_attributes()
        .queue_url(&outputs.delivery_queue_url)
        .attributes(QueueAttributeName::VisibilityTimeout, "1");
    short.send().await.expect("a lost receive is over after a second");

    let receiver = Receiver::start(status(200)).await;
    let tenant = Tenant::of_stack(stack.info());
    let hook = tenant.subscribe(&receiver).await;
    for _ in 0..EVENTS {
        job::upload_to(stack.info(), &aws, tenant.id).await;
    }
    let operator = Operator::of_stack(stack.info());
    let parked = |visible| Size { visible, hidden: 0 };
    eventually_within(PATIENCE, "the queue to move every delivery", async || {
        (operator.letters().await == parked(EVENTS)).then_some(())
    })
    .await;
    assert_eq!(receiver.connections(), 0);

    // A dead letter of the endpoint, which the sender moved.
    let moved = operator.json(&["list"]).await;
    let id = moved[0]["delivery_id"].as_str().expect("it is a delivery");
    let body = &operator.json(&["show", id]).await[0]["body"];
    let refused = body.as_str().expect("it is text").replace(id, &job::new_id());
    let attributes = [("reason", "the endpoint answered 404"), ("attempts", "1")];
    let attributes: HashMap<_, _> =
        attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    operator.park(&Parked { body: refused, attributes }).await;

    let listed = operator.dlq(&["list", "--unattempted"]).await.succeeded();
    let sentence = format!("{EVENTS} are ours: see the column `unattempted`.");
    assert!(listed.noted.contains(&sentence), "{listed:?}");
    assert!(listed.noted.contains("`docintell dlq redrive --unattempted`"), "{listed:?}");
    let all = operator.json(&["list"]).await;
    let ours = all.iter().filter(|letter| letter["unattempted"] == true);
    for letter in ours.clone() {
        assert_eq!(
            [&letter["attempts"], &letter["log_status"], &letter["reason"]],
            [
                &json!(0),
                &Value::Null,
                &json!("ours: SQS moved it before all its attempts were made")
            ]
        );
    }
    let ids: BTreeSet<String> =
        ours.filter_map(|letter| letter["delivery_id"].as_str().map(str::to_owned)).collect();
    assert_eq!((all.len(), ids.len()), (EVENTS + 1, EVENTS));
    let shown = operator.dlq(&["show", id]).await.succeeded().printed;
    assert!(shown.contains("ours: SQS moved it before all its attempts were made"), "{shown}");
    let refused = operator.dlq(&["list", "--unattempted", "--faults"]).await.failed();
    assert!(refused.noted.contains("leave out --faults"), "{refused:?}");

    // The sender is repaired.
    let authority = Authority::new("extra");
    fs::copy(authority.file(), &missing).expect("the file can be written");
    let dry = operator.dlq(&["redrive", "--unattempted", "--dry-run"]).await.succeeded();
    let would = format!("Dry run: would redrive {EVENTS} of {EVENTS} messages.");
    assert!(dry.printed.contains(&would), "{dry:?}");
    let none = operator.dlq(&["redrive", "--unattempted", "--reason", "404"]).await.succeeded();
    assert!(none.printed.contains("Redrove 0 of 0 messages."), "{none:?}");
    let redriven = operator.dlq(&["redrive", "--unattempted"]).await.succeeded();
    assert!(redriven.printed.contains(&format!("Redrove {EVENTS} of {EVENTS} messages.")));
    let arrivals = eventually_within(PATIENCE, "every delivery to arrive", async || {
        Some(receiver.arrivals()).filter(|arrivals| arrivals.len() >= EVENTS)
    })
    .await;
    let arrived: BTreeSet<String> = arrivals
        .iter()
        .map(|arrival| {
            assert!(arrival.is_signed_with(&hook.secret));
            arrival.header("X-DocIntell-Delivery").to_owned()
        })
        .collect();
    assert_eq!(arrived, ids);
    assert_eq!(operator.letters().await, parked(1), "the endpoint's own dead letter stays");
    eventually_within(PATIENCE, "the log to have every delivery", async || {
        let log = operator
            .run(&["deliveries", "list", "--tenant-id", &tenant.id.to_string(), "--json"])
            .await;
        let rows = log.succeeded().objects();
        let delivered =
            rows.iter().filter(|row| row["status"] == DeliveryStatus::Delivered.as_str());
        (delivered.count() == EVENTS).then_some(())
    })
    .await;
    fs::remove_file(missing).expect("the file can be removed");
}

#[tokio::test]
async fn a_delivery_that_lost_its_last_receive_is_redriven_although_its_row_is_pending() {
    let later = answer(503, &[("Retry-After", "900")], b"");
    let (tenant, receiver, hook) = Tenant::subscribed(later).await;
    let operator = Operator::new().await;
    job::upload(tenant.id).await;
    let row = tenant.delivery(&hook, DeliveryStatus::Pending).await;
    let message = row.message().expect("a row has a message").to_json();
    let body = message.expect("it is JSON").as_str().to_owned();
    operator.park(&Parked { body, attributes: HashMap::new() }).await;
    let listed = operator.json(&["list", "--unattempted"]).await.remove(0);
    assert_eq!(
        [&listed["unattempted"], &listed["attempts"], &listed["log_status"]],
        [&json!(true), &json!(1), &json!("pending")]
    );

    receiver.now(status(200));
    let redriven = operator.dlq(&["redrive", "--unattempted"]).await.succeeded();
    assert!(redriven.printed.contains("Redrove 1 of 1 message."), "{redriven:?}");
    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    let attempts: Vec<_> = row.attempts.iter().map(|it| (it.chain, it.number)).collect();
    assert_eq!(attempts, [(1, 1), (2, 1)]);
    assert_eq!(operator.letters().await, Size { visible: 0, hidden: 0 });
}
