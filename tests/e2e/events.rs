//! Requests arrive with the guide's body and headers and with both signatures.

use std::collections::BTreeSet;

use harness::{Receiver, eventually, status};
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus;
use webhooks::timestamp::Timestamp;

use crate::support::job;
use crate::support::tenant::Tenant;
use crate::support::world::World;

/// The three bodies of the public guide, compact, with placeholders for the job's and the tenant's id.
const UPLOADED: &str = r#"{"event":"document.uploaded","timestamp":"2025-12-03T10:30:00Z","data":{"document_id":"660e8400-e29b-41d4-a716-446655440001","job_id":"JOB","tenant_id":"TENANT","status":"queued"}}"#;
const COMPLETED: &str = r#"{"event":"document.processing.completed","timestamp":"2025-12-03T10:30:47Z","data":{"document_id":"660e8400-e29b-41d4-a716-446655440001","job_id":"JOB","tenant_id":"TENANT","status":"completed","processing_time_seconds":45.2,"page_count":12,"ir_version":"v001"}}"#;
const FAILED: &str = r#"{"event":"document.processing.failed","timestamp":"2025-12-03T10:31:00Z","data":{"document_id":"660e8400-e29b-41d4-a716-446655440001","job_id":"JOB","tenant_id":"TENANT","status":"failed","error_message":"File is corrupted or password protected"}}"#;

async fn put_job(tenant: &Tenant, job: &str, status: &str, at: &str, more: Value) {
    let mut fields = json!({
        "job_id": job,
        "document_id": "660e8400-e29b-41d4-a716-446655440001",
        "tenant_id": tenant.id.to_string(),
        "status": status,
        "updated_at": at,
    });
    let Value::Object(more) = more else { panic!("a row is an object") };
    fields.as_object_mut().expect("it is an object").extend(more);
    job::put(fields).await;
}

#[tokio::test]
async fn each_event_body_matches_the_guide_including_key_order() {
    let (tenant, receiver, _hook) = Tenant::subscribed(status(200)).await;
    let (good, bad) = (job::new_id(), job::new_id());
    let success = json!({"processing_time_seconds": 45.2, "page_count": 12, "ir_version": "v001"});
    let failure = json!({"error_message": "File is corrupted or password protected"});
    put_job(&tenant, &good, "queued", "2025-12-03T10:30:00Z", json!({})).await;
    put_job(&tenant, &good, "processing", "2025-12-03T10:30:02Z", json!({})).await;
    put_job(&tenant, &good, "completed", "2025-12-03T10:30:47Z", success).await;
    put_job(&tenant, &bad, "failed", "2025-12-03T10:31:00Z", failure).await;

    let arrivals = receiver.wait_for(3).await;
    let bodies: BTreeSet<String> = arrivals.iter().map(|it| it.text().to_owned()).collect();
    let expected = [(UPLOADED, &good), (COMPLETED, &good), (FAILED, &bad)]
        .map(|(body, job)| body.replace("JOB", job).replace("TENANT", &tenant.id.to_string()));
    assert_eq!(bodies, BTreeSet::from(expected));
}

#[tokio::test]
async fn a_delivery_has_the_guides_headers_and_both_signatures() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    put_job(&tenant, &job::new_id(), "completed", "2025-12-03T10:30:47Z", json!({})).await;

    let arrival = receiver.wait_for(1).await.remove(0);
    assert!(arrival.is_signed_with(&hook.secret));
    assert!(arrival.passes_standard_webhooks(&hook.secret));
    assert_eq!(arrival.header("X-DocIntell-Event"), "document.processing.completed");
    assert_eq!(arrival.header("X-DocIntell-Timestamp"), "1764757847");
    assert_eq!(arrival.header("Content-Type"), "application/json");

    let row = tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    assert_eq!(arrival.header("X-DocIntell-Delivery"), row.summary.delivery_id.to_string());
    assert_eq!(arrival.header("webhook-id"), row.summary.event_id.to_string());
    assert_eq!(arrival.text(), row.body);
    assert_eq!(arrival.target(), "/webhooks/docintell");
}

#[tokio::test]
async fn a_tampered_body_fails_both_signature_checks() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    job::upload(tenant.id).await;

    let mut arrival = receiver.wait_for(1).await.remove(0);
    arrival.body = arrival.text().replace("queued", "Queued").into();
    assert!(!arrival.is_signed_with(&hook.secret));
    assert!(!arrival.passes_standard_webhooks(&hook.secret));
}

