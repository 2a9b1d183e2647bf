//! The schemas of the document: those of the types in responses, of request bodies, and of events.
//!
//! The rule: every field of a response is always there, null or not.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use webhooks::event_schema;
use webhooks::event_type::EventType;
use webhooks::webhook_test::TestResult;

use super::deliveries::body_name;
use super::{bodies, example};
use crate::audit::ChangeList;
use crate::deliveries::view::{DeliveryDetail, DeliveryList};
use crate::replays::view::{CountView, ReplayList};
use crate::view::WebhookList;

/// By name.
pub(super) fn all() -> BTreeMap<String, RefOr<Schema>> {
    let mut types = Vec::new();
    for add in [
        add::<WebhookList<'_>>,
        add::<DeliveryList<'_>>,
        add::<DeliveryDetail<'_>>,
        add::<ReplayList<'_>>,
        add::<CountView<'_>>,
        add::<TestResult>,
        add::<ChangeList<'_>>,
    ] {
        add(&mut types);
    }
    let mut all: BTreeMap<_, _> = types.into_iter().collect();
    for schema in all.values_mut() {
        flatten(schema);
        require_all(schema);
    }
    let RefOr::T(Schema::Object(webhook)) = &all["Webhook"] else { panic!("it is an object") };
    let (without, with) = without_and_with_secret(webhook);
    all.insert("Webhook".to_owned(), without);
    all.insert("WebhookWithSecret".to_owned(), with);
    all.extend(bodies::all().map(|(name, schema)| (name.to_owned(), schema.into())));
    all.extend(EventType::ALL.map(|event| (body_name(event), event_schema::of_body(event).into())));
    for (name, schema) in [
        ("EventTypeList", event_types()),
        ("OpenApi", object().description(Some("An OpenAPI document.")).into()),
        ("Error", error()),
        ("GatewayError", gateway_error()),
    ] {
        all.insert(name.to_owned(), schema.into());
    }
    all
}

/// The type and all types of its fields.
fn add<T: ToSchema>(types: &mut Vec<(String, RefOr<Schema>)>) {
    types.push((T::name().into_owned(), T::schema()));
    T::schemas(types);
}

/// Replaces an `allOf`, the form of a type with a flattened field, by one object.
fn flatten(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::AllOf(all)) = schema else { return };
    let mut merged = Object::with_type(Type::Object);
    merged.description = all.description.take();
    for part in &all.items {
        let part = match part {
            RefOr::Ref(_) => crate::deliveries::view::DeliveryView::schema(),
            RefOr::T(_) => part.clone(),
        };
        let RefOr::T(Schema::Object(part)) = part else { panic!("a part is an object") };
        merged.properties.extend(part.properties);
        merged.description = merged.description.or(part.description);
    }
    *schema = Schema::Object(merged).into();
}

fn require_all(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema {
        object.required = object.properties.keys().cloned().collect();
    }
}

/// The webhook of most responses, and that of create and rotate.
fn without_and_with_secret(webhook: &Object) -> (RefOr<Schema>, RefOr<Schema>) {
    const SECRET: &str = "signing_secret";
    let mut without = webhook.clone();
    without.properties.shift_remove(SECRET).unwrap();
    without.required.retain(|name| name != SECRET);
    (Schema::Object(without).into(), Schema::Object(webhook.clone()).into())
}

fn object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object)
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn event_types() -> Schema {
    let entry = object()
        .property("name", utoipa::openapi::Ref::from_schema_name(EventType::name()))
        .property("description", text("When the event happens."))
        .property(
            "schema",
            object().description(Some("The JSON Schema (2020-12) of the event's body.")),
        )
        .property("example", object().description(Some("A body.")));
    let mut entry = RefOr::from(Schema::from(entry));
    require_all(&mut entry);
    let list = utoipa::openapi::schema::ArrayBuilder::new().items(entry);
    object().property("event_types", list).required("event_types").into()
}

fn error() -> Schema {
    let about = "A reason for each invalid field, parameter or header, by its name.";
    object()
        .property("error", text("A code for programs; its meaning never changes."))
        .required("error")
        .property("message", text("A sentence for people."))
        .required("message")
        .property(
            "details",
            object().description(Some(about)).additional_properties(Some(text("The reason."))),
        )
        .required("details")
        .into()
}

fn gateway_error() -> Schema {
    object()
        .description(Some(
            "An error of API Gateway: the request did not reach the service, or got no answer.",
        ))
        .property("message", text("A sentence for people."))
        .required("message")
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)))
        .into()
}

/// Examples by name. Those of responses are the ones in `docs/API.md`.
pub(super) fn examples() -> BTreeMap<String, Value> {
    let of_response =
        |name: &str, heading: &str| (name.to_owned(), json!({"value": shown(heading)}));
    let responses = [
        of_response("WebhookWithSecret", "## Routes"),
        of_response("DeliveryList", "### List deliveries"),
        of_response("Replay", "### Start a replay"),
    ];
    let of_event = |event| {
        let body: Value = serde_json::from_str(example(event).get()).unwrap();
        (body_name(event), json!({"value": body}))
    };
    responses.into_iter().chain(EventType::ALL.map(of_event)).collect()
}

/// The first block of JSON after this heading.
fn shown(heading: &str) -> Value {
    let (_, after) = include_str!("../../../../docs/API.md").split_once(heading).unwrap();
    let (_, block) = after.split_once("```json\n").unwrap();
    serde_json::from_str(block.split_once("```").unwrap().0).unwrap()
}
