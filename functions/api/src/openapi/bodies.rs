//! The schemas of request bodies. [`fields`](crate::fields) parses the bodies by hand, so these are written by hand too; a
//! test compares their fields.
//!
//! The rule: no other field is allowed, and a field that may be left out may be null.

use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema as _, ToSchema as _};
use webhooks::delivery::DeliveryStatus;
use webhooks::endpoint::MAX_URL_CHARS;
use webhooks::event_type::EventType;
use webhooks::replay::DEFAULT_STATUSES;
use webhooks::retry::{MAX_RETRIES_LIMIT, RetryPolicy};
use webhooks::rotation::Overlap;
use webhooks::webhook::{Description, EventSet};

use crate::replays::fields::{ALL, MAX_ID_BYTES, STATUSES};

/// Each body with the name of its schema.
pub(super) fn all() -> [(&'static str, Schema); 6] {
    [
        ("NewWebhook", new_webhook()),
        ("WebhookChanges", webhook_changes()),
        ("Rotation", rotation()),
        ("WebhookTest", webhook_test()),
        ("NewReplay", new_replay()),
        ("NoFields", no_fields()),
    ]
}

fn new_webhook() -> Schema {
    let retry = RetryPolicy::default();
    object("The fields of a new webhook.")
        .property("url", described(url(), URL))
        .required("url")
        .property("description", or_null(description(), DESCRIPTION, &Value::Null))
        .property("events", or_null(events(), EVENTS, &json!(EventSet::default())))
        .property("is_active", or_null(boolean(), "False stops deliveries.", &json!(true)))
        .property("retry_enabled", or_null(boolean(), RETRY_ENABLED, &json!(retry.enabled)))
        .property("max_retries", or_null(max_retries(), MAX_RETRIES, &json!(retry.max_retries)))
        .examples([json!({
            "url": "https://yourapp.com/webhooks/docintel",
            "events": ["document.processing.completed"],
        })])
        .into()
}

fn webhook_changes() -> Schema {
    object("The fields to change.")
        .property("url", or_null(url(), URL, &Value::Null))
        .property("description", or_null(description(), DESCRIPTION, &Value::Null))
        .property("events", or_null(events(), EVENTS, &Value::Null))
        .property("is_active", or_null(boolean(), "False stops deliveries.", &Value::Null))
        .property("retry_enabled", or_null(boolean(), RETRY_ENABLED, &Value::Null))
        .property("max_retries", or_null(max_retries(), MAX_RETRIES, &Value::Null))
        .examples([json!({"events": ["document.processing.completed"], "is_active": false})])
        .into()
}

fn rotation() -> Schema {
    let seconds = whole_number(0, Overlap::MAX_SECONDS);
    let about = "How long the previous secret still signs. 0 means no overlap, for a secret that has leaked.";
    object("How to rotate.")
        .property(
            "overlap_seconds",
            or_null(seconds, about, &json!(Overlap::default().as_seconds())),
        )
        .examples([json!({"overlap_seconds": 3600})])
        .into()
}

fn webhook_test() -> Schema {
    let about = "The event to send; by default the first one that the webhook subscribes to, or \
        `document.processing.completed` for `*`.";
    object("What to send.")
        .property("event", or_null(event(), about, &Value::Null))
        .examples([json!({"event": "document.uploaded"})])
        .into()
}

fn new_replay() -> Schema {
    let time = || text().format(Some(SchemaFormat::Custom("date-time".to_owned())));
    let id = || text().min_length(Some(1)).max_length(Some(MAX_ID_BYTES));
    let names = STATUSES.map(DeliveryStatus::as_str);
    let statuses = OneOfBuilder::new().item(text().enum_values(Some([ALL]))).item(
        ArrayBuilder::new()
            .items(text().enum_values(Some(names)))
            .min_items(Some(1))
            .unique_items(true),
    );
    object("Which deliveries to send again.")
        .property(
            "since",
            described(
                time(),
                "Only deliveries created at or after this time, rounded down to a whole second. Must not be later than \
                 `until`.",
            ),
        )
        .required("since")
        .property(
            "until",
            or_null(
                time(),
                "Only deliveries created at or before this time; a later time than now counts as now, the default.",
                &Value::Null,
            ),
        )
        .property(
            "status",
            or_null(statuses, "Only deliveries with one of these statuses.", &json!(DEFAULT_STATUSES)),
        )
        .property("event", or_null(event(), "Only deliveries of this event type.", &Value::Null))
        .property("document_id", or_null(id(), ID, &Value::Null))
        .property("job_id", or_null(id(), ID, &Value::Null))
        .property(
            "rate_per_second",
            or_null(
                whole_number(1, 500),
                "Deliveries per second; the operator can change maximum and default.",
                &json!(50),
            ),
        )
        .property("dry_run", or_null(boolean(), "True sends nothing and starts nothing.", &json!(false)))
        .examples([json!({"since": "2025-12-03T10:00:00Z", "dry_run": true})])
        .into()
}

fn no_fields() -> Schema {
    object("This request has no fields; its body may be left out.").into()
}

const URL: &str = "Where to post events: https, port 443 or 1024 to 65535, without user name, password or fragment. The \
    host must be a public address, or resolve to public addresses only; a name that does not resolve is accepted.";
const DESCRIPTION: &str = "Text for people, without control characters. An empty one clears it.";
const EVENTS: &str = "The event types to post, or `*`: every event, also those of later versions.";
const NO_CONTROL_CHARACTERS: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
const RETRY_ENABLED: &str = "False means one attempt per delivery.";
const MAX_RETRIES: &str = "Total number of attempts per delivery; 0 and 1 both mean one.";
const ID: &str = "Only deliveries about this one; the length is in bytes of UTF-8.";

fn url() -> ObjectBuilder {
    let format = SchemaFormat::Custom("uri".to_owned());
    text().format(Some(format)).min_length(Some(1)).max_length(Some(MAX_URL_CHARS))
}

fn description() -> ObjectBuilder {
    text().max_length(Some(Description::MAX_CHARS)).pattern(Some(NO_CONTROL_CHARACTERS))
}

fn event() -> Ref {
    Ref::from_schema_name(EventType::name())
}

fn events() -> RefOr<Schema> {
    EventSet::schema()
}

fn max_retries() -> ObjectBuilder {
    whole_number(0, MAX_RETRIES_LIMIT.into())
}

fn whole_number(minimum: u64, maximum: u64) -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    number.minimum(Some(minimum)).maximum(Some(maximum))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

fn object(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn described(schema: ObjectBuilder, description: &str) -> ObjectBuilder {
    schema.description(Some(description))
}

/// For a field that may be left out. `default` is null if there is none.
fn or_null(schema: impl Into<RefOr<Schema>>, description: &str, default: &Value) -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    OneOfBuilder::new()
        .item(schema)
        .item(null)
        .description(Some(description))
        .default(Some(default.clone()).filter(|default| !default.is_null()))
        .into()
}
