//! What the api function is given: requests as API Gateway hands them over, and the key that they show.

use std::path::PathBuf;

use hyper::body::Bytes;
use serde_json::{Value, json};
use webhooks::id::TenantId;

use crate::function::Program;

/// A request for one webhook.
const SAMPLE: &str = include_str!("../../../events/api-get.json");
/// The SHA-256 of the key in the samples.
const KEY_HASH: &str = "a24c37ebc372c8a8b7f66fc8a3ab8c53eb6ae209b40936d0e78ad353299e6ead";

/// The api function, as `template.yaml` sets it up.
#[must_use]
pub fn api(path: PathBuf, aws_endpoint: &str) -> Program {
    let own = [
        ("API_KEYS_TABLE", "ApiKeys"),
        ("MAX_WEBHOOKS_PER_TENANT", "50"),
        ("CHANGES_PER_MINUTE", "60"),
    ];
    super::program(path, aws_endpoint, &own)
}

/// The row in `ApiKeys` by which every request is one of `tenant`.
#[must_use]
pub fn api_key_row(tenant: TenantId) -> Value {
    json!({
        "key_hash": {"S": KEY_HASH},
        "tenant_id": {"S": tenant.to_string()},
        "key_id": {"S": "550e8400-e29b-41d4-a716-446655440009"},
        "name": {"S": "benchmark"},
        "key_suffix": {"S": "-abc"},
        "environment": {"S": "test"},
        "status": {"S": "active"},
        "created_at": {"S": "2025-12-01T00:00:00Z"},
    })
}

/// A GET of `path`, such as `/v1/webhooks`.
pub fn get(path: &str) -> serde_json::Result<Bytes> {
    let mut event: Value = serde_json::from_str(SAMPLE)?;
    event["rawPath"] = path.into();
    event["requestContext"]["http"]["path"] = path.into();
    Ok(Bytes::from(event.to_string()))
}
