//! What arrives at an endpoint is what the API's documents promise. The API's own responses are compared in each test that
//! gets one: see [`openapi`].

use harness::status;
use reqwest::Method;
use serde_json::{Value, json};
use webhooks::event_type::EventType;

use crate::support::job;
use crate::support::openapi::{self, validate};
use crate::support::tenant::Tenant;

/// The event types, as the API lists them to anyone.
async fn event_types(tenant: &Tenant) -> Vec<Value> {
    let response = Tenant::send(tenant.unsent(Method::GET, "/v1/event-types")).await;
    assert_eq!(response.status, 200);
    response.body["event_types"].as_array().expect("it is a list").clone()
}

#[tokio::test]
async fn real_deliveries_are_as_the_api_describes_them() {
    let (tenant, receiver, _hook) = Tenant::subscribed(status(200)).await;
    let types = event_types(&tenant).await;
    let bare = job::new_id();
    for (id, status) in
        [(job::new_id(), "queued"), (bare.clone(), "completed"), (job::new_id(), "failed")]
    {
        let fields = json!({
            "job_id": id, "document_id": "any text", "tenant_id": tenant.id, "status": status,
            "updated_at": "2025-12-03T10:30:00Z",
        });
        job::put(fields).await;
    }
    for arrival in receiver.wait_for(EventType::ALL.len()).await {
        let body: Value = serde_json::from_str(arrival.text()).expect("it is JSON");
        let name = body["event"].as_str().expect("it has a name");
        openapi::check_delivery(name, arrival.headers(), &body);
        let listed = types.iter().find(|listed| listed["name"] == name).expect("it is listed");
        assert_eq!(validate(&listed["schema"], &body), Ok(()), "{body}");
    }
}

#[tokio::test]
async fn every_event_type_is_listed_with_an_example_that_its_schema_allows() {
    let types = event_types(&Tenant::new().await).await;
    let names: Vec<_> = types.iter().map(|listed| listed["name"].clone()).collect();
    assert_eq!(names, EventType::ALL.map(|event| json!(event)));
    for listed in types {
        let (schema, example) = (&listed["schema"], &listed["example"]);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(validate(schema, example), Ok(()), "{example}");
        for (field, wrong) in [
            ("event", json!("document.deleted")),
            ("timestamp", json!("today")),
            ("data", json!({})),
        ] {
            let mut changed = example.clone();
            changed[field] = wrong;
            assert!(validate(schema, &changed).is_err(), "{changed}");
        }
    }
}

#[test]
fn the_examples_match_their_schemas() {
    let document = openapi::document();
    let examples = document["components"]["examples"].as_object().expect("there are examples");
    assert!(examples.len() > EventType::ALL.len());
    for (name, example) in examples {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(validate(schema, &example["value"]), Ok(()), "{name}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("there are schemas")
    {
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert_eq!(validate(schema, example), Ok(()), "{name}");
        }
    }
}

#[test]
fn the_validator_refuses_what_a_schema_forbids() {
    let schema = json!({
        "type": "object", "required": ["id"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "number": {"type": ["integer", "null"], "minimum": 1, "maximum": 3},
            "text": {"oneOf": [{"type": "string", "minLength": 1, "maxLength": 2, "pattern": "^a"}, {"type": "null"}]},
            "list": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "uniqueItems": true},
        },
    });
    let id = "550e8400-e29b-41d4-a716-446655440000";
    for valid in [
        json!({"id": id}),
        json!({"id": id, "number": null, "text": null, "list": ["b", "a"]}),
        json!({"id": id, "number": 3, "text": "aé"}),
    ] {
        assert_eq!(validate(&schema, &valid), Ok(()), "{valid}");
    }
    for wrong in [
        json!([]),
        json!({}),
        json!({"id": "x"}),
        json!({"id": id, "other": 1}),
        json!({"id": id, "number": 0}),
        json!({"id": id, "number": 4}),
        json!({"id": id, "number": 1.5}),
        json!({"id": id, "text": ""}),
        json!({"id": id, "text": "aaa"}),
        json!({"id": id, "text": "b"}),
        json!({"id": id, "list": []}),
        json!({"id": id, "list": ["a", "a"]}),
        json!({"id": id, "list": ["c"]}),
    ] {
        assert!(validate(&schema, &wrong).is_err(), "{wrong}");
    }
    assert!(validate(&json!({"const": 1}), &json!(1)).is_err(), "an unknown keyword");
}
