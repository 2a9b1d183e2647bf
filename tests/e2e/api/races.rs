//! Concurrent requests: limits hold, and no row, secret or field is lost.

use std::sync::Arc;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use futures_util::future::join_all;
use harness::status;
use reqwest::Method;
use serde_json::json;
use webhooks::delivery::DeliveryStatus;

use super::URL;
use crate::support::job;
use crate::support::tenant::Tenant;
use crate::support::world::World;

/// The number of signing secrets that Secrets Manager holds for `tenant`.
pub(super) async fn secrets_of(tenant: &Tenant) -> usize {
    let filter = Filter::builder()
        .key(FilterNameStringType::Name)
        .values(format!("docintell-webhooks/{}/", tenant.id))
        .build();
    aws_sdk_secretsmanager::Client::new(&World::get().aws())
        .list_secrets()
        .filters(filter)
        .max_results(100)
        .send()
        .await
        .expect("the secrets can be listed")
        .secret_list
        .unwrap_or_default()
        .len()
}

#[tokio::test]
async fn the_webhook_limit_holds_under_concurrent_creates_and_leaves_no_extra_secret() {
    let tenant = Arc::new(Tenant::new().await);
    for _ in 0..47 {
        tenant.create(json!({"url": URL})).await;
    }
    let create =
        async || tenant.request(Method::POST, "/v1/webhooks", Some(json!({"url": URL}))).await;
    let responses = join_all((0..8).map(|_| create())).await;
    let created = responses.iter().filter(|response| response.status == 201).count();
    assert_eq!(created, 3, "{:?}", responses.iter().map(|it| it.status).collect::<Vec<_>>());
    let refused =
        responses.iter().find(|response| response.status != 201).expect("five were refused");
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("webhook_limit_reached")));
    assert_eq!(tenant.request(Method::GET, "/v1/webhooks", None).await.body["total"], 50);
    assert_eq!(secrets_of(&tenant).await, 50);
}

#[tokio::test]
async fn deleting_webhooks_makes_room_under_the_limit() {
    let tenant = Tenant::new().await;
    for _ in 0..3 {
        let hook = tenant.create(json!({"url": URL})).await;
        let path = format!("/v1/webhooks/{}", hook.id);
        assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 204);
        assert_eq!(tenant.request(Method::DELETE, &path, None).await.status, 404);
    }
    assert_eq!(secrets_of(&tenant).await, 0);
    for _ in 0..50 {
        tenant.create(json!({"url": URL})).await;
    }
}

#[tokio::test]
async fn concurrent_updates_of_different_fields_are_all_kept() {
    let tenant = Tenant::new().await;
    let hook = tenant.create(json!({"url": URL})).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let changes = [
        json!({"is_active": false}),
        json!({"max_retries": 9}),
        json!({"retry_enabled": false}),
        json!({"events": ["document.uploaded"]}),
        json!({"url": "https://other.invalid/"}),
    ];
    let requests = changes.iter().map(|it| tenant.request(Method::PATCH, &path, Some(it.clone())));
    let rotate = format!("{path}/rotate");
    let rotation = tenant.request(Method::POST, &rotate, None);
    let (responses, rotated) = tokio::join!(join_all(requests), rotation);
    assert!(responses.iter().all(|response| response.status == 200));
    assert_eq!(rotated.status, 200);

    let after = tenant.request(Method::GET, &path, None).await.body;
    for change in &changes {
        for (field, value) in change.as_object().expect("it is an object") {
            assert_eq!(&after[field], value, "{field}");
        }
    }
}

#[tokio::test]
async fn concurrent_rotations_sign_with_a_returned_secret_and_a_conflict_returns_none() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let path = format!("/v1/webhooks/{}/rotate", hook.id);
    let responses = join_all((0..6).map(|_| tenant.request(Method::POST, &path, None))).await;
    assert!(responses.iter().all(|response| matches!(response.status, 200 | 409)));
    for conflict in responses.iter().filter(|response| response.status == 409) {
        assert_eq!(conflict.body["error"], "rotation_conflict");
        assert!(conflict.body.get("signing_secret").is_none());
    }
    let returned: Vec<_> =
        responses.iter().filter_map(|response| response.body["signing_secret"].as_str()).collect();

    job::upload(tenant.id).await;
    let arrival = receiver.wait_for(1).await.remove(0);
    assert!(returned.iter().any(|secret| arrival.is_signed_with(secret)));
    // Two secrets are in force, each in turn. A caller knows both.
    let known = returned.iter().copied().chain([hook.secret.as_str()]);
    let in_force = known.filter(|secret| arrival.passes_standard_webhooks(secret)).count();
    assert_eq!(in_force, 2, "{} rotations", returned.len());
    tenant.delivery(&hook, DeliveryStatus::Delivered).await;
}

#[tokio::test]
async fn the_webhook_shows_an_overlap_exactly_if_two_secrets_sign_after_concurrent_changes() {
    let (tenant, receiver, hook) = Tenant::subscribed(status(200)).await;
    let path = format!("/v1/webhooks/{}", hook.id);
    let (rotate, previous) = (format!("{path}/rotate"), format!("{path}/previous-secret"));
    let mut known = vec![hook.secret.clone()];
    for round in 1..=4 {
        let (rotations, ends) = tokio::join!(
            join_all((0..3).map(|_| tenant.request(Method::POST, &rotate, None))),
            join_all((0..3).map(|_| tenant.request(Method::DELETE, &previous, None))),
        );
        assert!(rotations.iter().all(|response| matches!(response.status, 200 | 409)));
        assert!(ends.iter().all(|response| matches!(response.status, 204 | 409)));
        let secrets = rotations.iter().filter_map(|it| it.body["signing_secret"].as_str());
        known.extend(secrets.map(str::to_owned));

        let shown = tenant.request(Method::GET, &path, None).await.body;
        job::upload(tenant.id).await;
        let arrival = receiver.wait_for(round).await.remove(round - 1);
        let in_force = known.iter().filter(|it| arrival.passes_standard_webhooks(it)).count();
        let expected = if shown["previous_secret_expires_at"].is_null() { 1 } else { 2 };
        assert_eq!(in_force, expected, "round {round}");
        assert!(known.iter().any(|secret| arrival.is_signed_with(secret)), "round {round}");
    }
}

#[tokio::test]
async fn updates_and_rotations_that_race_a_delete_leave_no_row_and_no_secret() {
    let tenant = Tenant::new().await;
    for _ in 0..5 {
        let hook = tenant.create(json!({"url": URL})).await;
        let path = format!("/v1/webhooks/{}", hook.id);
        let rotate = format!("{path}/rotate");
        let change = || tenant.request(Method::PATCH, &path, Some(json!({"max_retries": 1})));
        let rotate_once = || tenant.request(Method::POST, &rotate, None);
        let (deleted, updates, rotations) = tokio::join!(
            tenant.request(Method::DELETE, &path, None),
            join_all((0..3).map(|_| change())),
            join_all((0..3).map(|_| rotate_once())),
        );
        assert_eq!(deleted.status, 204);
        for response in updates.iter().chain(&rotations) {
            assert!(matches!(response.status, 200 | 404 | 409), "{:?}", response.body);
        }
        assert_eq!(tenant.request(Method::GET, &path, None).await.status, 404);
    }
    assert_eq!(secrets_of(&tenant).await, 0);
    assert_eq!(tenant.request(Method::GET, "/v1/webhooks", None).await.body["total"], 0);
}
