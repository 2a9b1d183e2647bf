//! The description and the events of a webhook.

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{Receiver, status};
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::event_type::EventType;

use super::URL;
use super::errors::assert_error;
use crate::support::job;
use crate::support::tenant::{Hook, Tenant};
use crate::support::world::World;

const WEBHOOKS: &str = "/v1/webhooks";

fn path(hook: &Hook) -> String {
    format!("{WEBHOOKS}/{}", hook.id)
}

/// Changes the webhook's row as another version of the service would.
async fn write_events(tenant: &Tenant, hook: &Hook, events: &[&str]) {
    let world = World::get();
    let events = events.iter().map(|event| AttributeValue::S((*event).to_owned())).collect();
    aws_sdk_dynamodb::Client::new(&world.aws())
        .update_item()
        .table_name(&world.info().outputs.webhooks_table)
        .key("tenant_id", AttributeValue::S(tenant.id.to_string()))
        .key("webhook_config_id", AttributeValue::S(hook.id.clone()))
        .update_expression("SET #events = :events")
        .condition_expression("attribute_exists(#events)")
        .expression_attribute_names("#events", "events")
        .expression_attribute_values(":events", AttributeValue::L(events))
        .send()
        .await
        .expect("the row exists");
}

#[tokio::test]
async fn every_response_with_a_webhook_has_its_description() {
    let tenant = Tenant::new().await;
    let text = "Rechnungen → 請求書 <b>&\"\u{202e}";
    let create = json!({"url": URL, "description": text});
    let created = tenant.request(Method::POST, WEBHOOKS, Some(create)).await;
    assert_eq!((created.status, &created.body["description"]), (201, &json!(text)));
    let path = format!("{WEBHOOKS}/{}", created.body["webhook_config_id"].as_str().expect("an id"));
    let change = Some(json!({"max_retries": 1, "description": null}));
    for response in [
        tenant.request(Method::GET, &path, None).await,
        tenant.request(Method::PATCH, &path, change).await,
        tenant.request(Method::POST, &format!("{path}/rotate"), None).await,
    ] {
        assert_eq!((response.status, &response.body["description"]), (200, &json!(text)));
    }
    let list = tenant.request(Method::GET, WEBHOOKS, None).await.body;
    assert_eq!(list["webhooks"][0]["description"], text);
    let without = tenant.request(Method::POST, WEBHOOKS, Some(json!({"url": URL}))).await.body;
    assert_eq!(without.get("description"), Some(&Value::Null));
}

#[tokio::test]
async fn an_empty_description_clears_it_and_one_that_is_too_long_changes_nothing() {
    let tenant = Tenant::new().await;
    let longest = "𝄞".repeat(256);
    let hook = tenant.create(json!({"url": URL, "description": longest})).await;
    let path = path(&hook);
    let before = tenant.request(Method::GET, &path, None).await.body;
    assert_eq!(before["description"], longest);
    for text in ["x".repeat(257), "two\nlines".to_owned()] {
        let change = json!({"description": text, "is_active": false});
        let refused = tenant.request(Method::PATCH, &path, Some(change)).await;
        assert_error(&refused, 422, "validation_error");
        assert_eq!(super::keys(&refused.body["details"]), ["description"].into());
        let create = json!({"url": URL, "description": text});
        let refused = tenant.request(Method::POST, WEBHOOKS, Some(create)).await;
        assert_error(&refused, 422, "validation_error");
    }
    assert_eq!(tenant.request(Method::GET, &path, None).await.body, before);
    assert_eq!(tenant.request(Method::GET, WEBHOOKS, None).await.body["total"], 1);

    for (text, expected) in [("", Value::Null), ("new", json!("new"))] {
        let change = json!({"description": text});
        let response = tenant.request(Method::PATCH, &path, Some(change)).await;
        assert_eq!((response.status, &response.body["description"]), (200, &expected));
        assert_eq!(tenant.request(Method::GET, &path, None).await.body, response.body);
    }
}

#[tokio::test]
async fn a_webhook_for_all_events_gets_each_of_them_and_shows_one_name() {
    let (tenant, receiver) = (Tenant::new().await, Receiver::start(status(200)).await);
    let hook = tenant.create(json!({"url": receiver.url(), "events": ["*"]})).await;
    let got = tenant.request(Method::GET, &path(&hook), None).await.body;
    assert_eq!(got["events"], json!(["*"]));
    let job_id = job::upload(tenant.id).await;
    job::set_status(tenant.id, &job_id, "completed").await;
    job::set_status(tenant.id, &job_id, "failed").await;
    let arrivals = receiver.wait_for(3).await;
    let mut names: Vec<&str> = arrivals.iter().map(|it| it.header("x-docintell-event")).collect();
    names.sort_unstable();
    let mut expected = EventType::ALL.map(EventType::as_str);
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn all_events_can_be_replaced_by_a_list_and_set_again() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL, "events": ["*"]})).await;
    let path = path(&hook);
    for events in [json!(["document.uploaded"]), json!(["*"]), json!(EventType::ALL), json!(["*"])]
    {
        let change = json!({"events": events});
        let response = tenant.request(Method::PATCH, &path, Some(change)).await;
        assert_eq!((response.status, &response.body["events"]), (200, &events));
    }
    let other = Some(json!({"max_retries": 2}));
    let response = tenant.request(Method::PATCH, &path, other).await;
    assert_eq!(response.body["events"], json!(["*"]), "another change keeps them");

    // A version that knows no `*` changes the list alone.
    write_events(&tenant, &hook, &["document.uploaded"]).await;
    let got = tenant.request(Method::GET, &path, None).await.body;
    assert_eq!(got["events"], json!(["document.uploaded"]));
    let all = json!(EventType::ALL);
    let change = Some(json!({"events": all}));
    assert_eq!(tenant.request(Method::PATCH, &path, change).await.body["events"], all);
    let got = tenant.request(Method::GET, &path, None).await.body;
    assert_eq!(got["events"], all, "a list stays a list");
}

#[tokio::test]
async fn all_events_and_one_more_are_refused() {
    let tenant = Tenant::new().await;
    let fields = json!({"url": URL, "events": ["*", "document.uploaded"]});
    let refused = tenant.request(Method::POST, WEBHOOKS, Some(fields)).await;
    assert_error(&refused, 422, "validation_error");
    let reason = "`*` means every event, so it must be the only entry";
    assert_eq!(refused.body["details"], json!({"events": reason}));
    assert_eq!(tenant.request(Method::GET, WEBHOOKS, None).await.body["total"], 0);
}
