//! Signing secrets and API keys: values that are wiped when dropped and that nothing prints.

use std::fmt;

use base16ct::lower::encode_string as hex;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A webhook's signing secret: `whsec_` and 30 random bytes in standard base64, 46 characters in all.
///
/// 30 bytes fill 40 characters of base64 without padding, so that one string is right for both
/// signature schemes: whole as the guide's key, decoded as the key of Standard Webhooks.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    text: Zeroizing<String>,
    decoded: Zeroizing<Vec<u8>>,
}

/// A text that is not a signing secret. It does not say the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a signing secret; expected `whsec_` and standard base64")]
pub struct InvalidSecret;

impl SigningSecret {
    const PREFIX: &str = "whsec_";

    /// A new secret from the operating system's random source.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 30]);
        getrandom::fill(bytes.as_mut_slice())?;
        let encoded = Zeroizing::new(STANDARD.encode(*bytes));
        Ok(Self {
            text: Zeroizing::new([Self::PREFIX, &encoded].concat()),
            decoded: Zeroizing::new(bytes.to_vec()),
        })
    }

    /// Reads a secret in its public form.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(InvalidSecret)?;
        let decoded = STANDARD.decode(encoded).map_err(|_malformed| InvalidSecret)?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), decoded: Zeroizing::new(decoded) })
    }

    /// The secret in its public form: what the tenant is shown once, and the guide's signing key.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The random bytes: the signing key of Standard Webhooks.
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

/// Which data an API key is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyEnvironment {
    /// `dk_live_`
    Live,
    /// `dk_test_`
    Test,
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

/// A text that does not have the form of an API key. It does not say the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key; expected `dk_live_` or `dk_test_` and 43 characters of base64url")]
pub struct InvalidApiKey;

impl ApiKey {
    /// A new key from the operating system's random source.
    pub fn generate(environment: KeyEnvironment) -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice())?;
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        Ok(Self(Zeroizing::new([environment.prefix(), &encoded].concat())))
    }

    /// Reads a key in its public form.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let random = [KeyEnvironment::Live, KeyEnvironment::Test]
            .into_iter()
            .find_map(|environment| text.strip_prefix(environment.prefix()))
            .ok_or(InvalidApiKey)?;
        let well_formed = random.len() == 43
            && random
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if well_formed { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(InvalidApiKey) }
    }

    /// The key in its public form, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The lower-case hex SHA-256 of the whole key: all that is stored of it.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// The key's last four characters, by which a person recognises it.
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

    /// Does not compile when a type implements the trait: then both of these would fit.
    macro_rules! assert_lacks {
        ($kind:ty: $forbidden:path) => {
            const _: fn() = || {
                trait FitsTwice<A> {
                    fn only_one_may_fit() {}
                }
                struct Forbidden;
                impl<T: ?Sized> FitsTwice<()> for T {}
                impl<T: ?Sized + $forbidden> FitsTwice<Forbidden> for T {}
                let _ = <$kind as FitsTwice<_>>::only_one_may_fit;
            };
        };
    }

    assert_lacks!(SigningSecret: fmt::Display);
    assert_lacks!(SigningSecret: Serialize);
    assert_lacks!(ApiKey: fmt::Display);
    assert_lacks!(ApiKey: Serialize);

    #[test]
    fn a_new_secret_is_whsec_and_40_characters_without_padding() {
        let secret = SigningSecret::generate().unwrap();
        assert_eq!(secret.expose().len(), 46);
        assert!(!secret.expose().contains('='));
        assert_eq!(secret.expose_decoded().len(), 30);
        assert_eq!(SigningSecret::parse(secret.expose()), Ok(secret));
    }

    #[test]
    fn a_key_has_51_characters_and_is_read_back() {
        for environment in [KeyEnvironment::Live, KeyEnvironment::Test] {
            let key = ApiKey::generate(environment).unwrap();
            assert_eq!(key.expose().len(), 51);
            assert_eq!(ApiKey::parse(key.expose()), Ok(key));
        }
    }

    #[test]
    fn a_key_of_another_form_is_refused() {
        for text in
            ["", "dk_live_", "sk_live_0123456789012345678901234567890123456789012", "dk_live_short"]
        {
            assert_eq!(ApiKey::parse(text), Err(InvalidApiKey), "{text}");
        }
        assert_eq!(ApiKey::parse(&format!("dk_live_{}", "é".repeat(43))), Err(InvalidApiKey));
    }

    #[test]
    fn a_key_is_known_by_its_sha_256() {
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
