//! The secret that a user gives.
//!
//! The rule: no error quotes it, because a wrong secret may be almost the right one.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use webhooks::secret::{ApiKey, SigningSecret};

/// Characters of a secret with `whsec_`.
const LENGTH: usize = 46;

/// Any text: an error of the command line's parser would quote it.
#[derive(Clone)]
pub(crate) struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

impl FromStr for SecretText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl SecretText {
    /// The error says what is wrong with the text.
    pub(crate) fn parse(&self) -> Result<SigningSecret> {
        let text = self.0.as_str();
        let problem = match text {
            "" => "is empty".to_owned(),
            _ if text.trim() != text => "has white space around it".to_owned(),
            _ if text.starts_with(['"', '\'']) => "has quotation marks around it".to_owned(),
            _ if ApiKey::parse(text).is_ok() => "is an API key".to_owned(),
            _ if !text.starts_with("whsec_") => "does not start with `whsec_`".to_owned(),
            _ if text.chars().count() != LENGTH => {
                format!("has {} characters, not {LENGTH}: it may be cut", text.chars().count())
            }
            _ => match SigningSecret::parse(text) {
                Ok(secret) => return Ok(secret),
                Err(_) => "has a character that is not base64 after `whsec_`".to_owned(),
            },
        };
        bail!(
            "the secret {problem}; expected the `signing_secret` of a webhook: `whsec_` and 40 characters of base64"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_abcdefghijklmnopqrstuvwxyz1234567890ABCD";

    #[test]
    fn a_wrong_secret_is_refused_with_its_mistake_and_without_quoting_it() {
        let parse =
            |text: &str| text.parse::<SecretText>().unwrap_or_else(|never| match never {}).parse();
        assert_eq!(parse(SECRET).unwrap().expose(), SECRET);
        for (text, mistake) in [
            (String::new(), "is empty"),
            (format!(" {SECRET}"), "white space around it"),
            (format!("{SECRET}\n"), "white space around it"),
            (format!("\"{SECRET}\""), "quotation marks around it"),
            (format!("dk_test_{}", "a".repeat(43)), "is an API key"),
            (SECRET["whsec_".len()..].to_owned(), "does not start with `whsec_`"),
            (SECRET[..44].to_owned(), "has 44 characters, not 46"),
            (SECRET.replace('z', "-"), "not base64"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(mistake), "{error}");
            assert!(!error.contains("abcdef") && !error.contains("aaaa"), "{error}");
        }
        assert_eq!(format!("{:?}", SECRET.parse::<SecretText>()), "Ok(SecretText(redacted))");
    }
}
