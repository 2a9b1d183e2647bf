//! A tenant's endpoint: it reads each post whole and counts it, waits as long as it is told, and answers; some
//! deliveries it can fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio_rustls::TlsAcceptor;

use crate::server::{Answer, Server};

/// What a proxy says when what is behind it does not answer.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long it takes to answer.
    pub wait: Duration,
    /// Whether it keeps its connections open.
    pub keeps_connections: bool,
    /// Which deliveries it fails.
    pub failing: Option<Failing>,
}

impl Manner {
    /// Answers at once, on connections that stay open, and takes everything.
    pub const PROMPT: Self = Self { wait: Duration::ZERO, keeps_connections: true, failing: None };
}

/// Which deliveries fail.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    /// One in so many, in the order in which they come.
    pub one_in: usize,
    /// How often each of these fails before it succeeds.
    pub attempts: u32,
}

/// A running endpoint.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    scheme: &'static str,
    seen: Arc<Mutex<Seen>>,
}

/// What has reached it.
#[derive(Debug, Default)]
struct Seen {
    posts: u64,
    bytes: u64,
    /// By delivery, how often it still fails.
    failures: HashMap<String, u32>,
}

impl Receiver {
    /// An endpoint over http, or over https with the certificate of `tls`.
    pub async fn start(manner: Manner, tls: Option<TlsAcceptor>) -> Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let server = Server::start(tls, {
            let seen = Arc::clone(&seen);
            move |post| {
                let fails = lock(&seen).take(&post, manner.failing);
                async move {
                    if !manner.wait.is_zero() {
                        tokio::time::sleep(manner.wait).await;
                    }
                    let mut answer = answer(fails);
                    if !manner.keeps_connections {
                        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    answer
                }
            }
        })
        .await?;
        Ok(Self { server, scheme, seen })
    }

    /// Its URL, by name, so that a new connection has to resolve one.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://localhost:{}/webhooks/docintell", self.scheme, self.server.address().port())
    }

    /// Posts since the last time, and the bytes of their heads and bodies.
    #[must_use]
    pub fn take(&self) -> (u64, u64) {
        let mut seen = lock(&self.seen);
        (std::mem::take(&mut seen.posts), std::mem::take(&mut seen.bytes))
    }

    /// Posts since the last time, which must be `expected`: a figure of posts that did not arrive would
    /// be of nothing.
    pub fn take_posts(&self, expected: u64) -> Result<()> {
        let (posts, _) = self.take();
        ensure!(posts == expected, "{posts} posts arrived where {expected} were expected");
        Ok(())
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// Counts a post; whether it fails.
    fn take(&mut self, post: &Request<Bytes>, failing: Option<Failing>) -> bool {
        self.posts += 1;
        self.bytes += size(post);
        let Some(failing) = failing else { return false };
        let id = post.headers().get("x-docintell-delivery").map(|id| id.as_bytes().to_vec());
        let id = String::from_utf8(id.unwrap_or_default()).unwrap_or_default();
        let is_chosen = self.failures.len().is_multiple_of(failing.one_in);
        let attempts = if is_chosen { failing.attempts } else { 0 };
        let left = self.failures.entry(id).or_insert(attempts);
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        fails
    }
}

/// Bytes of a request as HTTP/1.1 writes it.
fn size(request: &Request<Bytes>) -> u64 {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let line = request.method().as_str().len() + path + "  HTTP/1.1\r\n".len();
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let head = line + headers.map(|bytes| bytes + ": \r\n".len()).sum::<usize>() + 2;
    (head + request.body().len()) as u64
}

fn answer(fails: bool) -> Answer {
    let mut answer = Response::new(Full::default());
    if fails {
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        *answer.body_mut() = Full::new(Bytes::from_static(BAD_GATEWAY.as_bytes()));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(id: usize) -> Request<Bytes> {
        let request = Request::post("/hook").header("x-docintell-delivery", id.to_string());
        request.body(Bytes::from_static(b"body")).unwrap()
    }

    #[test]
    fn one_in_three_deliveries_fails_as_often_as_told() {
        let failing = Some(Failing { one_in: 3, attempts: 1 });
        let mut seen = Seen::default();
        let mut round = || (0..6).map(|id| seen.take(&post(id), failing)).collect::<Vec<_>>();
        assert_eq!(round(), [true, false, false, true, false, false]);
        assert_eq!(round(), [false; 6]);
    }

    #[test]
    fn a_request_is_as_large_as_it_is_written() {
        let text = "POST /hook HTTP/1.1\r\nx-docintell-delivery: 7\r\n\r\nbody";
        assert_eq!(size(&post(7)), text.len() as u64);
    }
}
