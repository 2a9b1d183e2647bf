//! One attempt: sign, post and read the head of the response, all within ten seconds.
//!
//! The rule: the status line decides. The response body is only for the log, and an error while reading it
//! changes nothing. While a rotation overlaps, an endpoint that refuses the current secret gets a second POST, and
//! that one decides.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use webhooks::delivery::{Attempt, DeliveryMessage, Phases};
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::secret::SigningSecret;
use webhooks::signature;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::failure::Failure;
use crate::phases;
use crate::secret_cache::SigningSecrets;

/// Time limit of an attempt: DNS, connect, TLS, sending, and the head of the response.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for reading a response body, within [`ATTEMPT_TIMEOUT`].
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// With less time than this left in an attempt, there is no second POST.
const SECOND_POST_TIME: Duration = Duration::from_secs(1);
/// Maximum bytes of a response body to read.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// Number of headers in a request, including those that the client adds.
const HEADERS: usize = 12;
/// Total bytes of the header values that differ between requests.
const VALUES: usize = 192;
const SIGNATURE: HeaderName = HeaderName::from_static("x-docintell-signature");
const EVENT: HeaderName = HeaderName::from_static("x-docintell-event");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-docintell-timestamp");
const DELIVERY: HeaderName = HeaderName::from_static("x-docintell-delivery");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// An attempt for the log, and what else is known about it.
pub(crate) struct Posted<'a> {
    pub(crate) attempt: Attempt,
    /// `None` if the attempt succeeded.
    pub(crate) failure: Option<Failure>,
    /// The part of the response's body that was read.
    pub(crate) body: Vec<u8>,
    /// The secret that made the guide's signature of the last request.
    pub(crate) guide: &'a SigningSecret,
}

/// Posts `delivery` to `url` as attempt `number`.
pub(crate) async fn post<'a>(
    client: &Client,
    policy: &EndpointPolicy,
    url: &EndpointUrl,
    delivery: &DeliveryMessage,
    secrets: &'a SigningSecrets,
    number: u32,
) -> Posted<'a> {
    let at = Timestamp::now();
    let begun = Instant::now();
    let ends_at = begun + ATTEMPT_TIMEOUT;
    let mut guide = &*secrets.current;
    let signed_with = |guide| request(url, delivery, secrets, guide, at);
    let mut outcome = match policy.check_url(url) {
        Ok(()) => exchange(client, || signed_with(guide), ends_at).await,
        Err(refusal) => Exchange::failed(refusal.into()),
    };
    let mut first_status_code = None;
    if let Some(previous) = &secrets.previous
        && let Some(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) = outcome.status
    {
        first_status_code = Some(status.as_u16());
        outcome = if ends_at.duration_since(Instant::now()) < SECOND_POST_TIME {
            // Not the first answer, which would be final: the endpoint has not seen the other signature.
            Exchange::failed(Failure::Timeout)
        } else {
            guide = previous;
            // Boxed, because few deliveries need it.
            Box::pin(exchange(client, || signed_with(guide), ends_at)).await
        };
    }
    let Exchange { status, failure, body, phases } = outcome;
    let attempt = Attempt {
        chain: delivery.chain,
        number,
        at,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        phases,
        first_status_code,
        status_code: status.map(|status| status.as_u16()),
        error: failure.as_ref().map(ToString::to_string),
        response_body: failure.as_ref().and_then(|_| shown(&body)),
    };
    Posted { attempt, failure, body, guide }
}

/// The first 500 characters of a response's body; `None` if it is empty.
pub(crate) fn shown(body: &[u8]) -> Option<String> {
    (!body.is_empty()).then(|| printable(&String::from_utf8_lossy(body)))
}

/// The outcome of one POST.
struct Exchange {
    /// `None` if there was no response.
    status: Option<StatusCode>,
    failure: Option<Failure>,
    /// The part of the response's body that was read.
    body: Vec<u8>,
    phases: Phases,
}

impl Exchange {
    /// Without a response.
    fn failed(failure: Failure) -> Self {
        Self { status: None, failure: Some(failure), body: Vec::new(), phases: Phases::default() }
    }
}

/// Sends one request and reads its response by `ends_at`.
///
/// `request` is a closure, because the future would store a request twice: as its argument and in `execute`.
async fn exchange(
    client: &Client,
    request: impl FnOnce() -> Request,
    ends_at: Instant,
) -> Exchange {
    let response = async {
        let response = timeout_at(ends_at, client.execute(request())).await;
        Ok(response.map_err(|_elapsed| Failure::Timeout)??)
    };
    match phases::measured(response).await {
        (Ok(response), phases) => {
            let status = response.status();
            let failure = Failure::of_response(&response, Timestamp::now());
            // Reads the body of a success too, because the connection can be reused only after that.
            let body = read_body(response, ends_at.min(Instant::now() + BODY_TIMEOUT)).await;
            Exchange { status: Some(status), failure, body, phases }
        }
        (Err(failure), phases) => Exchange { phases, ..Exchange::failed(failure) },
    }
}

/// The request with all its headers, except Host, Content-Length, Accept and User-Agent, which the client adds.
///
/// `guide` makes the guide's signature, which has room for only one. Each of `secrets` makes a Standard Webhooks
/// signature.
pub(crate) fn request(
    url: &EndpointUrl,
    delivery: &DeliveryMessage,
    secrets: &SigningSecrets,
    guide: &SigningSecret,
    at: Timestamp,
) -> Request {
    let body = delivery.body.get();
    let event_id = String::from(delivery.event_id);
    let sent_at = at.unix_seconds();
    let standard = |secret| signature::standard(secret, &event_id, sent_at, body.as_bytes());
    let mut signatures = standard(&secrets.current);
    if let Some(previous) = &secrets.previous {
        signatures.push(' ');
        signatures.push_str(&standard(previous));
    }
    let mut request = Request::new(Method::POST, url.as_url().clone());
    // The client clones all headers twice. Values in one shared allocation are cheap to clone.
    let mut buffer = BytesMut::with_capacity(VALUES + body.len());
    let mut value = |text: &str| {
        buffer.extend_from_slice(text.as_bytes());
        HeaderValue::from_maybe_shared(buffer.split().freeze())
            .expect("ids and signatures are visible ASCII")
    };
    let headers = request.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(SIGNATURE, value(&signature::guide(guide, body.as_bytes())));
    headers.insert(EVENT, HeaderValue::from_static(delivery.event.as_str()));
    headers.insert(TIMESTAMP, delivery.occurred_at.unix_seconds().into());
    headers.insert(DELIVERY, value(&String::from(delivery.delivery_id)));
    headers.insert(WEBHOOK_SIGNATURE, value(&signatures));
    headers.insert(WEBHOOK_ID, value(&event_id));
    headers.insert(WEBHOOK_TIMESTAMP, sent_at.into());
    buffer.extend_from_slice(body.as_bytes());
    *request.body_mut() = Some(buffer.freeze().into());
    request
}

/// Reads the part of the body that arrives by `ends_at`, up to the limit.
///
/// If the body is longer or slower, its connection is closed. A body that breaks off counts as complete.
async fn read_body(mut response: Response, ends_at: Instant) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_RESPONSE_BYTES
        && let Ok(Ok(Some(chunk))) = timeout_at(ends_at, response.chunk()).await
    {
        let room = MAX_RESPONSE_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    body
}
