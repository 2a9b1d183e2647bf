//! The route of a webhook's history: who has changed it, what and when, also after its deletion.
//!
//! The rule: the key of every read is the tenant of the API key and the webhook of the path, so a cursor shows nothing
//! of another webhook.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use webhooks::audit::{Action, Change, Fields};
use webhooks::id::{ChangeId, KeyId, WebhookKey};
use webhooks::store::audit::Page;
use webhooks::timestamp::Timestamp;

use crate::AppState;
use crate::auth::Tenant;
use crate::cursor::{self, Cursor};
use crate::error::{ApiError, Details};
use crate::extract::{PathId, parameter, parameters, refuse_unknown};
use crate::handlers::{Shared, find};

/// The query parameters of `GET …/audit`; any other one is an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AuditQuery {
    /// `cursor`; by default the list begins with the latest change.
    after: Option<ChangeId>,
    /// `limit`, 1 to [`MAX_SIZE`](crate::page::MAX_SIZE), default [`DEFAULT_SIZE`](crate::page::DEFAULT_SIZE).
    limit: usize,
}

/// A page of a webhook's changes, latest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangeList)]
pub(crate) struct ChangeList<'a> {
    changes: Vec<ChangeView<'a>>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A change of a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
struct ChangeView<'a> {
    /// Each change of a webhook is later than the one before.
    at: Timestamp,
    /// The API key that was used; null if the service or an operator made the change.
    key_id: Option<KeyId>,
    action: Action,
    /// The fields that have changed, as they were; null for a creation.
    #[schema(value_type = Option<Object>)]
    before: Option<&'a Fields>,
    /// The fields that have changed, as they are since; null for a deletion.
    #[schema(value_type = Option<Object>)]
    after: Option<&'a Fields>,
}

/// `GET /v1/webhooks/{webhook_id}/audit`
pub(crate) async fn list(
    Tenant { id: tenant, .. }: Tenant,
    AuditQuery { after, limit }: AuditQuery,
    PathId(id): PathId,
    State(state): Shared,
) -> Result<Response, ApiError> {
    let webhook = WebhookKey { tenant_id: tenant, webhook_id: id };
    let page = state.audit.list(webhook, after, limit).await?;
    // A history outlives its webhook, and a webhook can be older than its history.
    if page.changes.is_empty() && (after.is_none() || !has_history(&state, webhook).await?) {
        find(&state, tenant, id).await?;
    }
    Ok(Json(ChangeList::of(&page)).into_response())
}

async fn has_history(state: &AppState, webhook: WebhookKey) -> Result<bool, ApiError> {
    Ok(!state.audit.list(webhook, None, 1).await?.changes.is_empty())
}

impl AuditQuery {
    fn read(parameters: &[(String, String)]) -> Result<Self, Details> {
        let mut wrong = Details::new();
        refuse_unknown(parameters, &["limit", "cursor"], &mut wrong);
        let after = parameter(parameters, "cursor", &mut wrong, cursor::position);
        let limit = cursor::limit(parameters, &mut wrong);
        if wrong.is_empty() { Ok(Self { after, limit }) } else { Err(wrong) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AuditQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(&parameters(parts)?).map_err(ApiError::InvalidParameters)
    }
}

impl<'a> ChangeList<'a> {
    fn of(page: &'a Page) -> Self {
        Self {
            changes: page.changes.iter().map(ChangeView::of).collect(),
            next_cursor: page.next.map(|position| Cursor(position).to_string()),
        }
    }
}

impl<'a> ChangeView<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            at: change.at,
            key_id: change.actor.key_id(),
            action: change.action,
            before: change.before.as_ref(),
            after: change.after.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameters: &[(&str, &str)]) -> Result<AuditQuery, Vec<String>> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let parameters: Vec<_> = parameters.iter().map(owned).collect();
        AuditQuery::read(&parameters).map_err(|wrong| wrong.into_keys().collect())
    }

    #[test]
    fn a_cursor_and_a_limit_are_read() {
        assert_eq!(read(&[]), Ok(AuditQuery { after: None, limit: 20 }));
        let last = ChangeId::random();
        let query = read(&[("limit", "100"), ("cursor", &Cursor(last).to_string())]);
        assert_eq!(query, Ok(AuditQuery { after: Some(last), limit: 100 }));
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let id = ChangeId::random().to_string();
        for (parameters, wrong) in [
            ([("limit", "0"), ("cursor", "")], vec!["cursor", "limit"]),
            ([("limit", "101"), ("cursor", &id)], vec!["cursor", "limit"]),
            ([("limit", "1"), ("limit", "1")], vec!["limit"]),
            ([("page", "1"), ("action", "create")], vec!["action", "page"]),
        ] {
            let wrong: Vec<String> = wrong.into_iter().map(str::to_owned).collect();
            assert_eq!(read(&parameters), Err(wrong), "{parameters:?}");
        }
    }
}
