//! What the arguments of a handler say about its requests: their key, their parameters, their body, and the errors of
//! reading them.

use axum::extract::State;
use serde_json::{Value, json};
use utoipa::PartialSchema;
use webhooks::delivery::DeliveryStatus;
use webhooks::event_type::EventType;
use webhooks::id::{DeliveryId, ReplayId, TenantId, WebhookId};
use webhooks::idempotency::MAX_KEY_CHARS;
use webhooks::store::rate_limit::Limit;

use super::operation::{Body, Operation};
use crate::audit::AuditQuery;
use crate::auth::{Changing, Tenant};
use crate::deliveries::query::DeliveryQuery;
use crate::error::{ApiError, Details, KeyConflict};
use crate::extract::{JsonObject, NoParameters, PathDeliveryId, PathId, PathReplayId};
use crate::fields::NoFields;
use crate::idempotency::CreateRequest;
use crate::page::{DEFAULT_SIZE, MAX_SIZE, Page};

/// An argument of a handler.
pub(super) trait Argument {
    fn describe(operation: &mut Operation);
}

/// A handler with the arguments `A`, a tuple.
pub(super) trait Handler<A> {
    fn describe(&self, operation: &mut Operation);
}

macro_rules! handlers {
    ($($($A:ident)+;)+) => {$(
        impl<Function, R, $($A: Argument),+> Handler<($($A,)+)> for Function
        where
            Function: Fn($($A),+) -> R,
        {
            fn describe(&self, operation: &mut Operation) {
                $($A::describe(operation);)+
            }
        }
    )+};
}

handlers! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
}

/// To find the key, the function reads a table, which may fail.
impl Argument for Tenant {
    fn describe(operation: &mut Operation) {
        operation.needs_key = true;
        operation.add_errors([
            ApiError::MissingApiKey,
            ApiError::InvalidApiKey,
            ApiError::Unavailable("a cause for the log".into()),
            ApiError::Internal("a cause for the log".into()),
        ]);
    }
}

impl Argument for Changing {
    fn describe(operation: &mut Operation) {
        Tenant::describe(operation);
        let limit = Limit::Changes { tenant: TenantId::random(), per_minute: 60 };
        operation.add_errors([ApiError::RateLimited { limit, retry_after_seconds: 12 }]);
    }
}

impl<S> Argument for State<S> {
    fn describe(_: &mut Operation) {}
}

impl Argument for NoParameters {
    fn describe(operation: &mut Operation) {
        let unknown = [("sort".to_owned(), "is not a known parameter".to_owned())];
        operation.add_errors([ApiError::InvalidParameters(Details::from(unknown))]);
    }
}

impl Argument for Page {
    fn describe(operation: &mut Operation) {
        NoParameters::describe(operation);
        operation.parameters.extend([
            query(
                "page",
                "The number of the page; one beyond the last is empty.",
                &json!({"type": "integer", "minimum": 1, "default": 1}),
            ),
            query("per_page", "Number of webhooks on a page.", &size()),
        ]);
    }
}

impl Argument for DeliveryQuery {
    fn describe(operation: &mut Operation) {
        NoParameters::describe(operation);
        let mut status = query(
            "status",
            "Only deliveries with one of these statuses.",
            &json!({"type": "array", "minItems": 1, "items": reference::<DeliveryStatus>()}),
        );
        // Separated by commas.
        status["style"] = "form".into();
        status["explode"] = false.into();
        let time = json!({"type": "string", "format": "date-time"});
        let id = json!({"type": "string", "minLength": 1});
        operation.parameters.extend([
            status,
            query("event", "Only deliveries of this event type.", &reference::<EventType>()),
            query("document_id", "Only deliveries about this document.", &id),
            query("job_id", "Only deliveries about this job.", &id),
            query(
                "since",
                "Only deliveries created at or after this time, rounded down to a whole second. \
                 Must not be later than `until`. Write `+` as `%2B`.",
                &time,
            ),
            query("until", "Only deliveries created at or before this time.", &time),
            query("limit", "At most so many deliveries.", &size()),
            cursor("deliveries"),
        ]);
    }
}

impl Argument for AuditQuery {
    fn describe(operation: &mut Operation) {
        NoParameters::describe(operation);
        operation
            .parameters
            .extend([query("limit", "At most so many changes.", &size()), cursor("changes")]);
    }
}

impl Argument for PathId {
    fn describe(operation: &mut Operation) {
        let about = "The webhook's `webhook_config_id`.";
        operation.parameters.push(path::<WebhookId>("webhook_id", about));
        // The latter for `.` and `..`, which are no ids but segments of the path.
        operation.add_errors([ApiError::WebhookNotFound, ApiError::RouteNotFound]);
    }
}

impl Argument for PathDeliveryId {
    fn describe(operation: &mut Operation) {
        operation
            .parameters
            .push(path::<DeliveryId>("delivery_id", "The delivery's `delivery_id`."));
        operation.add_errors([ApiError::DeliveryNotFound]);
    }
}

impl Argument for PathReplayId {
    fn describe(operation: &mut Operation) {
        operation.parameters.push(path::<ReplayId>("replay_id", "The replay's `replay_id`."));
        operation.add_errors([ApiError::ReplayNotFound]);
    }
}

impl Argument for JsonObject {
    fn describe(operation: &mut Operation) {
        operation.body = Body::Required;
        operation.add_errors(body_errors());
    }
}

impl Argument for CreateRequest {
    fn describe(operation: &mut Operation) {
        JsonObject::describe(operation);
        operation.parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "Chosen by you. A repeat of the request with the same key within 24 hours creates no second webhook.",
            "schema": {
                "type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": "^[!-~]+$",
            },
        }));
        let conflicts = [KeyConflict::OtherBody, KeyConflict::Deleted, KeyConflict::InUse];
        operation.add_errors(conflicts.map(ApiError::IdempotencyConflict));
    }
}

impl Argument for Option<JsonObject> {
    fn describe(operation: &mut Operation) {
        operation.body = Body::Optional;
        operation.add_errors(body_errors());
    }
}

impl Argument for NoFields {
    fn describe(operation: &mut Operation) {
        Option::<JsonObject>::describe(operation);
        operation.body_schema = Some("NoFields");
    }
}

fn body_errors() -> [ApiError; 4] {
    let wrong = [("url".to_owned(), "is required".to_owned())];
    [
        ApiError::MalformedBody { line: 1, column: 9 },
        ApiError::UnsupportedMediaType,
        ApiError::InvalidFields(Details::from(wrong)),
        ApiError::NotAnObject,
    ]
}

fn path<T: PartialSchema>(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "description": description,
        "schema": T::schema(),
    })
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn cursor(items: &str) -> Value {
    let about = format!("Only {items} after this position: the `next_cursor` of the page before.");
    query("cursor", &about, &json!({"type": "string"}))
}

fn size() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE})
}

fn reference<T: utoipa::ToSchema>() -> Value {
    json!({"$ref": format!("#/components/schemas/{}", T::name())})
}
