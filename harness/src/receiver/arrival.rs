//! A request that a receiver has read.

use std::io;

use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;
use webhooks::secret::SigningSecret;
use webhooks::signature;

/// Bytes to reserve for each read; enough for a delivery.
const READ_SIZE: usize = 4096;

#[derive(Debug, Clone)]
pub struct Arrival {
    /// When its last byte was read.
    pub at: Instant,
    /// Request line and headers, byte for byte.
    pub head: Bytes,
    pub body: Bytes,
}

impl Arrival {
    /// Reads a whole request; later bytes stay in the buffer.
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

    /// Name and value of each header, unchanged.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines().skip(1).filter_map(|line| line.split_once(": "))
    }

    /// A header's value; empty without the header.
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

    /// Whether `X-DocIntell-Signature` is valid: the HMAC of the raw body with the secret's text.
    #[must_use]
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let secret = SigningSecret::parse(secret).expect("the secret is valid");
        signature::guide_matches(&secret, &self.body, self.header("X-DocIntell-Signature"))
    }

    /// Whether the official library of Standard Webhooks accepts it.
    #[must_use]
    pub fn passes_standard_webhooks(&self, secret: &str) -> bool {
        let verifier = standardwebhooks::Webhook::new(secret).expect("the secret is valid");
        let parsed = self.headers().map(|(name, value)| {
            (name.parse().expect("the name is valid"), value.parse().expect("the value is valid"))
        });
        let headers: HeaderMap = parsed.collect();
        verifier.verify(&self.body, &headers).is_ok()
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        std::str::from_utf8(&self.head).unwrap_or_default().split("\r\n")
    }
}

async fn read_more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<()> {
    buffer.reserve(READ_SIZE);
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
