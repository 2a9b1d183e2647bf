//! Signature Version 4, as far as a POST of JSON needs it.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use base16ct::lower::encode_string as hex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::timestamp::Timestamp;

/// A request as it is signed, and where.
#[derive(Debug)]
pub(super) struct Signable<'a> {
    /// When, as [`date_time`] writes it; also the header `x-amz-date`.
    pub at: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    /// The URL's path.
    pub path: &'a str,
    /// Names in small letters and in order; `host` and `x-amz-date` must be among them.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Signable<'_> {
    /// The header `Authorization`, by the holder of a secret key.
    pub(super) fn authorization(&self, access_key_id: &str, secret_access_key: &str) -> String {
        let Self { at, region, service, path, headers, body } = self;
        let day = &at[..8];
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines = headers.iter().flat_map(|(name, value)| [name, ":", value, "\n"]);
        let lines: String = lines.collect();
        let request = format!("POST\n{path}\n\n{lines}\n{names}\n{}", hex(&Sha256::digest(body)));
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(request)));

        let key = mac(format!("AWS4{secret_access_key}").as_bytes(), day);
        let key = [region, service, "aws4_request"].iter().fold(key, |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &text));
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    }
}

/// A time in the one form that is signed: `20251203T103000Z`.
pub(super) fn date_time(at: Timestamp) -> String {
    at.whole_seconds().to_string().replace(['-', ':'], "")
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_without_its_fraction_and_signs() {
        let at = Timestamp::from_unix_millis(1_764_757_800_123);
        assert_eq!(date_time(at), "20251203T103000Z");
    }
}
