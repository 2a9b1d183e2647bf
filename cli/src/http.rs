//! An HTTP client for the stack on this machine, and what counts as the URL of a server.

use std::sync::Arc;

use anyhow::{Context, Result};
use reqwest::Url;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// A client for plain http on this machine. It trusts no certificate, uses no proxy and follows no redirect.
pub fn loopback_client() -> Result<reqwest::Client> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client cannot be created")
}

/// True for a URL of http or https that names a host.
pub(crate) fn is_web(url: &Url) -> bool {
    url.has_host() && matches!(url.scheme(), "http" | "https")
}
