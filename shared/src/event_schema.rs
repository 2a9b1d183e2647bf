//! The JSON Schema of each event's body, for tenants.
//!
//! The rule: it follows from the table of event types. Only the API's documents are made of it, so no function contains
//! it.

use utoipa::PartialSchema as _;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::event::MAX_ERROR_MESSAGE_CHARS;
use crate::event_type::{EventType, Field};
use crate::id::TenantId;
use crate::timestamp::Timestamp;

/// The schema of the body of an event of type `name`, without references to other schemas.
#[must_use]
pub fn of_body(name: EventType) -> Schema {
    ObjectBuilder::new()
        .description(Some(name.description()))
        .property("event", constant(name.as_str()).description(Some("The event type.")))
        .required("event")
        .property(
            "timestamp",
            described(Timestamp::schema(), "When it happened, in whole seconds."),
        )
        .required("timestamp")
        .property("data", data(name))
        .required("data")
        .into()
}

fn data(name: EventType) -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let common = ObjectBuilder::new()
        .property("document_id", text().description(Some("Which document.")))
        .required("document_id")
        .property("job_id", text().description(Some("Which run of the extraction.")))
        .required("job_id")
        .property("tenant_id", described(TenantId::schema(), "Whose document."))
        .required("tenant_id")
        .property("status", constant(name.status().as_str()).description(Some("The job's status.")))
        .required("status");
    name.fields().iter().fold(common, |data, field| {
        let data = data.property(field.name(), field.schema());
        if field.is_always_present() { data.required(field.name()) } else { data }
    })
}

impl Field {
    /// The key in `data`.
    const fn name(self) -> &'static str {
        match self {
            Self::ProcessingTime => "processing_time_seconds",
            Self::PageCount => "page_count",
            Self::IrVersion => "ir_version",
            Self::ErrorMessage => "error_message",
        }
    }

    const fn is_always_present(self) -> bool {
        match self {
            Self::ProcessingTime | Self::PageCount | Self::IrVersion => false,
            Self::ErrorMessage => true,
        }
    }

    fn schema(self) -> ObjectBuilder {
        let of = |kind: Type, description: &'static str| {
            ObjectBuilder::new().schema_type(kind).description(Some(description))
        };
        match self {
            Self::ProcessingTime => of(Type::Number, "How long the extraction took, in seconds."),
            Self::PageCount => of(Type::Number, "How many pages the document has."),
            Self::IrVersion => of(Type::String, "Version of the extraction's result."),
            Self::ErrorMessage => of(Type::String, "Why the extraction failed.")
                .max_length(Some(MAX_ERROR_MESSAGE_CHARS)),
        }
    }
}

fn constant(value: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([value]))
}

fn described(schema: RefOr<Schema>, description: &str) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(description.to_owned());
            Schema::Object(object).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::webhook_test::example;

    fn keys(object: &Value) -> BTreeSet<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_schema_has_exactly_the_fields_of_a_body() {
        for name in EventType::ALL {
            let body = example(name, TenantId::random(), Timestamp::now()).unwrap().body;
            let body: Value = serde_json::from_str(body.get()).unwrap();
            let schema = serde_json::to_value(of_body(name)).unwrap();
            assert_eq!(keys(&schema["properties"]), keys(&body));
            assert_eq!(keys(&schema["properties"]["data"]["properties"]), keys(&body["data"]));
        }
    }
}
