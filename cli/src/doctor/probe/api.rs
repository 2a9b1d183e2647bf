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
    /// Such as `503 (The service is not available)`, with each of the `details`.
    pub(super) fn described(&self) -> String {
        let quoted = |text: &str| printable(first_chars(text, MAX_QUOTED));
        let Some(message) = self.body["message"].as_str() else { return self.status.to_string() };
        let details = self.body["details"].as_object().into_iter().flatten();
        let details = details.filter_map(|(name, reason)| {
            Some(format!(" {}: {}.", quoted(name), quoted(reason.as_str()?.trim_end_matches('.'))))
        });
        format!("{} ({}{})", self.status, quoted(message), details.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_described_with_its_message_and_each_of_its_details() {
        let described = |body| Answer { status: 422, body }.described();
        assert_eq!(described(Value::Null), "422");
        assert_eq!(described(json!({"message": "No.", "details": {}})), "422 (No.)");
        let details = json!({"events": "is empty", "url": "must not name 10.0.0.1"});
        let body = json!({"message": "No.", "details": details});
        let expected = "422 (No. events: is empty. url: must not name 10.0.0.1.)";
        assert_eq!(described(body), expected);
    }
}
