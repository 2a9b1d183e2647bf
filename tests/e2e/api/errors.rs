//! Every documented error has the documented form and changes nothing.

use std::time::Duration;

use docintell::keys;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use webhooks::secret::KeyEnvironment;
use webhooks::timestamp::Timestamp;

use super::URL;
use crate::support::tenant::{Response, Tenant};
use crate::support::world::World;

pub(super) fn assert_error(response: &Response, status: u16, code: &str) {
    assert_eq!(
        (response.status, &response.body["error"]),
        (status, &json!(code)),
        "{:?}",
        response.body
    );
    assert_eq!(super::keys(&response.body), ["details", "error", "message"].into());
    assert!(response.body["message"].as_str().is_some_and(|text| text.ends_with('.')));
    assert_eq!(response.headers["content-type"], "application/json");
    assert_eq!(response.headers["x-content-type-options"], "nosniff");
}

/// Sends a create request with this body and this `Content-Type`.
async fn create_raw(tenant: &Tenant, content_type: Option<&str>, body: String) -> Response {
    let request = tenant.unsent(Method::POST, "/v1/webhooks").bearer_auth(&tenant.key).body(body);
    let request = match content_type {
        Some(content_type) => request.header("Content-Type", content_type),
        None => request,
    };
    Tenant::send(request).await
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_401_on_every_route() {
    let tenant = Tenant::new().await;
    let id = tenant.create(json!({"url": URL})).await.id;
    let unknown = format!("Bearer dk_test_{}", "a".repeat(43));
    let basic = format!("Basic {}", tenant.key);
    for (method, path) in [
        (Method::POST, "/v1/webhooks".to_owned()),
        (Method::GET, "/v1/webhooks".to_owned()),
        (Method::GET, format!("/v1/webhooks/{id}")),
        (Method::PATCH, format!("/v1/webhooks/{id}")),
        (Method::DELETE, format!("/v1/webhooks/{id}")),
        (Method::POST, format!("/v1/webhooks/{id}/rotate")),
        (Method::DELETE, format!("/v1/webhooks/{id}/previous-secret")),
        (Method::POST, format!("/v1/webhooks/{id}/test")),
        (Method::GET, format!("/v1/webhooks/{id}/deliveries")),
        (Method::GET, format!("/v1/webhooks/{id}/deliveries/{id}")),
        (Method::POST, format!("/v1/webhooks/{id}/deliveries/{id}/retry")),
        (Method::POST, format!("/v1/webhooks/{id}/replays")),
        (Method::GET, format!("/v1/webhooks/{id}/replays")),
        (Method::GET, format!("/v1/webhooks/{id}/replays/{id}")),
        (Method::POST, format!("/v1/webhooks/{id}/replays/{id}/pause")),
        (Method::POST, format!("/v1/webhooks/{id}/replays/{id}/resume")),
        (Method::DELETE, format!("/v1/webhooks/{id}/replays/{id}")),
    ] {
        let missing = Tenant::send(tenant.unsent(method.clone(), &path)).await;
        assert_error(&missing, 401, "missing_api_key");
        assert_eq!(missing.headers["www-authenticate"], "Bearer");
        for header in ["Bearer", "Bearer nonsense", &unknown, &basic] {
            let request = tenant.unsent(method.clone(), &path).header("Authorization", header);
            let wrong = Tenant::send(request).await;
            assert_error(&wrong, 401, "invalid_api_key");
            assert_eq!(wrong.headers["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(tenant.request(Method::GET, &format!("/v1/webhooks/{id}"), None).await.status, 200);
}

#[tokio::test]
async fn revoked_and_expired_keys_are_refused() {
    let mut tenant = Tenant::new().await;
    let world = World::get();
    let store = keys::store(&world.aws(), &world.info().outputs.api_keys_table);
    let soon = Timestamp::from_unix_millis(Timestamp::now().unix_millis() + 10_000);
    let make = async |expires_at| {
        keys::create(&store, tenant.id, "t", KeyEnvironment::Live, expires_at).await.expect("a key")
    };
    let (revoked, record) = make(None).await;
    let (expiring, _) = make(Some(soon)).await;
    let status =
        async |tenant: &Tenant| tenant.request(Method::GET, "/v1/webhooks", None).await.status;

    for key in [&revoked, &expiring] {
        key.expose().clone_into(&mut tenant.key);
        assert_eq!(status(&tenant).await, 200);
    }
    assert!(store.revoke(tenant.id, record.key_id).await.expect("the table can be written"));
    revoked.expose().clone_into(&mut tenant.key);
    assert_eq!(status(&tenant).await, 401, "a revoked key is refused at once");
    tokio::time::sleep(Duration::from_secs(10)).await;
    for key in [&revoked, &expiring] {
        key.expose().clone_into(&mut tenant.key);
        let response = tenant.request(Method::GET, "/v1/webhooks", None).await;
        assert_error(&response, 401, "invalid_api_key");
    }
}

#[tokio::test]
async fn an_unknown_route_is_404_and_a_wrong_method_is_405_with_allow() {
    let tenant = Tenant::new().await;
    for path in ["/", "/v1", "/v2/webhooks", "/v1/webhooks/", "/v1/webhooks/x/y", "/v1/webhook"] {
        assert_error(&tenant.request(Method::GET, path, None).await, 404, "route_not_found");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/v1/webhooks", "GET,HEAD,POST"),
        (Method::DELETE, "/v1/webhooks", "GET,HEAD,POST"),
        (Method::POST, "/v1/webhooks/x", "DELETE,GET,HEAD,PATCH"),
        (Method::GET, "/v1/webhooks/x/rotate", "POST"),
        (Method::GET, "/v1/webhooks/x/previous-secret", "DELETE"),
        (Method::GET, "/v1/webhooks/x/test", "POST"),
        (Method::POST, "/v1/webhooks/x/deliveries", "GET,HEAD"),
        (Method::DELETE, "/v1/webhooks/x/deliveries/x", "GET,HEAD"),
        (Method::GET, "/v1/webhooks/x/deliveries/x/retry", "POST"),
        (Method::DELETE, "/v1/webhooks/x/replays", "GET,HEAD,POST"),
        (Method::POST, "/v1/webhooks/x/replays/x", "DELETE,GET,HEAD"),
        (Method::GET, "/v1/webhooks/x/replays/x/pause", "POST"),
        (Method::GET, "/v1/webhooks/x/replays/x/resume", "POST"),
    ] {
        let response = tenant.request(method, path, None).await;
        assert_error(&response, 405, "method_not_allowed");
        let mut named: Vec<_> = response.headers["allow"]
            .to_str()
            .expect("it is a list")
            .split(',')
            .map(str::trim)
            .collect();
        named.sort_unstable();
        assert_eq!(named.join(","), allowed, "{path}");
    }
}

#[tokio::test]
async fn a_malformed_id_is_404_like_an_unknown_one() {
    let tenant = Tenant::new().await;
    let random = tenant.id.to_string();
    for id in ["x", "1", "%00", "%2e%2e", "a%2Fb", "550e8400e29b41d4a716446655440000", &random] {
        let response = tenant.request(Method::GET, &format!("/v1/webhooks/{id}"), None).await;
        assert_eq!(response.status, 404, "{id}");
    }
}

#[tokio::test]
async fn an_invalid_or_unknown_query_parameter_is_400_and_named() {
    let tenant = Tenant::new().await;
    let id = tenant.create(json!({"url": URL})).await.id;
    let list = "/v1/webhooks".to_owned();
    let one = format!("/v1/webhooks/{id}");
    let rotate = format!("{one}/rotate");
    let previous = format!("{one}/previous-secret");
    for (method, path, query, wrong) in [
        (Method::GET, &list, "page=0", "page"),
        (Method::GET, &list, "page=x", "page"),
        (Method::GET, &list, "per_page=0", "per_page"),
        (Method::GET, &list, "per_page=101", "per_page"),
        (Method::GET, &list, "limit=5", "limit"),
        (Method::GET, &list, "page=1&%1Blimit", "␛limit"),
        (Method::POST, &list, "page=1", "page"),
        (Method::GET, &one, "page=1", "page"),
        (Method::PATCH, &one, "is_active=false", "is_active"),
        (Method::DELETE, &one, "force=true", "force"),
        (Method::POST, &rotate, "overlap_seconds=1", "overlap_seconds"),
        (Method::DELETE, &previous, "force=true", "force"),
    ] {
        let body =
            Some(json!({"url": URL})).filter(|_| matches!(method, Method::POST | Method::PATCH));
        let response = tenant.request(method, &format!("{path}?{query}"), body).await;
        assert_error(&response, 400, "invalid_parameter");
        assert_eq!(super::keys(&response.body["details"]), [wrong].into(), "{path}?{query}");
    }
    assert_eq!(tenant.request(Method::GET, &list, None).await.body["total"], 1);
}

#[tokio::test]
async fn a_malformed_header_or_a_too_long_query_gets_a_json_error() {
    let tenant = Tenant::new().await;
    for value in [&b"caf\xc3\xa9"[..], b"\xe9", b"a\tb"] {
        let value = HeaderValue::from_bytes(value).expect("HTTP allows it");
        let request = tenant.unsent(Method::GET, "/v1/webhooks").header("X-Odd", value);
        let response = Tenant::send(request.bearer_auth(&tenant.key)).await;
        assert_error(&response, 400, "malformed_header");
        assert_eq!(super::keys(&response.body["details"]), ["x-odd"].into());
    }
    let query = |length| format!("/v1/webhooks?{}", "x".repeat(length));
    let response = tenant.request(Method::GET, &query(8 * 1024 + 1), None).await;
    assert_error(&response, 414, "query_too_long");
    let response = tenant.request(Method::GET, &query(8 * 1024), None).await;
    assert_error(&response, 400, "invalid_parameter");
    assert_eq!(super::keys(&response.body["details"]), [&*"x".repeat(64)].into());
}

#[tokio::test]
async fn each_kind_of_bad_body_has_its_own_error() {
    let tenant = Tenant::new().await;
    let json_type = Some("application/json");
    let valid = json!({"url": URL}).to_string();
    let large = json!({"url": URL, "pad": "x".repeat(16 * 1024)}).to_string();
    for (content_type, body, status, code) in [
        (json_type, "{", 400, "invalid_json"),
        (json_type, "", 400, "invalid_json"),
        (json_type, "\u{0}", 400, "invalid_json"),
        (json_type, "[]", 422, "validation_error"),
        (
            json_type,
            r#"{"url": "https://hooks.invalid/", "url": "https://hooks.invalid/"}"#,
            422,
            "validation_error",
        ),
        (json_type, "7", 422, "validation_error"),
        (json_type, &large, 413, "body_too_large"),
        (None, &valid, 415, "unsupported_media_type"),
        (Some("text/plain"), &valid, 415, "unsupported_media_type"),
        (Some("application/x-www-form-urlencoded"), "url=x", 415, "unsupported_media_type"),
    ] {
        let response = create_raw(&tenant, content_type, body.to_owned()).await;
        assert_error(&response, status, code);
    }
    // A route that needs no body refuses a large one too.
    let rotate = tenant.unsent(Method::POST, "/v1/webhooks/x/rotate").bearer_auth(&tenant.key);
    assert_error(&Tenant::send(rotate.body(large)).await, 413, "body_too_large");
    assert_eq!(tenant.request(Method::GET, "/v1/webhooks", None).await.body["total"], 0);
}

#[tokio::test]
async fn a_field_with_one_of_serde_jsons_private_names_is_an_unknown_field() {
    let tenant = Tenant::new().await;
    let hidden = json!({"$serde_json::private::RawValue": json!({"url": URL}).to_string()});
    let request = tenant.unsent(Method::POST, "/v1/webhooks").bearer_auth(&tenant.key);
    let request = request.header("Content-Type", "application/json").body(hidden.to_string());
    let response = request.send().await.expect("the API responds");
    assert_eq!(response.status(), 422);
    // Compared as text: parsing it into a `Value` would interpret the private name again.
    let body = response.text().await.expect("the response is text");
    assert!(
        body.contains(
            r#"{"$serde_json::private::RawValue":"is not a known field","url":"is required"}"#
        ),
        "{body}"
    );
    assert_eq!(tenant.request(Method::GET, "/v1/webhooks", None).await.body["total"], 0);
}

#[tokio::test]
async fn an_invalid_field_is_422_and_named_and_changes_nothing() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let before = tenant.request(Method::GET, &path, None).await.body;
    let long = format!("https://example.com/{}", "a".repeat(2048));
    let cases: [(&str, Value); 16] = [
        ("url", json!(7)),
        ("url", json!("")),
        ("url", json!("no url")),
        ("url", json!("ftp://example.com/")),
        ("url", json!("https://user:pw@example.com/")),
        ("url", json!("https://example.com/#part")),
        ("url", json!("https://10.0.0.1/")),
        ("url", json!(long)),
        ("events", json!([])),
        ("events", json!(["document.deleted"])),
        ("events", json!(["document.uploaded", "document.uploaded"])),
        ("is_active", json!("yes")),
        ("retry_enabled", json!(1)),
        ("max_retries", json!(11)),
        ("max_retries", json!(2.5)),
        ("signing_secret", json!("whsec_mine")),
    ];
    for (field, value) in cases {
        let change = json!({"is_active": false, field: value});
        let response = tenant.request(Method::PATCH, &path, Some(change)).await;
        assert_error(&response, 422, "validation_error");
        assert_eq!(super::keys(&response.body["details"]), [field].into(), "{value}");
        let mut fields = json!({"url": URL});
        fields[field] = value;
        let response = tenant.request(Method::POST, "/v1/webhooks", Some(fields)).await;
        assert_error(&response, 422, "validation_error");
    }
    assert_eq!(tenant.request(Method::GET, &path, None).await.body, before);
    assert_eq!(tenant.request(Method::GET, "/v1/webhooks", None).await.body["total"], 1);
}
