//! `docintell keys rotate`: two keys for a time, then one.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use docintell::keys;
use reqwest::Method;
use webhooks::id::TenantId;
use webhooks::secret::{ApiKey, KeyEnvironment};
use webhooks::store::ApiKeyStore;
use webhooks::store::api_keys::ApiKeyRecord;
use webhooks::timestamp::Timestamp;

use crate::support::operator::{Ended, Operator};
use crate::support::tenant::Tenant;
use crate::support::world::World;

const DAY: Duration = Duration::from_hours(24);

/// A tenant with one key and the operator who rotates it.
struct Rotating {
    operator: Operator,
    tenant: Tenant,
    store: ApiKeyStore,
}

impl Rotating {
    async fn new() -> Self {
        let (world, tenant) = (World::get(), Tenant::new().await);
        let store = keys::store(&world.aws(), &world.info().outputs.api_keys_table);
        Self { operator: Operator::new().await, tenant, store }
    }

    async fn run(&self, command: &str, tenant: TenantId) -> Ended {
        let words: Vec<&str> = command.split(' ').collect();
        let tenant = tenant.to_string();
        self.operator.run(&[&["keys"], &words[..], &["--tenant-id", &tenant]].concat()).await
    }

    /// Rotates `key`; returns the new one.
    async fn rotate(&self, key: &str, options: &str) -> String {
        let command = format!("rotate {}{options}", self.record(key).await.key_id);
        let ended = self.run(&command, self.tenant.id).await.succeeded();
        let new = ended.printed.trim_end().to_owned();
        World::get().keep_secret(&new);
        assert_eq!(ended.printed, format!("{new}\n"), "only the key is on standard output");
        assert!(!ended.noted.contains(&new), "{ended:?}");
        new
    }

    /// The sentence with which the command refuses to rotate the key.
    async fn refusal(&self, key: &str) -> String {
        let command = format!("rotate {}", self.record(key).await.key_id);
        let refused = self.run(&command, self.tenant.id).await.failed();
        assert_eq!(refused.printed, "");
        refused.noted
    }

    async fn record(&self, key: &str) -> ApiKeyRecord {
        let key = ApiKey::parse(key).expect("it is a key");
        self.store.find(&key).await.expect("the table can be read").expect("the key is stored")
    }

    /// The statuses of requests with these keys.
    async fn statuses<const N: usize>(&self, keys: [&str; N]) -> [u16; N] {
        let mut statuses = [0; N];
        for (status, key) in statuses.iter_mut().zip(keys) {
            let request = self.tenant.unsent(Method::GET, "/v1/webhooks").bearer_auth(key);
            *status = Tenant::send(request).await.status;
        }
        statuses
    }

    /// Moves the key's expiry to now.
    async fn let_expire(&self, key: &str) {
        let world = World::get();
        aws_sdk_dynamodb::Client::new(&world.aws())
            .update_item()
            .table_name(&world.info().outputs.api_keys_table)
            .key("key_hash", AttributeValue::S(self.record(key).await.key_hash))
            .update_expression("SET expires_at = :now")
            .condition_expression("attribute_exists(expires_at)")
            .expression_attribute_values(":now", AttributeValue::S(Timestamp::now().to_string()))
            .send()
            .await
            .expect("the key has an expiry");
    }
}

#[tokio::test]
async fn both_keys_work_until_the_old_one_ends_after_seven_days() {
    let rotating = Rotating::new().await;
    let old = rotating.tenant.key.clone();
    let before = Timestamp::now();
    let new = rotating.rotate(&old, "").await;
    assert_eq!(rotating.statuses([&old, &new]).await, [200, 200]);

    let (replaced, record) = (rotating.record(&old).await, rotating.record(&new).await);
    let end = replaced.expires_at.expect("the old key ends");
    assert!((before.plus(DAY * 7)..=Timestamp::now().plus(DAY * 7)).contains(&end), "{end}");
    assert_eq!(replaced.replaced_by, Some(record.key_id));
    assert_eq!((record.tenant_id, record.expires_at), (rotating.tenant.id, None));
    assert_eq!((&record.name, record.environment), (&replaced.name, replaced.environment));
    assert_ne!(record.key_id, replaced.key_id);
    let listed = rotating.run("list", rotating.tenant.id).await.succeeded().printed;
    let state = format!("active until {end}, replaced by {}", record.key_id);
    assert!(listed.contains(&state) && listed.lines().count() == 3, "{listed}");

    rotating.let_expire(&old).await;
    assert_eq!(rotating.statuses([&old, &new]).await, [401, 200]);
}

