//! One attempt: sign, post, read the answer, all within ten seconds.

use std::error::Error as _;
use std::io;
use std::iter;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::Authority;
use hyper::{Method, Request};
use tokio::time::{Instant, timeout};
use webhooks::connections::{Connections, SendError};
use webhooks::delivery::{Attempt, DeliveryMessage};
use webhooks::endpoint::{EndpointPolicy, EndpointRefusal, EndpointUrl};
use webhooks::resolve::ResolveError;
use webhooks::secret::SigningSecret;
use webhooks::signature;
use webhooks::text::first_chars;
use webhooks::timestamp::Timestamp;

/// What an attempt may take in all: DNS, connect, TLS, sending, headers, body.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of an answer's body no more is read.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;
/// Of a failed attempt's answer no more is logged, in characters.
const MAX_LOGGED_RESPONSE: usize = 500;

const PRODUCT: &str = concat!("DocIntell-Webhooks/", env!("CARGO_PKG_VERSION"));

/// Headers of a request, one that HTTP adds among them.
const HEADERS: usize = 12;
/// Bytes of the values that a request has for itself, without its host.
const VALUES: usize = 192;
const SIGNATURE: HeaderName = HeaderName::from_static("x-docintell-signature");
const EVENT: HeaderName = HeaderName::from_static("x-docintell-event");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-docintell-timestamp");
const DELIVERY: HeaderName = HeaderName::from_static("x-docintell-delivery");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 2xx, read to its end or to the cap.
    Success,
    /// 4xx: the endpoint says that another attempt is no use.
    ClientError,
    /// The endpoint may not be called at all.
    Refused,
    /// Anything else; another attempt may succeed.
    Failure,
}

/// Why no usable answer came. The text is for the tenant: it tells nothing of our network.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The endpoint may not be called.
    #[error(transparent)]
    Refused(#[from] EndpointRefusal),
    /// The ten seconds are over.
    #[error("no complete answer within {} s", ATTEMPT_TIMEOUT.as_secs())]
    Timeout,
    /// The host's name leads nowhere.
    #[error("the host name cannot be resolved")]
    Unresolved,
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// No connection, or one that broke, also in the middle of an answer.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// Something that is not HTTP, or an end before there was an answer.
    #[error("the answer is not valid HTTP or is incomplete")]
    Protocol,
}

/// Posts `message` to `url` as attempt `number`.
pub async fn make(
    connections: &Connections,
    policy: &EndpointPolicy,
    url: &EndpointUrl,
    message: &DeliveryMessage,
    secret: &SigningSecret,
    number: u32,
) -> (Attempt, Answer) {
    let at = Timestamp::now();
    let begun = Instant::now();
    let mut status = None;
    let exchange = async {
        policy.check_url(url)?;
        let response = connections.send(request(url, message, secret, at)).await?;
        let answered = response.status();
        // Told also when the body never ends.
        status = Some(answered);
        Ok((answered, response.body(MAX_RESPONSE_BYTES).await?))
    };
    let result = match timeout(ATTEMPT_TIMEOUT, exchange).await {
        Ok(result) => result,
        Err(_elapsed) => Err(AttemptError::Timeout),
    };
    let (answer, error, response_body) = match result {
        Ok((status, _)) if status.is_success() => (Answer::Success, None, None),
        Ok((status, body)) => {
            let error = format!("the endpoint answered {}", status.as_u16());
            let text = first_chars(&String::from_utf8_lossy(&body), MAX_LOGGED_RESPONSE).to_owned();
            let answer =
                if status.is_client_error() { Answer::ClientError } else { Answer::Failure };
            (answer, Some(error), Some(text).filter(|text| !text.is_empty()))
        }
        Err(error @ AttemptError::Refused(_)) => (Answer::Refused, Some(error.to_string()), None),
        Err(error) => (Answer::Failure, Some(error.to_string()), None),
    };
    let attempt = Attempt {
        number,
        at,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        status_code: status.map(|status| status.as_u16()),
        error,
        response_body,
    };
    (attempt, answer)
}

/// The request, with every header that leaves but Content-Length.
fn request(
    url: &EndpointUrl,
    message: &DeliveryMessage,
    secret: &SigningSecret,
    at: Timestamp,
) -> Request<Bytes> {
    let body = message.body.get();
    let event_id = String::from(message.event_id);
    let sent_at = at.unix_seconds();
    let signature = signature::standard(secret, &event_id, sent_at, body.as_bytes());
    let uri = url.as_uri();
    let host = uri.authority().map_or("", Authority::as_str);
    // One piece of memory for all of it.
    let mut room = BytesMut::with_capacity(VALUES + host.len() + body.len());
    let mut value = |text: &str| {
        room.extend_from_slice(text.as_bytes());
        HeaderValue::from_maybe_shared(room.split().freeze())
            .expect("hosts, ids and signatures are visible ASCII")
    };
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(HOST, value(host));
    headers.insert(USER_AGENT, HeaderValue::from_static(PRODUCT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(SIGNATURE, value(&signature::guide(secret, body.as_bytes())));
    headers.insert(EVENT, HeaderValue::from_static(message.event.as_str()));
    headers.insert(TIMESTAMP, message.occurred_at.unix_seconds().into());
    headers.insert(DELIVERY, value(&String::from(message.delivery_id)));
    headers.insert(WEBHOOK_SIGNATURE, value(&signature));
    headers.insert(WEBHOOK_ID, value(&event_id));
    headers.insert(WEBHOOK_TIMESTAMP, sent_at.into());
    room.extend_from_slice(body.as_bytes());
    let mut request = Request::new(room.freeze());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers;
    request
}

/// The error that the layers of TLS and HTTP have put into others; `source` leaves these out.
fn innermost(error: &io::Error) -> &io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(inner) => innermost(inner),
        None => error,
    }
}

impl From<&io::Error> for AttemptError {
    fn from(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::Tls(tls.to_string()),
            None => Self::Connection(error.kind().to_string()),
        }
    }
}

/// Tells by types, never by texts, what a failed request failed of.
impl From<SendError> for AttemptError {
    fn from(error: SendError) -> Self {
        for cause in iter::successors(error.source(), |&error| error.source()) {
            match cause.downcast_ref() {
                Some(ResolveError::Refused(refusal)) => return Self::Refused(*refusal),
                Some(ResolveError::Unresolved(_)) => return Self::Unresolved,
                None => {}
            }
            if let Some(found) = cause.downcast_ref::<io::Error>() {
                return Self::from(innermost(found));
            }
        }
        match error {
            SendError::Connect(_) => Self::Connection("no connection could be made".to_owned()),
            SendError::Exchange(_) => Self::Protocol,
        }
    }
}
