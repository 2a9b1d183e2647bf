//! Requests for deliveries that are refused and change nothing.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use webhooks::delivery::DeliveryStatus::Failed;

use super::{found, get, page, path};
use crate::api::errors::assert_error;
use crate::api::{URL, keys};
use crate::support::logged::{Logged, log};
use crate::support::tenant::Tenant;

#[tokio::test]
async fn deliveries_of_another_webhook_or_tenant_cannot_be_seen_or_retried() {
    let (owner, stranger) = (Tenant::new().await, Tenant::new().await);
    let hook = owner.create(json!({"url": URL})).await;
    let sibling = owner.create(json!({"url": URL})).await;
    let own = stranger.create(json!({"url": URL})).await;
    let failed: Vec<_> = (1..=3).map(|second| Logged::at(second, Failed)).collect();
    let ids = log(&owner, &hook, &failed).await;
    let (_, cursor) = page(&owner, &hook, "limit=1").await;
    let cursor = cursor.expect("there are more");

    for (tenant, hook, code) in [
        (&stranger, &hook, "webhook_not_found"),
        (&stranger, &own, "delivery_not_found"),
        (&owner, &sibling, "delivery_not_found"),
    ] {
        let one = format!("{}/{}", path(hook), ids[0]);
        for (method, path) in [(Method::GET, one.clone()), (Method::POST, format!("{one}/retry"))] {
            let response = tenant.request(method, &path, None).await;
            assert_error(&response, 404, code);
        }
    }
    assert_error(&get(&stranger, &path(&hook)).await, 404, "webhook_not_found");
    let query = format!("cursor={cursor}");
    assert_error(
        &get(&stranger, &format!("{}?{query}", path(&hook))).await,
        404,
        "webhook_not_found",
    );
    assert_eq!(found(&stranger, &own, &query).await, [""; 0]);
    assert_eq!(found(&owner, &sibling, &query).await, [""; 0]);
    assert_eq!(found(&owner, &hook, &query).await.len(), 2);
    assert!(owner.deliveries(&hook).await.iter().all(|row| row.summary.chain == 1));
}

#[tokio::test]
async fn a_deleted_webhook_and_a_malformed_id_have_no_deliveries() {
    let tenant = Tenant::new().await;
    let (kept, deleted) =
        (tenant.create(json!({"url": URL})).await, tenant.create(json!({"url": URL})).await);
    let id = log(&tenant, &deleted, &[Logged::at(1, Failed)]).await.remove(0);
    let one = format!("{}/{id}", path(&deleted));
    assert_eq!(get(&tenant, &one).await.status, 200);
    let webhook = format!("/v1/webhooks/{}", deleted.id);
    assert_eq!(tenant.request(Method::DELETE, &webhook, None).await.status, 204);
    for (method, path) in [
        (Method::GET, path(&deleted)),
        (Method::GET, one.clone()),
        (Method::POST, format!("{one}/retry")),
        (Method::GET, "/v1/webhooks/x/deliveries".to_owned()),
    ] {
        let response = tenant.request(method, &path, None).await;
        assert_error(&response, 404, "webhook_not_found");
    }
    let random = tenant.id.to_string();
    for id in ["x", "%00", "%ff", "550e8400e29b41d4a716446655440000", &random] {
        let one = format!("{}/{id}", path(&kept));
        assert_error(&get(&tenant, &one).await, 404, "delivery_not_found");
        let retry = tenant.request(Method::POST, &format!("{one}/retry"), None).await;
        assert_error(&retry, 404, "delivery_not_found");
    }
}

#[tokio::test]
async fn an_invalid_parameter_of_a_delivery_route_is_400_and_named() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let id = log(&tenant, &hook, &[Logged::at(1, Failed)]).await.remove(0);
    for (query, wrong) in [
        ("status=lost", &["status"][..]),
        ("status=failed&status=failed", &["status"]),
        ("event=document.deleted", &["event"]),
        ("document_id=", &["document_id"]),
        ("job_id=a&job_id=b", &["job_id"]),
        ("since=yesterday", &["since"]),
        ("until=2025-12-03", &["until"]),
        ("since=2025-12-03T10:30:01Z&until=2025-12-03T10:30:00Z", &["since"]),
        ("limit=0", &["limit"]),
        ("limit=101", &["limit"]),
        ("cursor=x", &["cursor"]),
        ("page=1&per_page=x&limit=-1", &["limit", "page", "per_page"]),
    ] {
        let response = get(&tenant, &format!("{}?{query}", path(&hook))).await;
        assert_error(&response, 400, "invalid_parameter");
        assert_eq!(keys(&response.body["details"]), wrong.iter().copied().collect(), "{query}");
    }
    let one = format!("{}/{id}", path(&hook));
    for (method, path) in [(Method::GET, one.clone()), (Method::POST, format!("{one}/retry"))] {
        let response = tenant.request(method, &format!("{path}?limit=1"), None).await;
        assert_error(&response, 400, "invalid_parameter");
        assert_eq!(keys(&response.body["details"]), BTreeSet::from(["limit"]));
    }
    assert_eq!(tenant.deliveries(&hook).await[0].summary.chain, 1);
}
