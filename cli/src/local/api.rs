//! The local stack's API, called by its tenant.
//!
//! The rule: errors quote the API's own message.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::StackInfo;
use crate::http;

/// Longer than the API's own time limit.
const TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Api {
    pub(crate) fn new(info: &StackInfo) -> Result<Self> {
        let StackInfo { outputs, api_key, .. } = info;
        let http = http::loopback_client()?;
        Ok(Self { http, url: outputs.api_url.clone(), key: api_key.clone() })
    }

    /// Sends a request and returns the response's JSON. A status other than 2xx is an error.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let (status, text) = self.exchange(method, path, body).await?;
        expect_success(path, status, &text)?;
        serde_json::from_str(&text).ok().context("the API's response is not JSON")
    }

    /// Succeeds also if there is nothing to delete.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        match self.exchange(Method::DELETE, path, None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(()),
            (status, text) => expect_success(path, status, &text),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, String)> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.key).timeout(TIMEOUT);
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
            None => request,
        };
        let response = request.send().await.context("the API does not answer")?;
        let status = response.status();
        let text = response.text().await.context("the API's response ended early")?;
        Ok((status, text))
    }
}

fn expect_success(path: &str, status: StatusCode, text: &str) -> Result<()> {
    if !status.is_success() {
        bail!("the API refused the request to {path}: {status}, {text}");
    }
    Ok(())
}
