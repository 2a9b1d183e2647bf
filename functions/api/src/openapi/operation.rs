//! One operation of the document: what its path and method, its handler and its own description say.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::errors::{ErrorResponse, Errors, GATEWAY, Responses};
use super::signature::Handler;
use crate::error::ApiError;

pub(super) struct Operation {
    pub path: &'static str,
    pub method: &'static str,
    /// `operationId`
    pub id: &'static str,
    summary: &'static str,
    description: &'static str,
    tag: &'static str,
    pub needs_key: bool,
    pub parameters: Vec<Value>,
    pub body: Body,
    /// A schema's name.
    pub body_schema: Option<&'static str>,
    successes: BTreeMap<&'static str, Value>,
    pub errors: Errors,
}

#[derive(PartialEq, Eq)]
pub(super) enum Body {
    /// A body is ignored.
    None,
    Optional,
    Required,
}

impl Operation {
    /// With the errors of a request that reaches no handler.
    pub(super) fn new(tag: &'static str, method: &'static str, path: &'static str) -> Self {
        let mut operation = Self {
            path,
            method,
            id: "",
            summary: "",
            description: "",
            tag,
            needs_key: false,
            parameters: Vec::new(),
            body: Body::None,
            body_schema: None,
            successes: BTreeMap::new(),
            errors: Errors::new(),
        };
        for status in GATEWAY {
            operation.errors.entry(StatusCode::from_u16(status).unwrap()).or_default();
        }
        let reason = "must contain only printable ASCII characters".to_owned();
        operation.add_errors([
            ApiError::MalformedRequest,
            ApiError::MalformedHeader([("user-agent".to_owned(), reason)].into()),
            ApiError::QueryTooLong,
            ApiError::BodyTooLarge,
        ]);
        operation
    }

    /// Adds what the handler's arguments say.
    pub(super) fn calls<A>(
        mut self,
        id: &'static str,
        summary: &'static str,
        handler: &impl Handler<A>,
    ) -> Self {
        (self.id, self.summary) = (id, summary);
        handler.describe(&mut self);
        self
    }

    pub(super) fn says(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// The schema of the body.
    pub(super) fn takes(self, schema: &'static str) -> Self {
        Self { body_schema: Some(schema), ..self }
    }

    pub(super) fn answers(mut self, status: &'static str, description: &str, schema: &str) -> Self {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        let content = json!({"application/json": {"schema": schema}});
        let response = json!({"description": description, "content": content});
        self.successes.insert(status, response);
        self
    }

    pub(super) fn answers_nothing(mut self, description: &str) -> Self {
        self.successes.insert("204", json!({"description": description}));
        self
    }

    pub(super) fn with_header(mut self, status: &'static str, name: &str) -> Self {
        let header = json!({"$ref": format!("#/components/headers/{name}")});
        self.successes.get_mut(status).unwrap()["headers"][name] = header;
        self
    }

    pub(super) fn with_example(mut self, status: &'static str, name: &str) -> Self {
        let example = json!({"$ref": format!("#/components/examples/{name}")});
        self.successes.get_mut(status).unwrap()["content"]["application/json"]["examples"] =
            json!({"default": example});
        self
    }

    /// Adds the errors that the handler's own code returns.
    pub(super) fn fails<const N: usize>(mut self, errors: [ApiError; N]) -> Self {
        self.add_errors(errors);
        self
    }

    pub(super) fn add_errors(&mut self, errors: impl IntoIterator<Item = ApiError>) {
        for error in errors.into_iter().map(ErrorResponse::of) {
            let same_status = self.errors.entry(error.status).or_default();
            match same_status.entry(error.code.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(error)),
                Entry::Occupied(mut entry) => entry.get_mut().add(error),
            }
        }
    }

    pub(super) fn to_json(&self, responses: &Responses) -> Value {
        let mut answers: Map<String, Value> = Map::new();
        for (status, success) in &self.successes {
            answers.insert((*status).to_owned(), success.clone());
        }
        for (status, errors) in &self.errors {
            answers.insert(status.as_str().to_owned(), responses.reference(*status, errors));
        }
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": answers,
        });
        if !self.description.is_empty() {
            operation["description"] = self.description.into();
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.clone().into();
        }
        if !self.needs_key {
            operation["security"] = json!([]);
        }
        if self.body != Body::None {
            let name = self.body_schema.unwrap();
            let schema = json!({"$ref": format!("#/components/schemas/{name}")});
            operation["requestBody"] = json!({
                "required": self.body == Body::Required,
                "content": {"application/json": {"schema": schema}},
            });
        }
        operation
    }

    /// Adds links to the response with this status: other operations, by `operationId`.
    pub(super) fn add_links(&mut self, status: &str, links: Map<String, Value>) {
        self.successes.get_mut(status).unwrap()["links"] = links.into();
    }
}
