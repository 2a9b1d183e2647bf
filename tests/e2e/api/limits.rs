//! Rate limits: changes per minute of a tenant, and rotations per day of a key.

use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use webhooks::id::{KeyId, TenantId, WebhookId};
use webhooks::store::rate_limit::{Limit, ROTATIONS_PER_DAY, RateLimitError};
use webhooks::store::{DynamoDb, RateLimiter};
use webhooks::timestamp::Timestamp;

use super::URL;
use crate::permissions::template::Template;
use crate::samples::host;
use crate::support::tenant::Tenant;
use crate::support::world::World;

pub(super) const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// Repeats `attempt` until it begins and ends in the same window. `window` is in milliseconds.
pub(super) async fn within_one<T>(window: u64, attempt: impl AsyncFn() -> T) -> T {
    let now = || Timestamp::now().unix_millis() / window;
    loop {
        let window = now();
        let outcome = attempt().await;
        if now() == window {
            return outcome;
        }
    }
}

fn limiter() -> RateLimiter {
    let world = World::get();
    let table = world.info().outputs.webhooks_table.clone();
    RateLimiter::new(DynamoDb::new(&world.aws()), table)
}

/// Counts a request at `at`, in Unix milliseconds. Returns the seconds to wait if it is over the limit.
async fn take(limiter: &RateLimiter, limit: Limit, at: u64) -> Option<u64> {
    match limiter.take(limit, Timestamp::from_unix_millis(at)).await {
        Ok(()) => None,
        Err(RateLimitError::Exceeded { retry_after_seconds, .. }) => Some(retry_after_seconds),
        Err(error) => panic!("{error:?}"),
    }
}

/// The start of tomorrow, in Unix milliseconds: rows of its windows cannot expire during the test.
fn tomorrow() -> u64 {
    let now = Timestamp::now().unix_millis();
    now - now % DAY + DAY
}

#[tokio::test]
async fn the_templates_limit_of_changes_per_minute_holds_for_each_tenant_separately() {
    let default = spawn_blocking(|| Template::read().default_of("ChangesPerMinute").as_str());
    let default = default.await.expect("the template can be read").expect("it is text");
    let default: u64 = default.parse().expect("it is a number");
    let api = host("api").await;
    let send = async |text: &str, key: &str| {
        let mut event: Value = serde_json::from_str(text).expect("a sample is JSON");
        event["headers"]["authorization"] = format!("Bearer {key}").into();
        event["rawPath"] = format!("/v1/webhooks/{}", WebhookId::random()).into();
        api.invoke(event).await.expect("the function succeeds")
    };
    let update = include_str!("../../../events/api-update.json");
    let get = include_str!("../../../events/api-get.json");
    let (tenant, refused) = within_one(MINUTE, async || {
        let tenant = Tenant::new().await;
        for number in 1..=default {
            assert_eq!(send(update, &tenant.key).await["statusCode"], 404, "change {number}");
        }
        let refused = send(update, &tenant.key).await;
        (tenant, refused)
    })
    .await;
    assert_eq!(refused["statusCode"], 429);
    assert_eq!(send(get, &tenant.key).await["statusCode"], 404, "a read does not count");
    assert_eq!(send(update, &Tenant::new().await.key).await["statusCode"], 404);
}

#[test]
fn the_api_function_gets_its_limit_from_the_templates_parameter() {
    let template = Template::read();
    let function = &template.resource("ApiFunction")["Properties"];
    let value = &function["Environment"]["Variables"]["CHANGES_PER_MINUTE"];
    assert_eq!(value, &json!({"Ref": "ChangesPerMinute"}));
}

#[tokio::test]
async fn a_limit_resets_when_its_window_ends() {
    let limiter = limiter();
    let limit = Limit::Changes { tenant: TenantId::random(), per_minute: 2 };
    let at = tomorrow() + 20_500;
    assert_eq!(take(&limiter, limit, at).await, None);
    assert_eq!(take(&limiter, limit, at).await, None);
    assert_eq!(take(&limiter, limit, at).await, Some(40));
    assert_eq!(take(&limiter, limit, at + 39_499).await, Some(1));
    assert_eq!(take(&limiter, limit, at + 40_000).await, None);
}

#[tokio::test]
async fn a_limit_holds_under_concurrent_requests() {
    let limiter = limiter();
    let tenant = TenantId::random();
    let limit = Limit::Rotations { tenant, webhook: WebhookId::random(), key: KeyId::random() };
    let at = tomorrow();
    let takes = (0..ROTATIONS_PER_DAY + 5).map(|_| take(&limiter, limit, at));
    let refused = futures_util::future::join_all(takes).await.into_iter().flatten().count();
    assert_eq!(refused, 5);
}

#[tokio::test]
async fn a_windows_row_expires_when_the_window_ends() {
    let world = World::get();
    let client = aws_sdk_dynamodb::Client::new(&world.aws());
    let table = &world.info().outputs.webhooks_table;
    let tenant = TenantId::random();
    let at = tomorrow();
    let (start, end) = (at / 1000, at / 1000 + 60);
    take(&limiter(), Limit::Changes { tenant, per_minute: 1 }, at).await;
    let row = client
        .get_item()
        .table_name(table)
        .key("tenant_id", AttributeValue::S(format!("changes#{tenant}")))
        .key("webhook_config_id", AttributeValue::S(start.to_string()))
        .send()
        .await
        .expect("the table answers")
        .item
        .expect("there is a row");
    let described = client.describe_time_to_live().table_name(table).send().await;
    let described = described.expect("the table answers").time_to_live_description;
    let described = described.expect("it has a time to live");
    assert_eq!(described.time_to_live_status, Some(TimeToLiveStatus::Enabled));
    let attribute = described.attribute_name.expect("it names the attribute");
    assert_eq!(row[&attribute], AttributeValue::N(end.to_string()));
}

#[tokio::test]
async fn each_key_has_its_own_rotation_limit() {
    let (first, second, hook) = within_one(DAY, async || {
        let first = Tenant::new().await;
        let hook = first.create(json!({"url": URL})).await;
        let path = format!("/v1/webhooks/{}/rotate", hook.id);
        for number in 1..=ROTATIONS_PER_DAY {
            let rotated = first.request(Method::POST, &path, None).await;
            assert_eq!(rotated.status, 200, "rotation {number}: {:?}", rotated.body);
        }
        let refused = first.request(Method::POST, &path, None).await;
        let second = Tenant::with_id(first.id).await;
        let rotated = second.request(Method::POST, &path, None).await;
        (refused, rotated, hook)
    })
    .await;
    assert_eq!((first.status, &first.body["error"]), (429, &json!("rate_limited")));
    assert_eq!(super::keys(&first.body), ["details", "error", "message"].into());
    let seconds = first.headers["retry-after"].to_str().expect("it is ASCII").parse::<u64>();
    assert!((1..=DAY / 1000).contains(&seconds.expect("it is a number")));
    assert_eq!((second.status, &second.body["webhook_config_id"]), (200, &json!(hook.id)));
}
