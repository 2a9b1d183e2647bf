//! The Rust example of docs/RECEIVING.md. A test compares the two.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub fn is_genuine(body: &[u8], signature: &str, secret: &str) -> bool {
    let Some(Ok(tag)) = signature.strip_prefix("sha256=").map(base16ct::lower::decode_vec) else {
        return false;
    };
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key has any length");
    mac.chain_update(body).verify_slice(&tag).is_ok()
}
