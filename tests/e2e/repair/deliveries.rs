//! `docintell deliveries`.

use harness::{Receiver, by_number, status};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus::{self, Cancelled, Delivered, Failed, Pending, Skipped};
use webhooks::event_type::EventType;
use webhooks::timestamp::Timestamp;

use super::OperatorOf;
use crate::support::job;
use crate::support::logged::{Logged, log};
use crate::support::tenant::{Hook, Tenant};

/// A tenant with one webhook, these deliveries in its log, their ids, and the tenant's operator.
async fn logged(deliveries: &[Logged]) -> (Tenant, Receiver, Hook, Vec<String>, OperatorOf) {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let ids = log(&tenant, &hook, deliveries).await;
    let operator = OperatorOf::new(&tenant).await;
    (tenant, receiver, hook, ids, operator)
}

fn ids(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|it| it["delivery_id"].as_str().expect("a delivery has an id")).collect()
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_with_the_apis_filters() {
    let completed = EventType::ProcessingCompleted;
    let (_tenant, _receiver, hook, logged, operator) = logged(&[
        Logged::at(1, Failed),
        Logged { event: completed, ..Logged::at(2, Skipped) },
        Logged { document_id: "other", ..Logged::at(3, Delivered) },
        Logged { job_id: "other", ..Logged::at(4, Cancelled) },
    ])
    .await;
    for (options, expected) in [
        ("", &[3, 2, 1, 0][..]),
        (" --status failed,skipped", &[1, 0]),
        (" --event document.processing.completed", &[1]),
        (" --document-id other", &[2]),
        (" --job-id other --status cancelled", &[3]),
        (" --since 1970-01-01T00:00:02Z --until 1970-01-01T00:00:03Z", &[2, 1]),
        (" --since 2h", &[]),
        (" --until 2h --limit 3", &[3, 2, 1]),
    ] {
        let listed = operator.json(&format!("deliveries list{options}")).await;
        let expected: Vec<_> = expected.iter().map(|at: &usize| logged[*at].as_str()).collect();
        assert_eq!(ids(&listed), expected, "{options}");
    }
    let table = operator.run("deliveries list --limit 3").await.succeeded();
    assert!(table.printed.starts_with("id ") && table.printed.lines().count() == 4, "{table:?}");
    let more = format!("3 deliveries of webhook {}; there may be more: raise --limit.\n", hook.id);
    assert_eq!(table.noted, more);
    let none = operator.run("deliveries list --since 1s").await.succeeded();
    assert_eq!(
        (none.printed, none.noted),
        (String::new(), format!("0 deliveries of webhook {}.\n", hook.id))
    );
}

