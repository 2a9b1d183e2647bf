//! One attempt: sign, post, read the answer, all within ten seconds.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response};
use tokio::time::{Instant, timeout};
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

/// Headers of a request, those that the client adds among them.
const HEADERS: usize = 12;
/// Bytes of those values that a request has for itself.
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
    client: &Client,
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
        let response = client.execute(request(url, message, secret, at)).await?;
        // Told also when the body never ends.
        status = Some(response.status());
        Ok((response.status(), read_capped(response).await?))
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

/// The request, with every header that leaves; the client adds Host, Content-Length, Accept and
/// User-Agent.
fn request(
    url: &EndpointUrl,
    message: &DeliveryMessage,
    secret: &SigningSecret,
    at: Timestamp,
) -> Request {
    let body = message.body.get();
    let event_id = String::from(message.event_id);
    let sent_at = at.unix_seconds();
    let signature = signature::standard(secret, &event_id, sent_at, body.as_bytes());
    let mut request = Request::new(Method::POST, url.as_url().clone());
    // The client copies all headers twice; values that share one piece of memory are only counted.
    let mut room = BytesMut::with_capacity(VALUES + body.len());
    let mut value = |text: &str| {
        room.extend_from_slice(text.as_bytes());
        HeaderValue::from_maybe_shared(room.split().freeze())
            .expect("ids and signatures are visible ASCII")
    };
    let headers = request.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(SIGNATURE, value(&signature::guide(secret, body.as_bytes())));
    headers.insert(EVENT, HeaderValue::from_static(message.event.as_str()));
    headers.insert(TIMESTAMP, message.occurred_at.unix_seconds().into());
    headers.insert(DELIVERY, value(&String::from(message.delivery_id)));
    headers.insert(WEBHOOK_SIGNATURE, value(&signature));
    headers.insert(WEBHOOK_ID, value(&event_id));
    headers.insert(WEBHOOK_TIMESTAMP, sent_at.into());
    room.extend_from_slice(body.as_bytes());
    *request.body_mut() = Some(room.freeze().into());
    request
}

/// The body, or its beginning: at the cap the rest is left unread and the connection is dropped.
async fn read_capped(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_RESPONSE_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_RESPONSE_BYTES {
            break;
        }
    }
    Ok(body)
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
impl From<reqwest::Error> for AttemptError {
    fn from(error: reqwest::Error) -> Self {
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
            cause = error.source();
        }
        if error.is_connect() {
            Self::Connection("no connection could be made".to_owned())
        } else {
            Self::Protocol
        }
    }
}
