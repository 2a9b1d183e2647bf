//! The stack's API, called with a key or without.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::Value;
use webhooks::secret::ApiKey;
use webhooks::text::{first_chars, printable};
use webhooks::tls;

use crate::http::loopback_client;

/// Longer than the API's own time limit.
const TIMEOUT: Duration = Duration::from_secs(35);
/// Maximum characters of a response to repeat.
const MAX_QUOTED: usize = 200;

#[derive(Debug)]
pub(super) struct Api {
    http: reqwest::Client,
    url: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Null if it is not JSON.
    pub(super) body: Value,
}

impl Api {
    /// The API at `url`, on this machine or on AWS.
    pub(super) fn at(url: &str) -> Result<Self> {
        let http = if url.starts_with("https:") {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls::client(tls::public_authorities()))
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .context("the HTTP client cannot be created")?
        } else {
            loopback_client()?
        };
        Ok(Self { http, url: url.to_owned() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request. The error says why there was no answer.
    pub(super) async fn send(
        &self,
        key: Option<&ApiKey>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).timeout(TIMEOUT);
        if let Some(key) = key {
            request = request.bearer_auth(key.expose());
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let reason = |error: reqwest::Error| {
            if error.is_timeout() {
                format!("no answer within {} s", TIMEOUT.as_secs())
            } else {
                webhooks::aws::chain(&error.without_url())
            }
        };
        let response = request.send().await.map_err(reason)?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(reason)?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default() })
    }
}

impl Answer {
    /// Such as `503, "The service is not available"`.
    pub(super) fn described(&self) -> String {
        match self.body["message"].as_str() {
            Some(message) => {
                format!("{} ({})", self.status, printable(first_chars(message, MAX_QUOTED)))
            }
            None => self.status.to_string(),
        }
    }
}
