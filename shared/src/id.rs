//! Identifiers. Each has its own type, so the compiler finds two that are swapped. Each is parsed once, at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::{Builder, Uuid};

use crate::schema;
use crate::text;
use crate::timestamp::Timestamp;

/// Returned for text that is not a hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID; expected the form 550e8400-e29b-41d4-a716-446655440000")]
pub struct InvalidId;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A UUID of version 4.
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hyphenated(text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                let mut buffer = Uuid::encode_buffer();
                id.0.hyphenated().encode_lower(&mut buffer).to_owned()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut buffer = Uuid::encode_buffer();
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::deserialize(deserializer)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema::text("uuid")
            }
        }

        impl ToSchema for $name {}
    };
}

uuid_id! {
    /// A customer of DocIntell; the partition key of everything that the customer owns.
    TenantId
}
uuid_id! {
    /// A webhook configuration (`webhook_config_id` in the public API).
    WebhookId
}
uuid_id! {
    /// One event (`webhook-id` header); the same for every webhook that receives it.
    EventId
}
uuid_id! {
    /// One event on its way to one webhook (`X-DocIntell-Delivery` header).
    DeliveryId
}
uuid_id! {
    /// A replay of a webhook's deliveries.
    ReplayId
}
uuid_id! {
    /// One function's claim of a slice of a replay.
    ClaimId
}
uuid_id! {
    /// A row of a webhook's history.
    ChangeId
}
uuid_id! {
    /// Identifies an API key; not secret, safe to show and log.
    KeyId
}

impl EventId {
    /// The id of a stream record's event. A record that is processed twice gives the same id.
    ///
    /// `record_id` is the stream's `eventID`, unique per record and the same when the record is read again. `at`
    /// becomes the time in the `UUIDv7`.
    #[must_use]
    pub fn of_record(record_id: &str, at: Timestamp) -> Self {
        Self(deterministic_v7(at.unix_millis(), &[b"event", record_id.as_bytes()]))
    }
}

impl ReplayId {
    /// A random id that contains the time `at`, so that ids are in the order of their times.
    #[must_use]
    pub(crate) fn at(at: Timestamp) -> Self {
        Self(random_v7(at.unix_millis()))
    }

    /// The time in the id.
    #[must_use]
    pub(crate) fn time(self) -> Timestamp {
        Timestamp::from_unix_millis(v7_millis(self.0))
    }
}

impl ChangeId {
    /// A random id that contains the time `at`, so that ids are in the order of their times.
    #[must_use]
    pub(crate) fn at(at: Timestamp) -> Self {
        Self(random_v7(at.unix_millis()))
    }
}

impl DeliveryId {
    /// The same event and webhook always give the same id; it contains the event's time.
    #[must_use]
    pub(crate) fn of(event: EventId, webhook: WebhookId) -> Self {
        Self(deterministic_v7(
            v7_millis(event.0),
            &[b"delivery", event.0.as_bytes(), webhook.0.as_bytes()],
        ))
    }

    /// The time in the id: when the stream recorded the change that caused the delivery.
    #[must_use]
    pub fn created_at(self) -> Timestamp {
        Timestamp::from_unix_millis(v7_millis(self.0))
    }

    /// The lowest of all ids.
    pub(crate) const LOWEST: Self = Self(Uuid::nil());
    /// The highest of all ids.
    pub(crate) const HIGHEST: Self = Self(Uuid::max());

    /// The id that follows this one in the order of ids.
    #[must_use]
    pub(crate) fn next(self) -> Option<Self> {
        self.0.as_u128().checked_add(1).map(|next| Self(Uuid::from_u128(next)))
    }

    /// The id before this one in the order of ids.
    #[must_use]
    pub(crate) fn previous(self) -> Option<Self> {
        self.0.as_u128().checked_sub(1).map(|previous| Self(Uuid::from_u128(previous)))
    }

    /// The lowest id that a delivery created at `at` can have.
    #[must_use]
    pub fn first_at(at: Timestamp) -> Self {
        Self(Builder::from_unix_timestamp_millis(at.unix_millis(), &[0; 10]).into_uuid())
    }

    /// The highest id that a delivery created at `at` can have.
    #[must_use]
    pub fn last_at(at: Timestamp) -> Self {
        Self(Builder::from_unix_timestamp_millis(at.unix_millis(), &[0xff; 10]).into_uuid())
    }
}

