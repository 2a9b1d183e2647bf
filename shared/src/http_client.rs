//! HTTP as we ask for it, of endpoints and of DynamoDB.
//!
//! The rule: one request is one request, to the address that was asked for. What follows from its answer is
//! decided where it is counted, never unseen below.

use reqwest::{Client, ClientBuilder, redirect, retry};
use rustls::ClientConfig;

/// A client that makes no second request by itself: no redirects, no retries, no proxy; HTTP/1.1.
pub fn http_client(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
}