#[tokio::test]
async fn without_a_grace_period_the_old_key_ends_at_once() {
    let rotating = Rotating::new().await;
    let old = rotating.tenant.key.clone();
    let new = rotating.rotate(&old, " --grace-days 0").await;
    assert_eq!(rotating.statuses([&old, &new]).await, [401, 200]);
}

#[tokio::test]
async fn a_key_with_an_earlier_expiry_keeps_it_and_the_new_one_lives_as_long() {
    let rotating = Rotating::new().await;
    let end = Timestamp::now().plus(DAY * 3);
    let tenant = rotating.tenant.id;
    let (old, _) = keys::create(&rotating.store, tenant, "n", KeyEnvironment::Live, Some(end))
        .await
        .expect("a key can be created");
    let new = rotating.rotate(old.expose(), "").await;
    assert!(new.starts_with("dk_live_"), "the prefix stays");
    assert_eq!(rotating.record(old.expose()).await.expires_at, Some(end));
    let new_end = rotating.record(&new).await.expires_at.expect("the new key ends too");
    assert!(end < new_end && new_end <= Timestamp::now().plus(DAY * 3), "{new_end}");
}

#[tokio::test]
async fn a_rotated_key_is_not_rotated_again_but_its_replacement_is() {
    let rotating = Rotating::new().await;
    let first = rotating.tenant.key.clone();
    let second = rotating.rotate(&first, "").await;
    let sentence = rotating.refusal(&first).await;
    let successor = rotating.record(&second).await.key_id.to_string();
    assert!(sentence.contains("has already been replaced by") && sentence.contains(&successor));
    let third = rotating.rotate(&second, "").await;
    assert_eq!(rotating.statuses([&first, &second, &third]).await, [200, 200, 200]);
}

#[tokio::test]
async fn a_revoked_or_expired_key_cannot_be_rotated_and_no_key_is_made() {
    let rotating = Rotating::new().await;
    let (tenant, store) = (rotating.tenant.id, &rotating.store);
    let soon = Some(Timestamp::now().plus(DAY));
    let (expired, _) = keys::create(store, tenant, "n", KeyEnvironment::Test, soon)
        .await
        .expect("a key can be created");
    rotating.let_expire(expired.expose()).await;
    let sentence = rotating.refusal(expired.expose()).await;
    assert!(sentence.contains(" expired at ") && sentence.contains("keys create"), "{sentence}");

    let key_id = rotating.record(&rotating.tenant.key).await.key_id;
    rotating.run(&format!("revoke {key_id}"), tenant).await.succeeded();
    let sentence = rotating.refusal(&rotating.tenant.key).await;
    assert!(sentence.contains("is revoked: create a new one"), "{sentence}");
    assert_eq!(store.list(tenant).await.expect("the table can be read").len(), 2);
}

#[tokio::test]
async fn an_unknown_key_and_another_tenants_key_are_not_rotated() {
    let rotating = Rotating::new().await;
    let owner = rotating.tenant.id;
    let key_id = rotating.record(&rotating.tenant.key).await.key_id;
    let stranger = Tenant::new().await.id;
    for (tenant, key_id) in [(owner, webhooks::id::KeyId::random()), (stranger, key_id)] {
        let refused = rotating.run(&format!("rotate {key_id}"), tenant).await.failed();
        let sentence = format!("tenant {tenant} has no key {key_id}: see `keys list`");
        assert!(refused.noted.contains(&sentence) && refused.printed.is_empty(), "{refused:?}");
    }
    let record = rotating.record(&rotating.tenant.key).await;
    assert_eq!((record.expires_at, record.replaced_by), (None, None));
    for tenant in [owner, stranger] {
        assert_eq!(rotating.store.list(tenant).await.expect("the table can be read").len(), 1);
    }
}
