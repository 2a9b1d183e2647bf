//! A request as it arrived, before anything is known about it.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, Method};
use webhooks::text::visible;
use webhooks::timestamp::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) at: Timestamp,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    /// A header's first value, without white space around it.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(visible(String::from_utf8_lossy(value.as_bytes()).trim()))
    }

    /// The name of a header that may have a signature, but is none of the service's own.
    pub(crate) fn foreign_signature(&self) -> Option<&HeaderName> {
        let is_foreign = |name: &&HeaderName| {
            let name = name.as_str();
            name.contains("signature")
                && !["x-docintell-signature", "webhook-signature"].contains(&name)
        };
        self.headers.keys().find(is_foreign)
    }
}
