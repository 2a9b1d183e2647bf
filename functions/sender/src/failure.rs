//! Why an attempt failed, as a sentence that the endpoint's owner can act on.
//!
//! The rules: failures are told apart by the types of errors, never by a library's text, and no library's text
//! gets into a sentence. No sentence describes our own network.

use std::error::Error;
use std::fmt;
use std::io;

use reqwest::StatusCode;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use webhooks::endpoint::EndpointRefusal;
use webhooks::resolve::ResolveError;
use webhooks::text::{first_chars, printable};
use webhooks::timestamp::Timestamp;

use crate::attempt::ATTEMPT_TIMEOUT;
use crate::guard::CONNECT_TIMEOUT;

/// Why an attempt failed. The text is printable and has at most 500 characters.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The endpoint's response is not a 2xx.
    #[error("the endpoint answered {}", .0.as_u16())]
    Status(StatusCode),
    /// The policy does not allow the endpoint's URL or address.
    #[error(transparent)]
    Refused(#[from] EndpointRefusal),
    /// The attempt took too long.
    #[error("no answer within {} s", ATTEMPT_TIMEOUT.as_secs())]
    Timeout,
    /// No address accepted a connection and completed the TLS handshake in time.
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout,
    /// DNS has no address for the host name.
    #[error("the host name cannot be resolved")]
    Unresolved,
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(TlsFailure),
    /// The TCP connection failed.
    #[error("the connection failed: {0}")]
    Connection(ConnectionFailure),
    /// The connection was closed before or within the head of the response.
    #[error("the endpoint closed the connection without an answer")]
    NoAnswer,
    /// The head of the response has more lines or bytes than the client reads.
    #[error("the answer has too many headers, or too large ones")]
    HeadTooLarge,
    /// The response is not HTTP/1.1.
    #[error("the answer is not valid HTTP")]
    Protocol,
    /// The sender has a bug: the attempt panicked.
    #[error("an internal error ended the attempt")]
    Panic,
}

impl Failure {
    /// Whether another attempt would be useless.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Status(status) => status.is_client_error(),
            _ => false,
        }
    }

    /// The status of the endpoint's response, if there was one.
    pub(crate) fn status_code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.as_u16()),
            _ => None,
        }
    }
}

/// Why TLS failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFailure {
    /// No chain leads to a trusted authority.
    #[error("the certificate's issuer is not trusted: self-signed, or an intermediate is missing")]
    UntrustedIssuer,
    /// The certificate names other hosts.
    #[error("the certificate is for other names: {0}")]
    OtherNames(Names),
    /// The certificate has neither a host name nor an address.
    #[error("the certificate names no host")]
    NoNames,
    /// When the certificate's validity ended, if that is known.
    #[error("the certificate expired{}", since(*.0))]
    Expired(Option<Timestamp>),
    /// The certificate's validity has not begun.
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
    /// Both sides have no version or cipher in common.
    #[error("the endpoint offers no TLS version or cipher that is accepted; TLS 1.2 and 1.3 are")]
    Incompatible,
    /// The endpoint sent something other than TLS.
    #[error("the endpoint does not speak TLS on this port")]
    NotTls,
    /// Anything else.
    #[error("the handshake could not be completed")]
    Handshake,
}

/// Why a TCP connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionFailure {
    /// Nothing listens on the port.
    #[error("it was refused; nothing listens on this port")]
    Refused,
    /// The endpoint sent a reset.
    #[error("the endpoint reset it")]
    Reset,
    /// The endpoint closed it too early.
    #[error("the endpoint closed it")]
    Closed,
    /// There is no route to the endpoint.
    #[error("the endpoint's network cannot be reached")]
    Unreachable,
    /// Anything else.
    #[error("it broke off")]
    Broken,
}

/// The host names and addresses in a certificate, in printable characters.
#[derive(Debug, PartialEq, Eq)]
pub struct Names(Vec<String>);

/// Characters of a name to show, so that one long name does not hide the others.
const SHOWN_CHARS: usize = 100;
/// Of a longer list the first two names and a count are shown.
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

fn since(end: Option<Timestamp>) -> String {
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

impl From<io::ErrorKind> for ConnectionFailure {
    fn from(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Self::Closed,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            _ => Self::Broken,
        }
    }
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::Tls(tls.into()),
            None => Self::Connection(error.kind().into()),
        }
    }
}

impl From<&hyper::Error> for Failure {
    fn from(error: &hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_canceled() {
            Self::NoAnswer
        } else if error.is_parse_too_large() {
            Self::HeadTooLarge
        } else {
            Self::Protocol
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() && error.is_timeout() {
            return Self::ConnectTimeout;
        }
        let mut http = None;
        let mut cause = error.source();
        while let Some(error) = cause {
            match error.downcast_ref() {
                Some(ResolveError::Refused(refusal)) => return Self::Refused(*refusal),
                Some(ResolveError::Unresolved(_)) => return Self::Unresolved,
                None => {}
            }
            if let Some(found) = error.downcast_ref::<io::Error>() {
                return Self::from(innermost(found));
            }
            http = http.or_else(|| error.downcast_ref::<hyper::Error>());
            cause = error.source();
        }
        match http {
            Some(http) => http.into(),
            None if error.is_connect() => Self::Connection(ConnectionFailure::Broken),
            None => Self::Protocol,
        }
    }
}

/// The error inside the errors that the TLS and HTTP layers wrap around it, which `source` skips.
fn innermost(error: &io::Error) -> &io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(inner) => innermost(inner),
        None => error,
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
    fn of_many_names_in_a_certificate_two_and_a_count_are_shown() {
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
    fn an_expired_certificate_says_since_when() {
        let at = |text| {
            let millis = Timestamp::parse(text).unwrap().unix_millis();
            UnixTime::since_unix_epoch(Duration::from_millis(millis))
        };
        let (time, not_after) = (at("2025-12-03T10:30:00Z"), at("2021-01-01T00:00:00Z"));
        let failure = TlsFailure::from(&CertificateError::ExpiredContext { time, not_after });
        assert_eq!(failure.to_string(), "the certificate expired on 2021-01-01T00:00:00Z");
    }

    #[test]
    fn a_cause_that_libraries_have_wrapped_is_found() {
        let inner = io::Error::from(io::ErrorKind::ConnectionReset);
        let wrapped = io::Error::other(io::Error::other(inner));
        assert_eq!(
            Failure::from(innermost(&wrapped)).to_string(),
            "the connection failed: the endpoint reset it"
        );
    }
}
