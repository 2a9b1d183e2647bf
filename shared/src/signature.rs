//! The two signatures of a delivery, both HMAC-SHA256 over the bytes that are sent.
//!
//! The guide's signature covers only the body, so it does not prevent replays. The Standard Webhooks signature
//! (<https://www.standardwebhooks.com>) also covers the event's id and the attempt's time.

use base16ct::lower::encode_string as hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::SigningSecret;

/// The value of `X-DocIntell-Signature`: `sha256=` and the hex HMAC of `body`.
///
/// The key is the whole secret, including `whsec_`.
#[must_use]
pub fn guide(secret: &SigningSecret, body: &[u8]) -> String {
    format!("sha256={}", hex(&mac(secret.expose().as_bytes(), &[body]).finalize().into_bytes()))
}

/// The value of `webhook-signature`: `v1,` and the base64 HMAC of `id.timestamp.body`.
///
/// `timestamp` is the attempt's, in Unix seconds. The key is the decoded secret.
#[must_use]
pub fn standard(secret: &SigningSecret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let head = format!("{id}.{timestamp}.");
    let mac = mac(secret.expose_decoded(), &[head.as_bytes(), body]);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// True if `header` is the guide's signature of `body`; compares in constant time.
#[must_use]
pub fn guide_matches(secret: &SigningSecret, body: &[u8], header: &str) -> bool {
    header
        .strip_prefix("sha256=")
        .and_then(|text| base16ct::mixed::decode_vec(text).ok())
        .is_some_and(|tag| mac(secret.expose().as_bytes(), &[body]).verify_slice(&tag).is_ok())
}

/// True if `header` has the Standard Webhooks signature of `id.timestamp.body`, perhaps among others; compares in
/// constant time.
#[must_use]
pub fn standard_matches(
    secret: &SigningSecret,
    id: &str,
    timestamp: i64,
    body: &[u8],
    header: &str,
) -> bool {
    let head = format!("{id}.{timestamp}.");
    let is_valid = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        let mac = mac(secret.expose_decoded(), &[head.as_bytes(), body]);
        tag.is_some_and(|tag| mac.verify_slice(&tag).is_ok())
    };
    header.split(' ').any(is_valid)
}

/// The HMAC-SHA256 of `parts`, one after the other. To find out how a signature was made that matches neither scheme.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    mac(key, parts).finalize().into_bytes().into()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret() -> SigningSecret {
        SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    #[test]
    fn the_standard_webhooks_test_vector_is_reproduced() {
        assert_eq!(
            standard(&secret(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn the_guides_test_vectors_are_reproduced() {
        assert_eq!(
            guide(&secret(), BODY),
            "sha256=80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c"
        );
        // GitHub's published vector, whose key has no `whsec_`.
        let tag = mac(b"It's a Secret to Everybody", &[b"Hello, World!"]).finalize().into_bytes();
        assert_eq!(hex(&tag), "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }

    #[test]
    fn a_signature_matches_only_its_own_body_and_secret() {
        let header = guide(&secret(), BODY);
        assert!(guide_matches(&secret(), BODY, &header));
        assert!(!guide_matches(&secret(), b"{}", &header));
        assert!(!guide_matches(&SigningSecret::generate().unwrap(), BODY, &header));
        assert!(!guide_matches(&secret(), BODY, "sha256=zz"));
    }

    #[test]
    fn a_standard_signature_matches_only_its_own_id_time_body_and_secret() {
        let valid = standard(&secret(), "evt", 1, BODY);
        let two =
            format!("{} {valid}", standard(&SigningSecret::generate().unwrap(), "evt", 1, BODY));
        for header in [&valid, &two] {
            assert!(standard_matches(&secret(), "evt", 1, BODY, header));
            assert!(!standard_matches(&secret(), "evt", 2, BODY, header));
            assert!(!standard_matches(&secret(), "other", 1, BODY, header));
            assert!(!standard_matches(&secret(), "evt", 1, b"{}", header));
            assert!(!standard_matches(&SigningSecret::generate().unwrap(), "evt", 1, BODY, header));
        }
        for header in ["", "v1,", "v1,zz", &valid[3..], &valid.replace("v1", "v2")] {
            assert!(!standard_matches(&secret(), "evt", 1, BODY, header), "{header}");
        }
    }
}
