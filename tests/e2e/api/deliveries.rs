//! A webhook's deliveries as its owner sees them: lists and single deliveries. What nobody may see is in [`errors`].

mod errors;

use aws_sdk_dynamodb::types::AttributeValue;
use harness::answer;
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::delivery::DeliveryStatus::{Cancelled, Delivered, Failed, Pending, Skipped};
use webhooks::event_type::EventType;
use webhooks::store::deliveries::MAX_EXAMINED;
use webhooks::timestamp::Timestamp;

use super::errors::assert_error;
use super::{URL, keys};
use crate::support::job;
use crate::support::logged::{Logged, log};
use crate::support::tenant::{Hook, Response, Tenant};
use crate::support::world::World;

async fn get(tenant: &Tenant, path: &str) -> Response {
    tenant.request(Method::GET, path, None).await
}

fn path(hook: &Hook) -> String {
    format!("/v1/webhooks/{}/deliveries", hook.id)
}

/// The ids on one page, and its `next_cursor`.
async fn page(tenant: &Tenant, hook: &Hook, query: &str) -> (Vec<String>, Option<String>) {
    let response = get(tenant, &format!("{}?{query}", path(hook))).await;
    assert_eq!(response.status, 200, "{query}: {:?}", response.body);
    assert_eq!(keys(&response.body), ["deliveries", "next_cursor"].into());
    let id = |it: &Value| it["delivery_id"].as_str().expect("it has an id").to_owned();
    let deliveries = response.body["deliveries"].as_array().expect("it is a list");
    let cursor = response.body["next_cursor"].as_str().map(str::to_owned);
    (deliveries.iter().map(id).collect(), cursor)
}

async fn found(tenant: &Tenant, hook: &Hook, query: &str) -> Vec<String> {
    let (ids, cursor) = page(tenant, hook, query).await;
    assert_eq!(cursor, None, "{query}");
    ids
}

#[tokio::test]
async fn a_failed_delivery_is_listed_and_shown_in_full() {
    let (tenant, receiver, hook) = Tenant::subscribed(answer(400, &[], b"no thanks")).await;
    let job = job::upload(tenant.id).await;
    let row = tenant.delivery(&hook, Failed).await;
    let arrival = receiver.wait_for(1).await.remove(0);

    let list = get(&tenant, &path(&hook)).await.body;
    let [listed] = list["deliveries"].as_array().expect("it is a list").as_slice() else {
        panic!("{list}")
    };
    let expected = json!({
        "delivery_id": arrival.header("X-DocIntell-Delivery"),
        "event_id": arrival.header("webhook-id"),
        "event": "document.uploaded",
        "document_id": row.summary.document_id,
        "job_id": job,
        "status": "failed",
        "attempt_count": 1,
        "last_status_code": 400,
        "last_error": "the endpoint answered 400",
        "created_at": row.summary.created_at(),
        "completed_at": row.summary.completed_at.expect("it has failed"),
        "next_attempt_at": null,
    });
    assert_eq!(*listed, expected);
    assert_eq!(list["next_cursor"], Value::Null);

    let response = get(&tenant, &format!("{}/{}", path(&hook), row.summary.delivery_id)).await;
    assert_eq!(response.status, 200);
    let mut full = response.body;
    let fields = full.as_object_mut().expect("it is an object");
    assert_eq!(fields.remove("body"), Some(json!(arrival.text())));
    let attempts = fields.remove("attempts").expect("it has attempts");
    assert_eq!(full, expected);
    let attempt = &row.attempts[0];
    let phases = attempt.phases;
    assert_eq!(
        attempts,
        json!([{
            "chain": 1, "number": 1, "at": attempt.at, "first_status_code": null, "status_code": 400,
            "duration_ms": attempt.duration_ms, "dns_ms": phases.dns_ms,
            "connect_ms": phases.connect_ms, "tls_ms": phases.tls_ms,
            "first_byte_ms": phases.first_byte_ms,
            "error": "the endpoint answered 400", "response_body": "no thanks",
        }])
    );
}

