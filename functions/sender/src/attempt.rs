//! One attempt: sign, post and read the head of the response, all within ten seconds.
//!
//! The rule: the status line decides. The response body is only for the log, and an error while reading it
//! changes nothing.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response};
use tokio::time::{Instant, timeout_at};
use webhooks::delivery::{Attempt, DeliveryMessage};
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::secret::SigningSecret;
use webhooks::signature;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::failure::Failure;
use crate::phases;

/// Time limit of an attempt: DNS, connect, TLS, sending, and the head of the response.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for reading a response body, within [`ATTEMPT_TIMEOUT`].
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
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

/// Posts `delivery` to `url` as attempt `number`. Returns the attempt for the log, the failure if there was one,
/// and the part of the response's body that was read.
pub(crate) async fn post(
    client: &Client,
    policy: &EndpointPolicy,
    url: &EndpointUrl,
    delivery: &DeliveryMessage,
    secret: &SigningSecret,
    number: u32,
) -> (Attempt, Option<Failure>, Vec<u8>) {
    let at = Timestamp::now();
    let begun = Instant::now();
    let ends_at = begun + ATTEMPT_TIMEOUT;
    let exchange = async {
        policy.check_url(url)?;
        Ok(client.execute(request(url, delivery, secret, at)).await?)
    };
    let exchange = async { timeout_at(ends_at, exchange).await.unwrap_or(Err(Failure::Timeout)) };
    let (result, phases) = phases::measured(exchange).await;
    let (status, failure, body) = match result {
        Ok(response) => {
            let status = response.status();
            let failure = Failure::of_response(&response, Timestamp::now());
            // Reads the body of a success too, because the connection can be reused only after that.
            let body = read_body(response, ends_at.min(Instant::now() + BODY_TIMEOUT)).await;
            (Some(status), failure, body)
        }
        Err(failure) => (None, Some(failure), Vec::new()),
    };
    let attempt = Attempt {
        chain: delivery.chain,
        number,
        at,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        phases,
        status_code: status.map(|status| status.as_u16()),
        error: failure.as_ref().map(ToString::to_string),
        response_body: failure.as_ref().and_then(|_| shown(&body)),
    };
    (attempt, failure, body)
}

/// The first 500 characters of a response's body; `None` if it is empty.
pub(crate) fn shown(body: &[u8]) -> Option<String> {
    (!body.is_empty()).then(|| printable(&String::from_utf8_lossy(body)))
}

/// The request with all its headers, except Host, Content-Length, Accept and User-Agent, which the client adds.
pub(crate) fn request(
    url: &EndpointUrl,
    delivery: &DeliveryMessage,
    secret: &SigningSecret,
    at: Timestamp,
) -> Request {
    let body = delivery.body.get();
    let event_id = String::from(delivery.event_id);
    let sent_at = at.unix_seconds();
    let signature = signature::standard(secret, &event_id, sent_at, body.as_bytes());
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
    headers.insert(SIGNATURE, value(&signature::guide(secret, body.as_bytes())));
    headers.insert(EVENT, HeaderValue::from_static(delivery.event.as_str()));
    headers.insert(TIMESTAMP, delivery.occurred_at.unix_seconds().into());
    headers.insert(DELIVERY, value(&String::from(delivery.delivery_id)));
    headers.insert(WEBHOOK_SIGNATURE, value(&signature));
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