/// A webhook together with its owner. As text, `<tenant_id>/<webhook_config_id>`: the partition key of everything that
/// is stored for a webhook, so that no read can reach another tenant's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookKey {
    /// The owner.
    pub tenant_id: TenantId,
    /// The webhook.
    pub webhook_id: WebhookId,
}

impl fmt::Display for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant_id, self.webhook_id)
    }
}

impl FromStr for WebhookKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (tenant, webhook) = text.split_once('/').ok_or(InvalidId)?;
        Ok(Self { tenant_id: tenant.parse()?, webhook_id: webhook.parse()? })
    }
}

impl Serialize for WebhookKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WebhookKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}

/// A `UUIDv7` (RFC 9562, section 5.7) whose random bits are a hash of `seed`.
fn deterministic_v7(millis: u64, seed: &[&[u8]]) -> Uuid {
    let mut hasher = Sha256::new();
    for part in seed {
        // The length prefix keeps different seeds from giving the same bytes.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn random_v7(millis: u64) -> Uuid {
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::new_v4().as_bytes()[6..]);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn v7_millis(id: Uuid) -> u64 {
    u64::try_from(id.as_u128() >> 80).unwrap_or(u64::MAX)
}

/// Accepts only the 36-character form, so an id has only one spelling.
fn parse_hyphenated(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != 36 {
        return Err(InvalidId);
    }
    text.parse().map_err(|_malformed| InvalidId)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> EventId {
        EventId::of_record(
            "c81e728d9d4c2f636f067f89cc14862c",
            Timestamp::from_unix_millis(1_764_757_800_000),
        )
    }

    #[test]
    fn the_same_record_gives_the_same_ids() {
        let webhook = WebhookId::random();
        assert_eq!(event(), event());
        assert_eq!(DeliveryId::of(event(), webhook), DeliveryId::of(event(), webhook));
    }

    #[test]
    fn two_webhooks_get_different_deliveries_of_one_event() {
        assert_ne!(
            DeliveryId::of(event(), WebhookId::random()),
            DeliveryId::of(event(), WebhookId::random())
        );
    }

    #[test]
    fn an_event_id_is_a_version_7_uuid_with_the_events_time() {
        assert_eq!(event().0.get_version_num(), 7);
        assert_eq!(v7_millis(event().0), 1_764_757_800_000);
        let delivery = DeliveryId::of(event(), WebhookId::random());
        assert_eq!(delivery.created_at().to_string(), "2025-12-03T10:30:00Z");
    }

    #[test]
    fn replay_ids_are_random_and_in_the_order_of_their_times() {
        let at =
            |millis: u64| ReplayId::at(Timestamp::from_unix_millis(1_764_757_800_000 + millis));
        assert_ne!(at(0), at(0));
        assert!(at(0) < at(1) && at(0).to_string() < at(1).to_string());
        assert_eq!(at(5).time().to_string(), "2025-12-03T10:30:00.005Z");
        assert_eq!(at(5).0.get_version_num(), 7);
    }

    #[test]
    fn the_ids_of_one_millisecond_lie_between_its_first_and_its_last() {
        let at = Timestamp::from_unix_millis(1_764_757_800_000);
        let id = DeliveryId::of(event(), WebhookId::random()).to_string();
        let next = Timestamp::from_unix_millis(1_764_757_800_001);
        let (first, last) = (DeliveryId::first_at(at), DeliveryId::last_at(at));
        assert!(first.to_string() <= id && id <= last.to_string(), "{first} {id} {last}");
        assert!(last.to_string() < DeliveryId::first_at(next).to_string());
        assert_eq!((first.created_at(), last.created_at()), (at, at));
    }

    #[test]
    fn a_webhook_key_is_read_as_it_is_written() {
        let key = WebhookKey { tenant_id: TenantId::random(), webhook_id: WebhookId::random() };
        assert_eq!(key.to_string().parse(), Ok(key));
        for text in ["", "/", &key.tenant_id.to_string(), &format!("{key}/"), &format!("/{key}")] {
            assert_eq!(text.parse::<WebhookKey>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        assert!("550e8400-e29b-41d4-a716-446655440000".parse::<WebhookId>().is_ok());
        for text in [
            "",
            "550e8400e29b41d4a716446655440000",
            "{550e8400-e29b-41d4-a716-446655440000}",
            "not-a-uuid",
        ] {
            assert_eq!(text.parse::<WebhookId>(), Err(InvalidId), "{text}");
        }
    }
}
