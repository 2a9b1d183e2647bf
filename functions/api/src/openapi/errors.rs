//! The error responses. Codes, messages and headers are those of real responses to each [`ApiError`].
//!
//! The rule: responses with the same status and the same codes are one component of the document.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::to_bytes;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Map, Value, json};

use super::operation::Operation;
use crate::error::ApiError;

/// Statuses that API Gateway answers with itself: it is throttled, the body is too large for it, or the function failed
/// or did not answer.
pub(super) const GATEWAY: [u16; 4] = [413, 429, 500, 503];

/// One error as the client sees it.
#[derive(Debug, Clone)]
pub(super) struct ErrorResponse {
    pub status: StatusCode,
    pub code: String,
    body: Value,
    /// Of all errors with this status and code; the first one's is in the body.
    messages: Vec<String>,
    /// In the usual spelling, such as `Retry-After`.
    headers: Vec<String>,
}

/// The errors of an operation, by status and code. A status without a code is API Gateway's alone.
pub(super) type Errors = BTreeMap<StatusCode, BTreeMap<String, ErrorResponse>>;

/// The components, by their status and codes.
pub(super) struct Responses(BTreeMap<(StatusCode, Vec<String>), (String, Value)>);

impl ErrorResponse {
    pub(super) fn of(error: ApiError) -> Self {
        let response = error.into_response();
        let (head, body) = response.into_parts();
        let body = pin!(to_bytes(body, usize::MAX));
        // The body is in memory.
        let Poll::Ready(body) = body.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("the body is ready")
        };
        let body: Value = serde_json::from_slice(&body.unwrap()).unwrap();
        let is_shown = |name: &&HeaderName| [RETRY_AFTER, WWW_AUTHENTICATE].contains(name);
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self {
            status: head.status,
            code: text("error"),
            messages: vec![text("message")],
            headers: head.headers.keys().filter(is_shown).map(header_case).collect(),
            body,
        }
    }

    /// Adds the message of another error with the same status and code.
    pub(super) fn add(&mut self, other: Self) {
        self.messages.extend(other.messages);
        self.messages.dedup();
    }
}

/// The components that the operations need.
pub(super) fn responses(operations: &[Operation]) -> Responses {
    let mut found: BTreeMap<StatusCode, Vec<&BTreeMap<String, ErrorResponse>>> = BTreeMap::new();
    for (status, errors) in operations.iter().flat_map(|operation| &operation.errors) {
        found.entry(*status).or_default().push(errors);
    }
    let mut components = BTreeMap::new();
    for (status, all) in found {
        // A status's usual codes do not appear in the names.
        let first = all.iter().min_by_key(|errors| errors.len()).unwrap();
        let is_usual = |code: &&String| all.iter().all(|errors| errors.contains_key(*code));
        let usual: BTreeSet<&String> = first.keys().filter(is_usual).collect();
        for errors in all {
            let unusual: Vec<_> = errors.keys().filter(|code| !usual.contains(code)).collect();
            let name = match unusual[..] {
                [] => pascal_case(status.canonical_reason().unwrap()),
                _ => unusual.iter().map(|code| pascal_case(code)).collect::<Vec<_>>().join("Or"),
            };
            let codes = errors.keys().cloned().collect();
            components.insert((status, codes), (name, component(status, errors)));
        }
    }
    Responses(components)
}

impl Responses {
    /// A reference to the component for these errors.
    pub(super) fn reference(
        &self,
        status: StatusCode,
        errors: &BTreeMap<String, ErrorResponse>,
    ) -> Value {
        let (name, _) = &self.0[&(status, errors.keys().cloned().collect())];
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// The components by name, with the response to a method that a path does not support. No operation has it.
    pub(super) fn components(&self) -> Value {
        let mut all: Map<_, _> = self.0.values().cloned().collect();
        for (name, response) in &mut all {
            let schema = json!({"$ref": format!("#/components/schemas/{}", body_name(name))});
            response["content"]["application/json"]["schema"] = schema;
        }
        let error = ErrorResponse::of(ApiError::MethodNotAllowed);
        let mut response = component(error.status, &BTreeMap::from([(error.code.clone(), error)]));
        response["headers"] = json!({"Allow": {"$ref": "#/components/headers/Allow"}});
        all.insert("MethodNotAllowed".to_owned(), response);
        all.into()
    }

    /// The schemas of the components' bodies, by name. With a name, a generated client has one type for each.
    pub(super) fn schemas(&self) -> impl Iterator<Item = (String, Value)> {
        self.0.values().map(|(name, response)| {
            (body_name(name), response["content"]["application/json"]["schema"].clone())
        })
    }
}

fn body_name(response: &str) -> String {
    format!("{response}Body")
}

fn component(status: StatusCode, errors: &BTreeMap<String, ErrorResponse>) -> Value {
    let codes: Vec<_> = errors.keys().collect();
    let ours = json!({"allOf": [
        {"$ref": "#/components/schemas/Error"},
        {"properties": {"error": {"enum": codes}}},
    ]});
    let gateways = json!({"$ref": "#/components/schemas/GatewayError"});
    let is_gateways = GATEWAY.contains(&status.as_u16());
    let schema = match (errors.is_empty(), is_gateways) {
        (true, _) => gateways,
        (false, true) => json!({"anyOf": [ours, gateways]}),
        (false, false) => ours,
    };
    let mut sentences: Vec<String> = errors
        .iter()
        .flat_map(|(code, error)| {
            error.messages.iter().map(move |message| format!("`{code}`: {message}"))
        })
        .collect();
    if is_gateways {
        sentences.push("A response of API Gateway has only a `message`.".to_owned());
    }
    let examples: Map<_, _> =
        errors.iter().map(|(code, error)| (code.clone(), json!({"value": error.body}))).collect();
    let mut content = json!({"schema": schema});
    if !examples.is_empty() {
        content["examples"] = examples.into();
    }
    let mut response = json!({
        "description": sentences.join("\n\n"),
        "content": {"application/json": content},
    });
    let headers: BTreeSet<_> = errors.values().flat_map(|error| &error.headers).collect();
    for name in headers {
        response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
    }
    response
}

/// The headers of responses, by name.
pub(super) fn headers() -> Value {
    let whole = json!({"type": "integer", "minimum": 1});
    json!({
        "Allow": {
            "description": "The methods that the path supports, separated by commas.",
            "schema": {"type": "string"},
        },
        "Retry-After": {
            "description": "Seconds to wait. Responses of API Gateway do not have it.",
            "schema": whole,
        },
        "Www-Authenticate": {
            "description": "Always `Bearer`.",
            "required": true,
            "schema": {"type": "string", "enum": ["Bearer"]},
        },
        "Cache-Control": {
            "description": "What caches may do with the response.",
            "required": true,
            "schema": {"type": "string"},
        },
        "Idempotent-Replayed": {
            "description": "The request repeats an earlier one and has changed nothing.",
            "required": true,
            "schema": {"type": "string", "enum": ["true"]},
        },
        "Location": {
            "description": "The path of what was created.",
            "required": true,
            "schema": {"type": "string", "format": "uri-reference"},
        },
    })
}

/// `retry-after` becomes `Retry-After`.
fn header_case(name: &HeaderName) -> String {
    name.as_str().split('-').map(pascal_case).collect::<Vec<_>>().join("-")
}

/// `not_found` and `Not Found` become `NotFound`.
pub(super) fn pascal_case(text: &str) -> String {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric());
    words
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        })
        .collect()
}
