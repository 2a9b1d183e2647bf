//! Signing secrets and API keys. They are wiped from memory when dropped and cannot be printed or serialised.

use std::fmt;

use base16ct::lower::encode_string as hex;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::named::named;

/// A webhook's signing secret: `whsec_` and 30 random bytes in standard base64, 46 characters in all.
///
/// One string serves both signature schemes: the guide's key is the whole string, the Standard Webhooks key is
/// the decoded bytes. 30 bytes need no base64 padding.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    text: Zeroizing<String>,
    decoded: Zeroizing<Vec<u8>>,
}

/// Returned for text that is not a signing secret; does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a signing secret; expected `whsec_` and standard base64")]
pub struct InvalidSecret;

impl SigningSecret {
    const PREFIX: &str = "whsec_";

    /// Uses the operating system's random source.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 30]);
        getrandom::fill(bytes.as_mut_slice())?;
        let encoded = Zeroizing::new(STANDARD.encode(*bytes));
        Ok(Self {
            text: Zeroizing::new([Self::PREFIX, &encoded].concat()),
            decoded: Zeroizing::new(bytes.to_vec()),
        })
    }

    /// Accepts `whsec_` and standard base64 of any length.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(InvalidSecret)?;
        let decoded = STANDARD.decode(encoded).map_err(|_malformed| InvalidSecret)?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), decoded: Zeroizing::new(decoded) })
    }

    /// The whole string: shown to the tenant once, and the key of the guide's signature.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The random bytes: the key of the Standard Webhooks signature.
    #[must_use]
    pub fn expose_decoded(&self) -> &[u8] {
        &self.decoded
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(redacted)")
    }
}

named! {
    /// The prefix of an API key: a label for people, which the API does not interpret.
    pub enum KeyEnvironment {
        /// `dk_live_`
        Live = "live",
        /// `dk_test_`
        Test = "test",
    }
}

impl KeyEnvironment {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "dk_live_",
            Self::Test => "dk_test_",
        }
    }
}

/// An API key: `dk_live_` or `dk_test_` and 32 random bytes in base64url, 51 characters in all.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Zeroizing<String>);

/// Returned for text that does not have the form of an API key; does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key; expected `dk_live_` or `dk_test_` and 43 characters of base64url")]
pub struct InvalidApiKey;

impl ApiKey {
    /// Uses the operating system's random source.
    pub fn generate(environment: KeyEnvironment) -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice())?;
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        Ok(Self(Zeroizing::new([environment.prefix(), &encoded].concat())))
    }

    /// Checks prefix, length and characters.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let random = KeyEnvironment::ALL
            .into_iter()
            .find_map(|environment| text.strip_prefix(environment.prefix()))
            .ok_or(InvalidApiKey)?;
        let well_formed = random.len() == 43
            && random
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if well_formed { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(InvalidApiKey) }
    }

    /// The whole key, shown once when it is created.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Lower-case hex SHA-256 of the whole key; the key itself is never stored.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// The last four characters, shown to help people recognise the key.
    #[must_use]
    pub fn suffix(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile if the type implements the trait: both impls would then apply.
    macro_rules! assert_lacks {
        ($kind:ty: $forbidden:path) => {
            const _: fn() = || {
                trait AmbiguousIfImplemented<A> {
                    fn check() {}
                }
                struct Implemented;
                impl<T: ?Sized> AmbiguousIfImplemented<()> for T {}
                impl<T: ?Sized + $forbidden> AmbiguousIfImplemented<Implemented> for T {}
                let _ = <$kind as AmbiguousIfImplemented<_>>::check;
            };
        };
    }

    assert_lacks!(SigningSecret: fmt::Display);
    assert_lacks!(SigningSecret: serde::Serialize);
    assert_lacks!(ApiKey: fmt::Display);
    assert_lacks!(ApiKey: serde::Serialize);

    #[test]
    fn a_new_secret_is_whsec_and_40_characters_without_padding() {
        let secret = SigningSecret::generate().unwrap();
        assert_eq!(secret.expose().len(), 46);
        assert!(!secret.expose().contains('='));
        assert_eq!(secret.expose_decoded().len(), 30);
        assert_eq!(SigningSecret::parse(secret.expose()), Ok(secret));
    }

    #[test]
    fn a_new_key_has_51_characters_and_can_be_parsed() {
        for environment in [KeyEnvironment::Live, KeyEnvironment::Test] {
            let key = ApiKey::generate(environment).unwrap();
            assert_eq!(key.expose().len(), 51);
            assert_eq!(ApiKey::parse(key.expose()), Ok(key));
        }
    }

    #[test]
    fn a_malformed_key_is_refused() {
        for text in
            ["", "dk_live_", "sk_live_0123456789012345678901234567890123456789012", "dk_live_short"]
        {
            assert_eq!(ApiKey::parse(text), Err(InvalidApiKey), "{text}");
        }
        assert_eq!(ApiKey::parse(&format!("dk_live_{}", "é".repeat(43))), Err(InvalidApiKey));
    }

    #[test]
    fn the_hash_of_a_key_is_its_sha_256() {
        let key = ApiKey::parse(&format!("dk_live_{}", "a".repeat(43))).unwrap();
        assert_eq!(key.hash(), "cb14e475aed8cee46e0b9c5d843987d16ff42d04c8fd8acac8d63b7de9dcb136");
        assert_eq!(key.suffix(), "aaaa");
    }

    #[test]
    fn debug_shows_nothing_of_a_secret_or_a_key() {
        let secret = SigningSecret::generate().unwrap();
        let key = ApiKey::generate(KeyEnvironment::Live).unwrap();
        assert_eq!(format!("{secret:?} {key:?}"), "SigningSecret(redacted) ApiKey(redacted)");
    }
}