#[tokio::test]
async fn what_the_log_does_not_know_is_null() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let ids = log(&tenant, &hook, &[Logged::at(1, Skipped), Logged::at(2, Delivered)]).await;
    let skipped = get(&tenant, &format!("{}/{}", path(&hook), ids[0])).await.body;
    for name in ["last_status_code", "last_error", "next_attempt_at"] {
        assert_eq!(skipped.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!((&skipped["attempt_count"], &skipped["attempts"]), (&json!(0), &json!([])));
    let delivered = get(&tenant, &format!("{}/{}", path(&hook), ids[1])).await.body;
    let attempt = &delivered["attempts"][0];
    for name in ["dns_ms", "connect_ms", "tls_ms", "error", "response_body"] {
        assert_eq!(attempt.get(name), Some(&Value::Null), "{name}");
    }
}

#[tokio::test]
async fn a_list_is_filtered_by_status_event_document_job_and_time() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let completed = EventType::ProcessingCompleted;
    let logged = [
        Logged { event: completed, ..Logged::at(1, Failed) },
        Logged { document_id: "other é", ..Logged::at(2, Delivered) },
        Logged { job_id: "other", ..Logged::at(3, Skipped) },
        Logged::at(4, Cancelled),
        Logged { next_attempt_at: Some(Timestamp::now()), ..Logged::at(5, Pending) },
        Logged { event: completed, ..Logged::at(6, Failed) },
    ];
    let ids = log(&tenant, &hook, &logged).await;
    for (query, expected) in [
        ("", &[6, 5, 4, 3, 2, 1][..]),
        ("status=failed", &[6, 1]),
        ("status=skipped,failed", &[6, 3, 1]),
        ("status=pending,delivered,cancelled", &[5, 4, 2]),
        ("event=document.processing.completed", &[6, 1]),
        ("document_id=other%20%C3%A9", &[2]),
        ("job_id=other", &[3]),
        ("document_id=document&job_id=job&event=document.uploaded", &[5, 4]),
        ("since=1970-01-01T00:00:02Z&until=1970-01-01T01:00:04%2B01:00", &[4, 3, 2]),
        ("since=1970-01-01T00:00:04.999Z", &[6, 5, 4]),
        ("until=1970-01-01T00:00:01Z&since=1970-01-01T00:00:01Z", &[1]),
        ("status=failed&until=1970-01-01T00:00:05Z", &[1]),
        ("status=delivered&event=document.processing.failed", &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|second| ids[second - 1].clone()).collect();
        assert_eq!(found(&tenant, &hook, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn pages_have_every_delivery_once_and_a_cursor_is_only_a_position() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let logged: Vec<_> = (1..=25)
        .map(|second| Logged::at(second, if second % 2 == 0 { Failed } else { Delivered }))
        .collect();
    let mut ids = log(&tenant, &hook, &logged).await;
    ids.reverse();
    for (query, expected) in [
        ("", ids.clone()),
        ("limit=7&", ids.clone()),
        ("limit=5&", ids.clone()),
        ("status=failed&limit=5&", ids.iter().skip(1).step_by(2).cloned().collect()),
    ] {
        let (mut seen, mut cursor) = page(&tenant, &hook, query).await;
        while let Some(position) = cursor {
            let (more, next) = page(&tenant, &hook, &format!("{query}cursor={position}")).await;
            seen.extend(more);
            cursor = next;
        }
        assert_eq!(seen, expected, "{query}");
    }
    assert_eq!(page(&tenant, &hook, "").await.0.len(), 20, "the default limit");

    let (_, cursor) = page(&tenant, &hook, "limit=19").await;
    let cursor = cursor.expect("there are more");
    let rest = format!("cursor={cursor}");
    assert_eq!(found(&tenant, &hook, &rest).await, ids[19..]);
    assert_eq!(found(&tenant, &hook, &format!("{rest}&status=failed")).await.len(), 3);
    assert_eq!(
        found(&tenant, &hook, &format!("{rest}&until=1970-01-01T00:00:03Z")).await,
        ids[22..]
    );
}

#[tokio::test]
async fn a_page_can_be_empty_and_still_have_a_next_cursor() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let refused = u64::try_from(MAX_EXAMINED).expect("it fits") + 50;
    let mut logged: Vec<_> = (2..2 + refused).map(|at| Logged::at(at, Failed)).collect();
    logged.push(Logged { document_id: "wanted", ..Logged::at(1, Failed) });
    let ids = log(&tenant, &hook, &logged).await;

    let query = "document_id=wanted&limit=1";
    let (first, cursor) = page(&tenant, &hook, query).await;
    assert_eq!(first, [""; 0]);
    let cursor = cursor.expect("there are more rows");
    for query in [query, "document_id=wanted&status=failed"] {
        let second = found(&tenant, &hook, &format!("{query}&cursor={cursor}")).await;
        assert_eq!(second, ids[ids.len() - 1..], "{query}");
    }
}

#[tokio::test]
async fn a_corrupt_row_hides_no_other_delivery() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let ids = log(&tenant, &hook, &[1, 2, 3].map(|second| Logged::at(second, Failed))).await;
    let world = World::get();
    let string = |text: &str| AttributeValue::S(text.to_owned());
    aws_sdk_dynamodb::Client::new(&world.aws())
        .update_item()
        .table_name(&world.info().outputs.deliveries_table)
        .key("webhook", string(&format!("{}/{}", tenant.id, hook.id)))
        .key("delivery_id", string(&ids[1]))
        .update_expression("SET event = :event")
        .expression_attribute_values(":event", string("document.of.the.future"))
        .send()
        .await
        .expect("the row can be written");
    for query in ["", "status=failed", "limit=2"] {
        assert_eq!(found(&tenant, &hook, query).await, [&*ids[2], &*ids[0]], "{query}");
    }
    let (first, cursor) = page(&tenant, &hook, "limit=1").await;
    assert_eq!(first, ids[2..]);
    let rest = format!("cursor={}", cursor.expect("there are more"));
    assert_eq!(found(&tenant, &hook, &rest).await, ids[..1]);
    let one = get(&tenant, &format!("{}/{}", path(&hook), ids[1])).await;
    assert_error(&one, 500, "internal_error");
}

#[tokio::test]
async fn a_delivery_whose_attempts_are_lost_is_shown_as_failed() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let minutes_ago = |minutes: u64| {
        let now = Timestamp::now().unix_millis();
        Some(Timestamp::from_unix_millis(now - minutes * 60_000))
    };
    let logged = [
        Logged { next_attempt_at: minutes_ago(16), ..Logged::at(1, Pending) },
        Logged { next_attempt_at: minutes_ago(1), ..Logged::at(2, Pending) },
    ];
    let ids = log(&tenant, &hook, &logged).await;
    assert_eq!(found(&tenant, &hook, "status=failed").await, ids[..1]);
    assert_eq!(found(&tenant, &hook, "status=pending").await, ids[1..]);
    let lost = get(&tenant, &format!("{}/{}", path(&hook), ids[0])).await.body;
    assert_eq!((&lost["status"], &lost["last_error"]), (&json!("failed"), &json!("attempts_lost")));
    assert_eq!(lost["next_attempt_at"], Value::Null);
    let waiting = get(&tenant, &format!("{}/{}", path(&hook), ids[1])).await.body;
    assert_eq!(waiting["status"], "pending");
    assert_eq!(waiting["next_attempt_at"], json!(logged[1].next_attempt_at));
}
