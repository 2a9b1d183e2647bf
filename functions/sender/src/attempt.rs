//! One attempt: sign, post, and read the answer's head, all within ten seconds.
//!
//! The rule: the status line decides. An answer's body is for the log alone, so nothing that a body does or
//! fails to do changes the outcome.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use webhooks::delivery::{Attempt, DeliveryMessage};
use webhooks::endpoint::{EndpointPolicy, EndpointUrl};
use webhooks::secret::SigningSecret;
use webhooks::signature;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::failure::Failure;

/// What an attempt may take in all: DNS, connect, TLS, sending, the answer's head.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer's body is read, within [`ATTEMPT_TIMEOUT`].
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of an answer's body is read.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;

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
    /// 2xx.
    Success,
    /// 4xx: the endpoint says that another attempt is no use.
    ClientError,
    /// The endpoint may not be called at all.
    Refused,
    /// Anything else; another attempt may succeed.
    Failure,
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
    let ends_at = begun + ATTEMPT_TIMEOUT;
    let exchange = async {
        policy.check_url(url)?;
        Ok(client.execute(request(url, message, secret, at)).await?)
    };
    let result = timeout_at(ends_at, exchange).await.unwrap_or(Err(Failure::Timeout));
    let (answer, status, error, response_body) = match result {
        Ok(response) => {
            let status = response.status();
            let body = read_body(response, ends_at.min(Instant::now() + BODY_TIMEOUT)).await;
            let (answer, error) = judge(status);
            let shown = error.as_ref().map(|_| printable(&String::from_utf8_lossy(&body)));
            (answer, Some(status), error, shown.filter(|text| !text.is_empty()))
        }
        Err(failure) => {
            let refused = matches!(failure, Failure::Refused(_));
            let answer = if refused { Answer::Refused } else { Answer::Failure };
            (answer, None, Some(printable(&failure.to_string())), None)
        }
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

/// What a status says, and the error to log for it.
fn judge(status: StatusCode) -> (Answer, Option<String>) {
    let answer = match status {
        status if status.is_success() => return (Answer::Success, None),
        status if status.is_client_error() => Answer::ClientError,
        _ => Answer::Failure,
    };
    (answer, Some(format!("the endpoint answered {}", status.as_u16())))
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

/// What arrives of the body by `ends_at`, up to the cap.
///
/// A body that has not ended by then is dropped, and its connection with it. One that breaks off is as good as
/// one that ends.
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
