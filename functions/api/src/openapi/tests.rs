//! The committed documents are what the code makes, and they agree with the routes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::Schema;
use webhooks::endpoint::EndpointPolicy;
use webhooks::timestamp::Timestamp;

use super::{bodies, document, event_types};
use crate::config::ReplayRate;
use crate::deliveries::query;
use crate::error::ApiError;
use crate::extract::JsonObject;
use crate::tests::{GET, response_to};
use crate::{fields, replays, routes};

fn pretty(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

/// The files with what they should contain.
fn files() -> [(&'static str, &'static str, String); 2] {
    [
        ("openapi.json", include_str!("../../openapi.json"), pretty(&document())),
        ("event-types.json", include_str!("../../event-types.json"), pretty(&event_types())),
    ]
}

#[test]
fn the_committed_documents_are_what_the_code_makes() {
    for (name, committed, made) in files() {
        assert!(
            committed == made,
            "functions/api/{name} is not what the code makes: run `cargo test -p api write_the_documents -- --ignored`, \
             look at the difference, and commit it"
        );
    }
}

#[test]
#[ignore = "writes functions/api/openapi.json and event-types.json"]
fn write_the_documents() {
    for (name, _, made) in files() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), made).unwrap();
    }
}

/// The methods of a path, as the `Allow` header of a 405 lists them.
async fn allowed(path: &str) -> BTreeSet<String> {
    let path: String = path
        .split('/')
        .map(|segment| match segment.strip_prefix('{') {
            Some(_) => "/550e8400-e29b-41d4-a716-446655440000".to_owned(),
            None => format!("/{segment}"),
        })
        .collect();
    let response = response_to(GET, |event| {
        event["rawPath"] = path[1..].into();
        event["requestContext"]["http"]["method"] = "BREW".into();
    })
    .await;
    assert_eq!(response["statusCode"], 405, "{path}");
    let allow = response["headers"]["allow"].as_str().unwrap();
    // The router answers HEAD like GET, without the body.
    allow.split(',').filter(|method| *method != "HEAD").map(str::to_lowercase).collect()
}

#[tokio::test]
async fn the_document_has_exactly_the_routes_of_the_router() {
    let mut routed = BTreeMap::new();
    for (path, _) in routes() {
        routed.insert(path, allowed(path).await);
    }
    let methods = |methods: BTreeMap<&str, Value>| methods.into_keys().map(str::to_owned).collect();
    let described = document().paths.into_iter().map(|(path, all)| (path, methods(all))).collect();
    assert_eq!(routed, described);
}

/// The schema of this body: a body in which every field is wrong, and the names of the fields.
fn wrong_body(name: &str) -> (JsonObject, BTreeSet<String>) {
    let (_, schema) = bodies::all().into_iter().find(|(known, _)| *known == name).unwrap();
    let Schema::Object(schema) = schema else { panic!("a body is an object") };
    let names: BTreeSet<String> = schema.properties.into_keys().collect();
    let body: Map<_, _> = names.iter().map(|name| (name.clone(), json!({}))).collect();
    (serde_json::from_value(body.into()).unwrap(), names)
}

#[tokio::test]
async fn every_field_of_a_described_body_is_known() {
    let policy = EndpointPolicy::default();
    let rate = ReplayRate { default: 1, max: 1 };
    for name in ["NewWebhook", "WebhookChanges", "Rotation", "WebhookTest", "NewReplay"] {
        let (body, fields) = wrong_body(name);
        let error = match name {
            "NewWebhook" => fields::new_webhook(body, &policy).await.unwrap_err(),
            "WebhookChanges" => fields::changes(body, &policy).await.unwrap_err(),
            "Rotation" => fields::overlap(Some(body)).unwrap_err(),
            "WebhookTest" => fields::test_event(Some(body)).unwrap_err(),
            _ => replays::fields::replay(body, rate, Timestamp::now()).unwrap_err(),
        };
        let ApiError::InvalidFields(wrong) = error else { panic!("{error:?}") };
        assert!(
            !wrong.values().any(|reason| reason == "is not a known field"),
            "{name}: {wrong:?}"
        );
        assert_eq!(wrong.into_keys().collect::<BTreeSet<_>>(), fields, "{name}");
    }
}

#[test]
fn the_described_filters_of_deliveries_are_the_known_ones() {
    let document = document();
    let list = &document.paths["/v1/webhooks/{webhook_id}/deliveries"]["get"];
    let parameters = list["parameters"].as_array().unwrap().iter();
    let queries = parameters.filter(|parameter| parameter["in"] == "query");
    let names: BTreeSet<_> = queries.map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(query::KNOWN));
}

#[test]
fn the_document_and_api_md_list_the_same_errors() {
    let (_, section) = include_str!("../../../../docs/API.md").split_once("\n## Errors\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5"));
    let listed: BTreeSet<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    let responses = document().components.responses;
    let described = responses.as_object().unwrap().values().flat_map(|response| {
        let examples = &response["content"]["application/json"]["examples"];
        examples.as_object().into_iter().flat_map(Map::keys).map(String::as_str)
    });
    assert_eq!(listed, described.collect());
}
