//! `docintell keys rotate`: replaces a key by a new one, and lets the old one work for some days.
//!
//! The rule: a key is replaced once. Its replacement has the same tenant, name and prefix, and lives as long as the old
//! key was made to live.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use webhooks::id::{KeyId, TenantId};
use webhooks::secret::ApiKey;
use webhooks::store::ApiKeyStore;
use webhooks::store::api_keys::{ApiKeyRecord, KeyStatus};
use webhooks::timestamp::Timestamp;

/// When the two keys of a rotation end.
#[derive(Debug, PartialEq, Eq)]
struct Ends {
    old: Timestamp,
    new: Option<Timestamp>,
}

impl Ends {
    /// The old key ends after `grace`, or at its own expiry if that is earlier.
    fn of(old: &ApiKeyRecord, grace: Duration, now: Timestamp) -> Result<Self> {
        let ApiKeyRecord { key_id, expires_at, .. } = *old;
        if old.status == KeyStatus::Revoked {
            bail!("key {key_id} is revoked: create a new one with `keys create`");
        }
        if let Some(new) = old.replaced_by {
            bail!(
                "key {key_id} has already been replaced by key {new}: rotate that one, or revoke it and \
                 create another with `keys create`"
            );
        }
        if let Some(end) = expires_at.filter(|end| *end <= now) {
            bail!("key {key_id} expired at {end}: create a new one with `keys create`");
        }
        let after_grace = now.plus(grace);
        Ok(Self {
            old: expires_at.map_or(after_grace, |end| end.min(after_grace)),
            new: expires_at.map(|end| now.plus(end.since(old.created_at))),
        })
    }
}

/// The new key, its record, and when the old key ends.
pub(super) async fn rotate(
    keys: &ApiKeyStore,
    tenant_id: TenantId,
    key_id: KeyId,
    grace: Duration,
) -> Result<(ApiKey, ApiKeyRecord, Timestamp)> {
    let Some(old) = keys.by_id(tenant_id, key_id).await? else {
        bail!("tenant {tenant_id} has no key {key_id}: see `keys list`");
    };
    let ends = Ends::of(&old, grace, Timestamp::now())?;
    let (key, record) = super::generate(tenant_id, &old.name, old.environment, ends.new)?;
    let replaced = keys.replace(&old, ends.old, &record).await.with_context(|| {
        let new = record.key_id;
        format!(
            "the rotation may have failed: if `keys list` shows key {new}, revoke it, and create another \
             with `keys create`"
        )
    })?;
    if !replaced {
        bail!("key {key_id} has just been revoked or replaced: see `keys list`");
    }
    Ok((key, record, ends.old))
}

#[cfg(test)]
mod tests {
    use webhooks::secret::KeyEnvironment;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(day: u64) -> Timestamp {
        Timestamp::from_unix_millis(day * 86_400_000)
    }

    /// A key that was created on day 10.
    fn key(expires_at: Option<Timestamp>) -> ApiKeyRecord {
        let (_, record) =
            super::super::generate(TenantId::random(), "n", KeyEnvironment::Live, expires_at)
                .unwrap();
        ApiKeyRecord { created_at: at(10), ..record }
    }

    #[test]
    fn the_old_key_ends_after_the_grace_period_or_at_its_own_earlier_expiry() {
        for (expires_at, grace, old) in
            [(None, 7, 27), (Some(at(22)), 7, 22), (Some(at(50)), 7, 27), (None, 0, 20)]
        {
            let ends = Ends::of(&key(expires_at), DAY * grace, at(20)).unwrap();
            assert_eq!(ends.old, at(old), "{expires_at:?}, {grace}");
        }
    }

    #[test]
    fn the_new_key_lives_as_long_as_the_old_one_was_made_to_live() {
        for (expires_at, new) in [(None, None), (Some(at(40)), Some(at(50)))] {
            let ends = Ends::of(&key(expires_at), DAY * 7, at(20)).unwrap();
            assert_eq!(ends.new, new);
        }
    }

    #[test]
    fn a_key_that_is_revoked_expired_or_replaced_cannot_be_rotated() {
        let (active, new) = (key(None), KeyId::random());
        let old = active.key_id;
        let revoked = ApiKeyRecord { status: KeyStatus::Revoked, ..active.clone() };
        let expired = ApiKeyRecord { expires_at: Some(at(20)), ..active.clone() };
        let replaced =
            ApiKeyRecord { replaced_by: Some(new), expires_at: Some(at(19)), ..active.clone() };
        for (key, sentence) in [
            (ApiKeyRecord { replaced_by: Some(new), ..revoked }, format!("key {old} is revoked: ")),
            (expired, format!("key {old} expired at 1970-01-21T00:00:00Z: ")),
            (
                replaced,
                format!("key {old} has already been replaced by key {new}: rotate that one"),
            ),
        ] {
            let error = Ends::of(&key, DAY, at(20)).unwrap_err().to_string();
            assert!(error.starts_with(&sentence), "{error}");
            assert!(error.contains("with `keys create`"), "{error}");
        }
        assert!(Ends::of(&active, DAY, at(20)).is_ok());
    }
}
