//! Why an attempt failed, as a sentence that the endpoint's owner can act on.
//!
//! The rules: the type of an error decides, never a library's text, and no sentence contains a library's text.
//! No sentence describes our own network.

mod tls;

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use webhooks::endpoint::EndpointRefusal;
use webhooks::resolve::ResolveError;
use webhooks::timestamp::Timestamp;

use crate::attempt::ATTEMPT_TIMEOUT;
use crate::client_errors::RetriedClientErrors;
use crate::guard::CONNECT_TIMEOUT;
use crate::retry_after::retry_after;

pub(crate) use self::tls::TlsFailure;

/// Why an attempt failed. The text is printable and has at most 500 characters.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The response status is not 2xx.
    #[error("the endpoint answered {}", .status.as_u16())]
    Status {
        /// The response's status.
        status: StatusCode,
        /// How long the endpoint asks us to wait, at most 15 minutes.
        retry_after: Option<Duration>,
    },
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
    /// The connection was closed before the head of the response was complete.
    #[error("the endpoint closed the connection without an answer")]
    NoAnswer,
    /// The head of the response exceeds the client's limit of lines or bytes.
    #[error("the answer has too many headers, or too large ones")]
    HeadTooLarge,
    /// The response is not HTTP/1.1.
    #[error("the answer is not valid HTTP")]
    Protocol,
    /// The attempt panicked because of a bug in the sender.
    #[error("an internal error ended the attempt")]
    Panic,
}

impl Failure {
    /// The failure that a response's head says, at the time `now`; `None` for a success.
    pub(crate) fn of_response(response: &Response, now: Timestamp) -> Option<Self> {
        let status = response.status();
        let retry_after = retry_after(status, response.headers(), now);
        (!status.is_success()).then_some(Self::Status { status, retry_after })
    }

    /// True if another attempt would be useless.
    pub(crate) fn is_permanent(&self, retried: &RetriedClientErrors) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Status { status, .. } => status.is_client_error() && !retried.contains(*status),
            _ => false,
        }
    }

    /// The shortest wait before the next attempt that the endpoint asks for.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Status { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// The status of the response; `None` if there was no response.
    pub(crate) fn status_code(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }
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
    /// The endpoint closed the connection too early.
    #[error("the endpoint closed it")]
    Closed,
    /// There is no route to the endpoint.
    #[error("the endpoint's network cannot be reached")]
    Unreachable,
    /// Anything else.
    #[error("it broke off")]
    Broken,
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

/// The error inside the errors that the TLS and HTTP layers wrap around it. `source` skips it.
fn innermost(error: &io::Error) -> &io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(inner) => innermost(inner),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_inside_wrapped_errors_is_found() {
        let inner = io::Error::from(io::ErrorKind::ConnectionReset);
        let wrapped = io::Error::other(io::Error::other(inner));
        assert_eq!(
            Failure::from(innermost(&wrapped)).to_string(),
            "the connection failed: the endpoint reset it"
        );
    }
}