#[tokio::test]
async fn a_webhook_receives_only_the_events_it_subscribes_to() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(status(200)).await;
    let hook = tenant.create(json!({"url": receiver.url()})).await;
    let job = job::upload(tenant.id).await;
    job::set_status(tenant.id, &job, "processing").await;
    job::set_status(tenant.id, &job, "completed").await;
    job::set_status(tenant.id, &job, "completed").await;
    job::set_status(tenant.id, &job, "failed").await;

    receiver.wait_for(2).await;
    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
    let mut names: Vec<_> =
        receiver.arrivals().iter().map(|it| it.header("X-DocIntell-Event").to_owned()).collect();
    names.sort();
    assert_eq!(names, ["document.processing.completed", "document.processing.failed"]);
}

#[tokio::test]
async fn a_webhook_never_receives_another_tenants_events() {
    let (mine, theirs) = (Tenant::new().await, Tenant::new().await);
    let (my_receiver, their_receiver) =
        (Receiver::start(status(200)).await, Receiver::start(status(200)).await);
    mine.subscribe(&my_receiver).await;
    theirs.subscribe(&their_receiver).await;
    let their_job = job::upload(theirs.id).await;
    their_receiver.wait_for(1).await;
    let my_job = job::upload(mine.id).await;

    let arrivals = my_receiver.wait_for(1).await;
    assert!(arrivals.iter().all(|it| it.text().contains(&my_job)));
    assert!(their_receiver.arrivals().iter().all(|it| it.text().contains(&their_job)));
}

#[tokio::test]
async fn an_unknown_status_is_logged_and_later_changes_of_the_job_still_fire_events() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(status(200)).await;
    tenant.subscribe(&receiver).await;
    let job = job::new_id();
    for status in ["QUEUED", "queued", "complete", "processing", "Done", "completed"] {
        job::set_status(tenant.id, &job, status).await;
    }

    let arrivals = receiver.wait_for(1).await;
    assert_eq!(arrivals[0].header("X-DocIntell-Event"), "document.processing.completed");
    let expected: Vec<_> =
        ["QUEUED", "complete", "Done"].map(|status| format!(r#""job.status":"{status}""#)).into();
    eventually("a log line for each unknown status", async || {
        let logs = World::get().logs();
        let lines: Vec<_> = logs.lines().filter(|line| line.contains(&job)).collect();
        let is_logged = |status: &String| lines.iter().any(|line| line.contains(status));
        expected.iter().all(is_logged).then_some(())
    })
    .await;
    assert_eq!(World::get().faults_of(&job).len(), 0);
    assert_eq!(receiver.arrivals().len(), 1);
}

#[tokio::test]
async fn a_job_whose_status_is_missing_or_not_a_string_is_parked() {
    let tenant = Tenant::new().await.id.to_string();
    let (without, number) = (job::new_id(), job::new_id());
    let row = |job: &str| json!({"job_id": job, "document_id": job, "tenant_id": tenant});
    job::put(row(&without)).await;
    let mut numeric = row(&number);
    numeric["status"] = json!(3);
    job::put(numeric).await;

    for job in [without, number] {
        let fault = eventually("the fault", async || World::get().faults_of(&job).pop()).await;
        assert!(fault.attributes["reason"].contains("`status`"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_job_without_a_time_uses_the_stream_records_time() {
    let (tenant, receiver, _hook) = Tenant::subscribed(status(200)).await;
    let before = Timestamp::now().unix_seconds();
    job::put(json!({
        "job_id": job::new_id(),
        "document_id": job::new_id(),
        "tenant_id": tenant.id.to_string(),
        "status": "queued",
    }))
    .await;

    let arrival = receiver.wait_for(1).await.remove(0);
    let body: Value = serde_json::from_slice(&arrival.body).expect("a body is JSON");
    let time = body["timestamp"].as_str().and_then(|text| Timestamp::parse(text).ok());
    let time = time.expect("it has a time").unix_seconds();
    assert!((before..=Timestamp::now().unix_seconds()).contains(&time), "{body}");
    assert_eq!(arrival.header("X-DocIntell-Timestamp"), time.to_string());
}
