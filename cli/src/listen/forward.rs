//! Passes requests on to another server on this machine.
//!
//! The rule: method, headers and body stay as they are, because the other server verifies them too. Only headers that
//! belong to one connection, and the host, are those of the new request.

use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use reqwest::Url;

use super::received::Received;
use crate::http::loopback_client;

/// Longer than the service waits, for a server that stops at a breakpoint.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Headers about a connection, and those that the new request or response gets of its own.
const OF_CONNECTION: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[derive(Debug, Clone)]
pub(crate) struct Forward {
    http: reqwest::Client,
    url: Url,
}

/// The other server's response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Forward {
    pub(crate) fn to(url: Url) -> Result<Self> {
        Ok(Self { http: loopback_client()?, url })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) async fn send(&self, received: &Received) -> Result<Response> {
        let request = self
            .http
            .request(received.method.clone(), self.url.clone())
            .headers(end_to_end(&received.headers))
            .body(received.body.clone())
            .timeout(TIMEOUT);
        let response = request.send().await.context("no response")?;
        let (status, headers) = (response.status(), end_to_end(response.headers()));
        let body = response.bytes().await.context("the response ended early")?;
        Ok(Response { status, headers, body })
    }
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in OF_CONNECTION {
        headers.remove(name);
    }
    headers
}

/// A URL for plain http, because the server is on this machine.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    url.ok_or_else(|| {
        "not an http:// URL; expected that of a server on this machine, such as \
         http://127.0.0.1:8000/webhooks"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_forwarded_to() {
        assert!(url("http://localhost:8000/webhooks?a=1").is_ok());
        for text in ["", "localhost:8000", "8000", "https://127.0.0.1/", "ftp://a"] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