#[tokio::test]
async fn a_list_goes_on_through_pages_until_its_limit() {
    // A page looks at 1,000 rows at most.
    let mut deliveries: Vec<Logged> = (3..=1_010).map(|at| Logged::at(at, Delivered)).collect();
    let failed = EventType::ProcessingFailed;
    deliveries.extend([1, 2].map(|at| Logged { event: failed, ..Logged::at(at, Delivered) }));
    let (_tenant, _receiver, _hook, logged, operator) = logged(&deliveries).await;
    let listed = operator.json("deliveries list --event document.processing.failed").await;
    assert_eq!(ids(&listed), [&logged[1_009], &logged[1_008]]);
    let listed = operator.json("deliveries list --limit 1005").await;
    assert_eq!((listed.len(), ids(&listed)[1_004]), (1_005, logged[3].as_str()));
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts_and_its_body() {
    let (tenant, _receiver, hook) = Tenant::subscribed(status(400)).await;
    let job_id = job::upload(tenant.id).await;
    let row = tenant.delivery(&hook, Failed).await;
    let (id, operator) = (row.summary.delivery_id, OperatorOf::new(&tenant).await);
    let shown = operator.run(&format!("deliveries show {id}")).await.succeeded().printed;
    for text in [&job_id, "attempt 1.1 ", "status 400", "the endpoint answered 400", &row.body] {
        assert!(shown.contains(text), "{text} is missing in:\n{shown}");
    }
    let shown = operator.json(&format!("deliveries show {id}")).await.remove(0);
    let path = format!("/v1/webhooks/{}/deliveries/{id}", hook.id);
    let api = tenant.request(reqwest::Method::GET, &path, None).await.body;
    for (name, value) in api.as_object().expect("a delivery is an object") {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert_eq!((&shown["webhook_config_id"], &shown["chain"]), (&json!(hook.id), &json!(1)));
}

#[tokio::test]
async fn each_delivery_to_retry_is_started_or_gets_its_reason() {
    let script = by_number(|number| status(if number == 1 { 400 } else { 200 }));
    let (tenant, receiver, hook) = Tenant::subscribed(script).await;
    job::upload(tenant.id).await;
    let failed = tenant.delivery(&hook, Failed).await.summary.delivery_id.to_string();
    let off = tenant.subscribe(&receiver).await;
    tenant.change(&off, json!({"is_active": false})).await;
    let skipped = log(&tenant, &off, &[Logged::at(1, Skipped)]).await.remove(0);
    let pending = Logged { next_attempt_at: Some(Timestamp::now()), ..Logged::at(2, Pending) };
    let pending = log(&tenant, &hook, &[pending]).await.remove(0);
    let unknown = job::new_id();
    let operator = OperatorOf::new(&tenant).await;

    let command = format!("deliveries retry {failed} {skipped} {pending} {unknown}");
    let ended = operator.run(&command).await.failed();
    let lines: Vec<&str> = ended.printed.lines().collect();
    for (line, (id, text)) in lines.iter().zip([
        (&failed, "started: chain 2"),
        (&skipped, "its webhook is off"),
        (&pending, "attempts are under way"),
        (&unknown, "not found"),
    ]) {
        assert!(line.starts_with(id.as_str()) && line.contains(text), "{line}");
    }
    assert!(ended.noted.contains("error: 1 of 4 deliveries started"), "{ended:?}");

    let row = tenant.delivery(&hook, Delivered).await;
    let attempts: Vec<_> = row.attempts.iter().map(|it| (it.chain, it.number)).collect();
    assert_eq!(attempts, [(1, 1), (2, 1)]);
    let arrivals = receiver.arrivals();
    assert_eq!((arrivals.len(), &arrivals[0].body), (2, &arrivals[1].body));
    assert_eq!(arrivals[1].header("X-DocIntell-Delivery"), failed);

    let again = operator.json(&format!("deliveries retry {failed}")).await.remove(0);
    assert_eq!((&again["result"], &again["chain"]), (&json!("started"), &json!(3)));
}

#[tokio::test]
async fn a_retry_whose_message_cannot_be_queued_fails_and_can_be_repeated() {
    let (tenant, receiver, hook, logged, mut operator) = logged(&[Logged::at(1, Failed)]).await;
    let queue = operator.operator.info.outputs.delivery_queue_url.clone();
    operator.operator.info.outputs.delivery_queue_url.push_str("-missing");
    operator.operator.save();
    let retry = format!("deliveries retry {}", logged[0]);
    let failed = operator.run(&format!("{retry} --json")).await.failed();
    assert_eq!(failed.objects()[0]["result"], "failed");
    assert!(failed.noted.contains("error: 0 of 1 delivery started"), "{failed:?}");
    assert_eq!(tenant.deliveries(&hook).await[0].summary.status, Failed);
    operator.operator.info.outputs.delivery_queue_url = queue;
    operator.operator.save();
    let started = operator.run(&retry).await.succeeded();
    assert!(started.printed.contains("started: chain 3"), "{started:?}");
    receiver.wait_for(1).await;
}

#[tokio::test]
async fn with_several_webhooks_a_list_needs_a_choice_and_a_delivery_is_found_in_any() {
    let (tenant, _receiver, hook, logged, operator) = logged(&[Logged::at(1, Failed)]).await;
    let other = tenant.subscribe(&Receiver::start(status(200)).await).await;
    let refused = operator.run("deliveries list").await.failed();
    for text in ["has 2 webhooks: choose one with --webhook-id", &hook.id, &other.id] {
        assert!(refused.noted.contains(text), "{refused:?}");
    }
    let listed = operator.json(&format!("deliveries list --webhook-id {}", hook.id)).await;
    assert_eq!(ids(&listed), [&logged[0]]);
    let shown = operator.json(&format!("deliveries show {}", logged[0])).await;
    assert_eq!(shown[0]["webhook_config_id"], hook.id);
    let wrong = format!("deliveries show {} --webhook-id {}", logged[0], other.id);
    assert!(operator.run(&wrong).await.failed().noted.contains("has no delivery"));
}

#[tokio::test]
async fn another_tenants_deliveries_are_neither_shown_nor_retried() {
    let (tenant, _receiver, hook, logged, _) = logged(&[Logged::at(1, Failed)]).await;
    let stranger = OperatorOf::new(&Tenant::new().await).await;
    for webhook in ["", &format!(" --webhook-id {}", hook.id)] {
        let listed = stranger.run(&format!("deliveries list{webhook}")).await.failed();
        assert!(listed.noted.contains(" has no webhook"), "{listed:?}");
        let shown = stranger.run(&format!("deliveries show {}{webhook}", logged[0])).await.failed();
        assert!(shown.noted.contains("has no delivery"), "{shown:?}");
        let retried = format!("deliveries retry {}{webhook}", logged[0]);
        let retried = stranger.run(&retried).await.failed();
        assert!(retried.printed.contains("not found"), "{retried:?}");
    }
    let summary = tenant.deliveries(&hook).await.remove(0).summary;
    assert_eq!((summary.chain, summary.status), (1, DeliveryStatus::Failed));
}

#[tokio::test]
async fn a_deleted_webhooks_deliveries_are_shown_but_not_retried() {
    let (tenant, _receiver, hook, logged, operator) = logged(&[Logged::at(1, Failed)]).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    assert_eq!(tenant.request(reqwest::Method::DELETE, &path, None).await.status, 204);
    let webhook = format!("--webhook-id {}", hook.id);
    let listed = operator.run(&format!("deliveries list {webhook}")).await.succeeded();
    assert!(listed.printed.contains(&logged[0]) && listed.noted.contains("is deleted"));
    let retried = operator.run(&format!("deliveries retry {} {webhook}", logged[0])).await.failed();
    assert!(retried.printed.contains("its webhook is deleted"), "{retried:?}");
    assert_eq!(tenant.deliveries(&hook).await.remove(0).summary.chain, 1);
}

#[tokio::test]
async fn malformed_arguments_are_named() {
    let operator = OperatorOf::new(&Tenant::new().await).await;
    for (command, name) in [
        ("deliveries list --webhook-id x", "--webhook-id"),
        ("deliveries list --status lost", "--status"),
        ("deliveries list --since yesterday", "--since"),
        ("deliveries list --limit 0", "--limit"),
        ("deliveries show x", "<ID>"),
        ("deliveries retry", "<ID>"),
        ("deliveries retry x", "<ID>"),
        ("webhooks show", "<ID>"),
    ] {
        let refused = operator.run(command).await;
        assert_eq!(refused.code, Some(2), "{command}: {refused:?}");
        assert!(refused.noted.contains(name), "{refused:?}");
    }
    let reversed = operator.run("deliveries list --since 1h --until 2h").await.failed();
    assert!(reversed.noted.contains("--since") && reversed.noted.contains("--until"));
}
