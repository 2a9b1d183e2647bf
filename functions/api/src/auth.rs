//! Authentication: from the `Authorization` header to the tenant.
//!
//! The rule: the first argument of every handler is [`Tenant`], or [`Changing`] if it changes something or posts
//! to an endpoint. Axum runs extractors in order, so nothing else of a request is read before its key. Only the
//! [`documents`](crate::documents) need no key.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tracing::Span;
use tracing::field::display;

use webhooks::id::{KeyId, TenantId};
use webhooks::secret::ApiKey;
use webhooks::store::rate_limit::Limit;
use webhooks::timestamp::Timestamp;

use crate::AppState;
use crate::error::ApiError;
use crate::extract::PathId;

/// The tenant that owns the request's API key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenant {
    pub id: TenantId,
    /// Not secret; may be logged.
    pub key: KeyId,
}

/// The tenant of a request that changes something or posts to an endpoint. The request counts towards the
/// tenant's limit of changes, even if it fails later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changing(pub Tenant);

impl FromRequestParts<Arc<AppState>> for Tenant {
    type Rejection = ApiError;

    /// A well-formed key costs one hash and one read, whether it is known or not. A malformed one is refused
    /// without a read. All invalid keys get the same error.
    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<AppState>,
    ) -> Result<Self, ApiError> {
        let header = parts.headers.get(AUTHORIZATION).ok_or(ApiError::MissingApiKey)?;
        let key = bearer_key(header).ok_or(ApiError::InvalidApiKey)?;
        let record = state
            .api_keys
            .find(&key)
            .await?
            .filter(|record| record.is_valid_at(Timestamp::now()))
            .ok_or(ApiError::InvalidApiKey)?;
        let span = Span::current();
        span.record("tenant.id", display(record.tenant_id));
        span.record("key.id", display(record.key_id));
        // Recorded now: the log line names the webhook even if the request is refused later.
        if let Ok(PathId(id)) = PathId::from_request_parts(parts, state).await {
            span.record("webhook.id", display(id));
        }
        Ok(Self { id: record.tenant_id, key: record.key_id })
    }
}

impl FromRequestParts<Arc<AppState>> for Changing {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<AppState>,
    ) -> Result<Self, ApiError> {
        let tenant = Tenant::from_request_parts(parts, state).await?;
        let limit = Limit::Changes { tenant: tenant.id, per_minute: state.changes_per_minute };
        state.rate_limiter.take(limit, Timestamp::now()).await?;
        Ok(Self(tenant))
    }
}

/// The key in `Bearer <key>`; the scheme is case-insensitive (RFC 9110, section 11.1).
fn bearer_key(header: &HeaderValue) -> Option<ApiKey> {
    let (scheme, key) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return None;
    }
    ApiKey::parse(key.trim_matches(' ')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dk_test_EXAMPLE-EXAMPLE-EXAMPLE-EXAMPLE-EXAMPLE-abc";

    fn has_key(header: &str) -> bool {
        bearer_key(&HeaderValue::from_str(header).unwrap()).is_some()
    }

    #[test]
    fn a_bearer_key_is_accepted() {
        for scheme in ["Bearer ", "bearer ", "BEARER  "] {
            assert!(has_key(&format!("{scheme}{KEY}")), "{scheme}");
        }
    }

    #[test]
    fn any_other_header_has_no_key() {
        for header in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            KEY.to_owned(),
            format!("Basic {KEY}"),
            format!("Bearer{KEY}"),
            format!("Bearer {KEY}x"),
            format!("Bearer {KEY}, Bearer {KEY}"),
            format!("Bearer \"{KEY}\""),
            "Bearer é".to_owned(),
        ] {
            assert!(!has_key(&header), "{header}");
        }
    }
}
