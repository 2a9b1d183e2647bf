//! Unreadable records and messages are parked and block nothing. No log, table or queue contains a secret.

use harness::{Receiver, eventually, status};
use serde_json::json;
use webhooks::delivery::DeliveryStatus;
use webhooks::timestamp::Timestamp;

use crate::support::job;
use crate::support::tenant::Tenant;
use crate::support::world::World;

#[tokio::test]
async fn a_poison_record_among_good_ones_is_parked_with_its_reason() {
    let (tenant, receiver, _hook) = Tenant::subscribed(status(200)).await;
    let poison = job::new_id();
    job::upload(tenant.id).await;
    job::put(json!({
        "job_id": poison,
        "document_id": job::new_id(),
        "tenant_id": "acme",
        "status": "queued",
        "updated_at": Timestamp::now().to_string(),
    }))
    .await;
    job::upload(tenant.id).await;

    receiver.wait_for(2).await;
    let fault = eventually("the fault", async || World::get().faults_of(&poison).pop()).await;
    assert_eq!(fault.attributes["source"], "fanout");
    assert!(fault.attributes["reason"].contains("`tenant_id` is not a UUID"), "{fault:?}");
}

#[tokio::test]
async fn a_message_of_an_unknown_format_is_parked_with_its_reason() {
    let world = World::get();
    let sqs = aws_sdk_sqs::Client::new(&world.aws());
    let marker = job::new_id();
    sqs.send_message()
        .queue_url(&world.info().outputs.delivery_queue_url)
        .message_body(format!(r#"{{"v":7,"marker":"{marker}"}}"#))
        .send()
        .await
        .expect("the queue takes any text");

    let fault = eventually("the fault", async || world.faults_of(&marker).pop()).await;
    assert_eq!(fault.attributes["source"], "sender");
    assert!(fault.attributes["reason"].contains("unknown message format 7"), "{fault:?}");
}

#[tokio::test]
async fn no_log_table_or_queue_contains_a_secret_and_no_log_contains_document_text() {
    let world = World::get();
    let tenant = Tenant::new().await;
    let good = Receiver::start(status(200)).await;
    let bad = Receiver::start(status(400)).await;
    let hooks = [tenant.subscribe(&good).await, tenant.subscribe(&bad).await];
    let job = job::new_id();
    let document_text = format!("unspeakable-{job}");
    job::put(json!({
        "job_id": job,
        "document_id": job::new_id(),
        "tenant_id": tenant.id.to_string(),
        "status": "failed",
        "error_message": document_text,
        "updated_at": Timestamp::now().to_string(),
    }))
    .await;
    tenant.delivery(&hooks[0], DeliveryStatus::Delivered).await;
    tenant.delivery(&hooks[1], DeliveryStatus::Failed).await;

    let logs = eventually("the failed delivery in the log", async || {
        Some(world.logs()).filter(|logs| logs.contains(&hooks[1].id))
    })
    .await;
    let secrets = world.secrets();
    assert!(secrets.len() >= 3, "at least a key and two secrets");
    for secret in secrets.iter().chain([&document_text]) {
        assert!(!logs.contains(secret.as_str()), "a secret or the document's text is in a log");
    }
    let stored = world.stored().await;
    assert!(stored.contains(&hooks[0].id), "the webhook is in a table");
    for secret in &secrets {
        assert!(!stored.contains(secret.as_str()), "a secret is in a table or a queue");
    }
    for arrival in good.arrivals() {
        assert!(!logs.contains(arrival.header("X-DocIntell-Signature")), "a signature is in a log");
    }
}
