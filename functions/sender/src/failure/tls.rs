//! Why a TLS handshake failed, from rustls' errors.

use std::fmt;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use webhooks::text::{first_chars, printable};
use webhooks::timestamp::Timestamp;

/// Why TLS failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFailure {
    /// No chain leads to a trusted authority.
    #[error("the certificate's issuer is not trusted: self-signed, or an intermediate is missing")]
    UntrustedIssuer,
    /// The certificate names other hosts.
    #[error("the certificate is for other names: {0}")]
    OtherNames(Names),
    /// The certificate contains neither a host name nor an address.
    #[error("the certificate names no host")]
    NoNames,
    /// The certificate has expired. Contains the end of its validity, if known.
    #[error("the certificate expired{}", expiry(*.0))]
    Expired(Option<Timestamp>),
    /// The certificate's validity has not begun yet.
    #[error("the certificate is not valid yet")]
    NotValidYet,
    /// The certificate is damaged, revoked, or not meant for a server.
    #[error(
        "the certificate cannot be accepted: it is damaged, revoked, or not meant for a server"
    )]
    BadCertificate,
    /// The endpoint ended the handshake with an alert.
    #[error("the endpoint refused the handshake")]
    RefusedByEndpoint,
    /// The endpoint and the client share no TLS version or cipher.
    #[error(
        "the endpoint offers no TLS version or cipher that the sender accepts; use TLS 1.2 or 1.3"
    )]
    Incompatible,
    /// The endpoint sent something other than TLS.
    #[error("the endpoint does not speak TLS on this port")]
    NotTls,
    /// Anything else.
    #[error("the handshake could not be completed")]
    Handshake,
}

/// The host names and addresses in a certificate, made printable.
#[derive(Debug, PartialEq, Eq)]
pub struct Names(Vec<String>);

/// Maximum characters of a name to show, so that a long name does not hide the others.
const SHOWN_CHARS: usize = 100;
/// Maximum names to show. A longer list is cut to its first two names and a count.
const SHOWN_NAMES: usize = 3;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [first, second, rest @ ..] if self.0.len() > SHOWN_NAMES => {
                write!(f, "{first}, {second}, … and {} more", rest.len())
            }
            all => f.write_str(&all.join(", ")),
        }
    }
}

impl Names {
    /// Parses rustls' list of names, such as `DnsName("example.com")`.
    fn listed(presented: &[String]) -> Self {
        let bare = |name: &String| {
            let (kind, rest) = name.split_once('(')?;
            let inner = rest.strip_suffix(')')?.trim_matches('"');
            matches!(kind, "DnsName" | "IpAddress")
                .then(|| printable(first_chars(inner, SHOWN_CHARS)))
        };
        Self(presented.iter().filter_map(bare).collect())
    }
}

fn expiry(end: Option<Timestamp>) -> String {
    end.map(|end| format!(" on {end}")).unwrap_or_default()
}

impl From<&CertificateError> for TlsFailure {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UntrustedIssuer,
            CertificateError::NotValidForName => Self::NoNames,
            CertificateError::NotValidForNameContext { presented, .. } => {
                match Names::listed(presented) {
                    Names(names) if names.is_empty() => Self::NoNames,
                    names => Self::OtherNames(names),
                }
            }
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => {
                Self::Expired(Some(timestamp(*not_after)))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            CertificateError::Other(other) => match other.0.downcast_ref() {
                // A certificate that is its own authority, as `openssl req -x509` makes it.
                Some(webpki::Error::CaUsedAsEndEntity) => Self::UntrustedIssuer,
                _ => Self::BadCertificate,
            },
            _ => Self::BadCertificate,
        }
    }
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_unix_millis(time.as_secs().saturating_mul(1000))
}

impl From<&rustls::Error> for TlsFailure {
    fn from(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(certificate) => certificate.into(),
            rustls::Error::NoCertificatesPresented => Self::BadCertificate,
            rustls::Error::AlertReceived(_) => Self::RefusedByEndpoint,
            rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
                Self::Incompatible
            }
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Handshake,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(count: usize) -> String {
        let presented: Vec<_> =
            (1..=count).map(|n| format!("DnsName(\"{n}.example.com\")")).collect();
        TlsFailure::OtherNames(Names::listed(&presented)).to_string()
    }

    #[test]
    fn a_long_list_of_names_is_cut_to_two_and_a_count() {
        let sentence = "the certificate is for other names: ";
        for (count, shown) in [
            (1, "1.example.com"),
            (3, "1.example.com, 2.example.com, 3.example.com"),
            (4, "1.example.com, 2.example.com, … and 2 more"),
            (250, "1.example.com, 2.example.com, … and 248 more"),
        ] {
            assert_eq!(names(count), format!("{sentence}{shown}"));
        }
        let listed = ["DirectoryName", "IpAddress(127.0.0.1)", "Unsupported(0x80)"];
        assert_eq!(Names::listed(&listed.map(str::to_owned)).to_string(), "127.0.0.1");
    }

    #[test]
    fn a_certificate_that_is_its_own_authority_counts_as_self_signed() {
        let other = rustls::OtherError(std::sync::Arc::new(webpki::Error::CaUsedAsEndEntity));
        let failure = TlsFailure::from(&CertificateError::Other(other));
        assert_eq!(failure, TlsFailure::UntrustedIssuer);
    }

    #[test]
    fn the_failure_says_when_the_certificate_expired() {
        let at = |text| {
            let millis = Timestamp::parse(text).unwrap().unix_millis();
            UnixTime::since_unix_epoch(Duration::from_millis(millis))
        };
        let (time, not_after) = (at("2025-12-03T10:30:00Z"), at("2021-01-01T00:00:00Z"));
        let failure = TlsFailure::from(&CertificateError::ExpiredContext { time, not_after });
        assert_eq!(failure.to_string(), "the certificate expired on 2021-01-01T00:00:00Z");
    }
}
