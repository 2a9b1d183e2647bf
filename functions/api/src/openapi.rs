//! Makes `openapi.json` and `event-types.json`, which [`documents`](crate::documents) serves, of the code.
//!
//! The schemas come from the types ([`schemas`], [`bodies`]), what each request needs from the arguments of its handler
//! ([`signature`]), and the errors from [`ApiError`](crate::error::ApiError) ([`errors`]). [`operations`] adds what only
//! words can say, as [`operation`]s, and [`deliveries`] describes the requests that receivers get.
//!
//! The rule: only tests compile this module, so the function contains nothing of it but the two files.

mod bodies;
mod deliveries;
mod errors;
mod operation;
mod operations;
mod schemas;
mod signature;
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use webhooks::event::Event;
use webhooks::event_schema;
use webhooks::event_type::EventType;
use webhooks::id::EventId;
use webhooks::job::Job;
use webhooks::timestamp::Timestamp;

use crate::MAX_BODY_BYTES;
use crate::gateway::MAX_QUERY_BYTES;
use operation::Operation;

/// `openapi.json`. Its keys are in the order of the fields, and those of schemas in the order of the types' fields.
#[derive(Serialize)]
pub(super) struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    security: Value,
    tags: Value,
    pub(super) paths: BTreeMap<&'static str, BTreeMap<&'static str, Value>>,
    webhooks: Value,
    components: Components,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Components {
    schemas: BTreeMap<String, AnySchema>,
    responses: Value,
    headers: Value,
    examples: BTreeMap<String, Value>,
    security_schemes: Value,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AnySchema {
    OfType(Box<RefOr<Schema>>),
    OfError(Value),
}

/// The description of the whole API.
pub(super) fn document() -> Document {
    let operations = operations::all();
    let responses = errors::responses(&operations);
    let mut paths: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for operation in &operations {
        let Operation { path, method, .. } = operation;
        let described = operation.to_json(&responses);
        let replaced = paths.entry(*path).or_default().insert(*method, described);
        assert!(replaced.is_none(), "{method} {path} is described twice");
    }
    Document {
        openapi: "3.1.0",
        info: json!({
            "title": "DocIntell Webhooks",
            "version": "1",
            "summary": "Register endpoints for document events, and see and repair their deliveries.",
            "description": format!(
                include_str!("openapi/description.md"),
                max_body = MAX_BODY_BYTES,
                max_query = MAX_QUERY_BYTES,
            ),
        }),
        servers: json!([{"url": "/", "description": "The API that this document comes from."}]),
        security: json!([{"apiKey": []}]),
        tags: operations::tags(),
        paths,
        webhooks: deliveries::webhooks(),
        components: Components {
            schemas: schemas::all()
                .into_iter()
                .map(|(name, schema)| (name, AnySchema::OfType(schema.into())))
                .chain(responses.schemas().map(|(name, schema)| (name, AnySchema::OfError(schema))))
                .collect(),
            responses: responses.components(),
            headers: errors::headers(),
            examples: schemas::examples(),
            security_schemes: json!({"apiKey": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key: `dk_live_` or `dk_test_` and 43 characters of base64url.",
            }}),
        },
    }
}

/// `event-types.json`
#[derive(Serialize)]
pub(super) struct EventTypes {
    event_types: Vec<EventTypeEntry>,
}

#[derive(Serialize)]
struct EventTypeEntry {
    name: EventType,
    description: &'static str,
    schema: StandaloneSchema,
    example: Box<RawValue>,
}

/// Outside of the API's document, a schema names its dialect.
#[derive(Serialize)]
struct StandaloneSchema {
    #[serde(rename = "$schema")]
    dialect: &'static str,
    #[serde(flatten)]
    schema: Schema,
}

/// All event types, with the schema and an example of each one's body.
pub(super) fn event_types() -> EventTypes {
    let entry = |name: EventType| EventTypeEntry {
        name,
        description: name.description(),
        schema: StandaloneSchema {
            dialect: "https://json-schema.org/draft/2020-12/schema",
            schema: event_schema::of_body(name),
        },
        example: example(name),
    };
    EventTypes { event_types: EventType::ALL.map(entry).into() }
}

/// The exact body of an event of this type.
fn example(name: EventType) -> Box<RawValue> {
    let at = Timestamp::parse("2025-12-03T10:30:47Z").unwrap();
    let tenant = "770e8400-e29b-41d4-a716-446655440002".parse().unwrap();
    let document = "660e8400-e29b-41d4-a716-446655440001".to_owned();
    let job = "550e8400-e29b-41d4-a716-446655440000".to_owned();
    let job = Job::example(tenant, document, job, at);
    Event::new(EventId::of_record("1", at), name, &job).unwrap().body
}
