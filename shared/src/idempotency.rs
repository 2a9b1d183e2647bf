//! A request that takes effect once, however often it is sent.
//!
//! The rule: of the `Idempotency-Key` and the body, only hashes are kept.

use base16ct::lower::encode_string as hex;
use sha2::{Digest as _, Sha256};

/// Maximum characters of an `Idempotency-Key`.
pub const MAX_KEY_CHARS: usize = 255;

/// The key and the body of a request, as hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// Lower-case hex SHA-256 of the key.
    pub(crate) key_hash: String,
    /// Lower-case hex SHA-256 of the body's bytes.
    pub(crate) body_hash: String,
}

/// The text is empty or too long, or has a space or another character that is not visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_KEY_CHARS} visible ASCII characters, given once")]
pub struct InvalidIdempotencyKey;

impl IdempotentRequest {
    /// Checks the key.
    pub fn new(key: &str, body: &[u8]) -> Result<Self, InvalidIdempotencyKey> {
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || !(1..=MAX_KEY_CHARS).contains(&key.len()) {
            return Err(InvalidIdempotencyKey);
        }
        let [key_hash, body_hash] = [key.as_bytes(), body].map(|text| hex(&Sha256::digest(text)));
        Ok(Self { key_hash, body_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        let every: String = ('!'..='~').collect();
        for key in [
            "x",
            ",",
            "a,b",
            "a,a",
            "550e8400-e29b-41d4-a716-446655440000",
            &every,
            &"k".repeat(255),
        ] {
            assert!(IdempotentRequest::new(key, b"").is_ok(), "{key}");
        }
        for key in ["", " ", "a b", "a, a", "\t", "\u{7f}", "é", &"k".repeat(256)] {
            assert_eq!(IdempotentRequest::new(key, b""), Err(InvalidIdempotencyKey), "{key:?}");
        }
    }

    #[test]
    fn only_the_same_key_and_the_same_bytes_have_the_same_hashes() {
        let request = |key, body: &str| IdempotentRequest::new(key, body.as_bytes()).unwrap();
        let first = request("key", "{}");
        assert_eq!(first, request("key", "{}"));
        assert_ne!(first.key_hash, request("Key", "{}").key_hash);
        assert_ne!(first.body_hash, request("key", "{ }").body_hash);
        assert_eq!(first.key_hash.len(), 64);
    }
}
