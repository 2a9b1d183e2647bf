//! One request as it came.

use std::io;

use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;
use webhooks::secret::SigningSecret;
use webhooks::signature;

/// Room for a delivery.
const READ: usize = 4096;

/// A request that has reached a receiver, byte for byte.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When its last byte was read.
    pub at: Instant,
    /// Request line and headers.
    pub head: Bytes,
    /// The body.
    pub body: Bytes,
}

impl Arrival {
    /// Reads a request whole; what follows it stays in the buffer.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut BytesMut,
    ) -> io::Result<Self> {
        loop {
            if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = buffer.split_to(end + 4).freeze();
                let mut arrival = Self { at: Instant::now(), head, body: Bytes::new() };
                let length = arrival.header("content-length").parse().unwrap_or(0);
                while buffer.len() < length {
                    read_more(stream, buffer).await?;
                }
                arrival.body = buffer.split_to(length).freeze();
                arrival.at = Instant::now();
                return Ok(arrival);
            }
            read_more(stream, buffer).await?;
        }
    }

    /// Method, target and version.
    #[must_use]
    pub fn request_line(&self) -> &str {
        self.lines().next().unwrap_or_default()
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.request_line().split(' ').nth(1).unwrap_or_default()
    }

    /// Name and value of each header, as they were written.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines().skip(1).filter_map(|line| line.split_once(": "))
    }

    /// A header's value; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("bodies are JSON")
    }

    /// Whether the guide's receiver would accept it: the header against the HMAC of the raw body under
    /// the literal secret.
    #[must_use]
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let secret = SigningSecret::parse(secret).expect("the secret has its form");
        signature::guide_matches(&secret, &self.body, self.header("X-DocIntell-Signature"))
    }

    /// Whether the official library of Standard Webhooks accepts it.
    #[must_use]
    pub fn passes_standard_webhooks(&self, secret: &str) -> bool {
        let verifier = standardwebhooks::Webhook::new(secret).expect("the secret has its form");
        let parsed = self
            .headers()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let headers: HeaderMap = parsed.collect();
        verifier.verify(&self.body, &headers).is_ok()
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        std::str::from_utf8(&self.head).unwrap_or_default().split("\r\n")
    }
}

async fn read_more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<()> {
    buffer.reserve(READ);
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
