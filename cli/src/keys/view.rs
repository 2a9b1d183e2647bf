//! Shows API keys: as a table or as JSON. Pure.
//!
//! The rule: only a new key is shown whole, once.

use serde_json::{Value, json};
use webhooks::id::{KeyId, TenantId};
use webhooks::secret::ApiKey;
use webhooks::store::api_keys::{ApiKeyRecord, KeyStatus};
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::columns::Columns;

pub(super) fn table(records: &[ApiKeyRecord], now: Timestamp) -> Columns<5> {
    let mut columns = Columns::new(["key id", "key", "state", "created", "name"]);
    for record in records {
        columns.add(row(record, now));
    }
    columns
}

fn row(record: &ApiKeyRecord, now: Timestamp) -> [String; 5] {
    let state = state(record, now);
    let state = match record.expires_at {
        Some(end) if state == "expired" => format!("expired {end}"),
        Some(end) if state == "active" => format!("active until {end}"),
        _ => state.to_owned(),
    };
    let state = match record.replaced_by {
        Some(new) => format!("{state}, replaced by {new}"),
        None => state,
    };
    let ApiKeyRecord { key_id, environment, created_at, key_suffix, name, .. } = record;
    [
        key_id.to_string(),
        format!("dk_{environment}_…{key_suffix}"),
        state,
        created_at.to_string(),
        printable(name),
    ]
}

/// `active`, `expired` or `revoked`.
fn state(record: &ApiKeyRecord, now: Timestamp) -> &'static str {
    match (record.status, record.expires_at) {
        (KeyStatus::Active, Some(end)) if end <= now => "expired",
        (status, _) => status.as_str(),
    }
}

/// Everything about a key but the key itself and its hash.
pub(super) fn json(record: &ApiKeyRecord, now: Timestamp) -> Value {
    json!({
        "key_id": record.key_id,
        "tenant_id": record.tenant_id,
        "name": record.name,
        "environment": record.environment.as_str(),
        "key_suffix": record.key_suffix,
        "state": state(record, now),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "replaced_by": record.replaced_by,
    })
}

/// A new key, as it is shown once.
pub(super) fn with_key(key: &ApiKey, record: &ApiKeyRecord) -> Value {
    let mut value = json(record, record.created_at);
    value["key"] = key.expose().into();
    value
}

/// A new key that replaces `old`, which ends at `old_ends_at`.
pub(super) fn replacing(mut new: Value, old: KeyId, old_ends_at: Timestamp) -> Value {
    new["replaces"] = json!(old);
    new["replaced_key_expires_at"] = json!(old_ends_at);
    new
}

pub(super) fn revoked(tenant_id: TenantId, key_id: KeyId) -> Value {
    json!({"key_id": key_id, "tenant_id": tenant_id, "state": KeyStatus::Revoked})
}

#[cfg(test)]
mod tests {
    use webhooks::secret::KeyEnvironment;

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    fn new(expires_at: Option<Timestamp>) -> (ApiKey, ApiKeyRecord) {
        let key = ApiKey::generate(KeyEnvironment::Test).unwrap();
        let record = json!({
            "key_hash": key.hash(),
            "tenant_id": "770e8400-e29b-41d4-a716-446655440002",
            "key_id": "550e8400-e29b-41d4-a716-446655440000",
            "name": "laptop",
            "key_suffix": key.suffix(),
            "environment": "test",
            "status": "active",
            "expires_at": expires_at,
            "created_at": at(0),
        });
        (key, serde_json::from_value(record).unwrap())
    }

    #[test]
    fn only_a_new_key_is_shown_whole() {
        let (key, record) = new(Some(at(9)));
        let created = with_key(&key, &record);
        assert_eq!((&created["key"], &created["state"]), (&json!(key.expose()), &json!("active")));
        let listed = json(&record, at(9));
        assert_eq!(listed["state"], "expired");
        assert_eq!(listed["key_id"], "550e8400-e29b-41d4-a716-446655440000");
        for text in [key.expose(), &record.key_hash] {
            assert!(!listed.to_string().contains(text), "{listed}");
        }
    }

    #[test]
    fn a_replacement_names_the_old_key_and_its_end() {
        let (key, record) = new(None);
        let old = KeyId::random();
        let object = replacing(with_key(&key, &record), old, at(9));
        assert_eq!(object["key"], key.expose());
        assert_eq!(object["replaces"], old.to_string());
        assert_eq!(object["replaced_key_expires_at"], "1970-01-01T00:00:09Z");
    }

    #[test]
    fn a_table_has_each_keys_state_and_its_end() {
        let revoked = ApiKeyRecord { status: KeyStatus::Revoked, ..new(Some(at(9))).1 };
        let records = [new(None).1, new(Some(at(9))).1, revoked];
        let lines = |now| table(&records, now).lines().collect::<Vec<_>>();
        assert!(lines(at(8))[1].contains("  active  "), "{:?}", lines(at(8)));
        assert!(lines(at(8))[2].contains("  active until 1970-01-01T00:00:09Z  "));
        assert!(lines(at(9))[2].contains("  expired 1970-01-01T00:00:09Z  "));
        assert!(lines(at(9))[3].contains("  revoked  "));
    }
}
