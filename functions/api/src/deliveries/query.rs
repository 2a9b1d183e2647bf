//! The query of a list of deliveries: its filters, its limit and its cursor.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use webhooks::delivery::DeliveryStatus;
use webhooks::event_type::EventType;
use webhooks::store::deliveries::{DeliveryFilter, Range};
use webhooks::timestamp::Timestamp;

use crate::cursor;
use crate::error::{ApiError, Details};
use crate::extract::{parameter, parameters, refuse_unknown};

pub(crate) const KNOWN: [&str; 8] =
    ["status", "event", "document_id", "job_id", "since", "until", "limit", "cursor"];

/// The query parameters of `GET …/deliveries`; any other one is an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeliveryQuery {
    /// `status`, `event`, `document_id` and `job_id`; by default all deliveries.
    pub filter: DeliveryFilter,
    /// `since`, `until` and `cursor`; by default the whole log.
    pub range: Range,
    /// `limit`, 1 to [`MAX_SIZE`](crate::page::MAX_SIZE), default [`DEFAULT_SIZE`].
    pub limit: usize,
}

impl DeliveryQuery {
    fn read(parameters: &[(String, String)]) -> Result<Self, Details> {
        let mut wrong = Details::new();
        let it = &mut wrong;
        refuse_unknown(parameters, &KNOWN, it);
        let filter = DeliveryFilter {
            statuses: parameter(parameters, "status", it, statuses),
            event: parameter(parameters, "event", it, event),
            document_id: parameter(parameters, "document_id", it, id),
            job_id: parameter(parameters, "job_id", it, id),
        };
        let range = Range {
            since: parameter(parameters, "since", it, time),
            until: parameter(parameters, "until", it, time),
            after: parameter(parameters, "cursor", it, cursor::position),
        };
        if let Some((since, until)) = range.since.zip(range.until)
            && since > until
        {
            it.insert("since".to_owned(), "must not be later than `until`".to_owned());
        }
        let limit = cursor::limit(parameters, it);
        if wrong.is_empty() { Ok(Self { filter, range, limit }) } else { Err(wrong) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DeliveryQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(&parameters(parts)?).map_err(ApiError::InvalidParameters)
    }
}

fn statuses(text: &str) -> Result<Vec<DeliveryStatus>, String> {
    let statuses = text.split(',').map(DeliveryStatus::from_name).collect::<Option<_>>();
    let known = || DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
    statuses.ok_or_else(|| format!("must be one or more of {}, separated by commas", known()))
}

fn event(text: &str) -> Result<EventType, String> {
    let known = || EventType::ALL.map(EventType::as_str).join(", ");
    EventType::from_name(text).ok_or_else(|| format!("must be one of {}", known()))
}

/// The pipeline's ids are any text.
fn id(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_malformed| {
        "must be an RFC 3339 time such as 2025-12-03T10:30:00Z, with `+` written as `%2B`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Cursor;
    use axum::extract::Query;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use webhooks::id::DeliveryId;

    fn read(query: &str) -> Result<DeliveryQuery, Vec<(String, String)>> {
        let parameters: Query<Vec<(String, String)>> =
            Query::try_from_uri(&format!("/?{query}").parse().unwrap()).unwrap();
        DeliveryQuery::read(&parameters).map_err(|wrong| wrong.into_iter().collect())
    }

    #[test]
    fn the_default_is_every_delivery_in_pages_of_twenty() {
        let (filter, range) = (DeliveryFilter::default(), Range::default());
        assert_eq!(read(""), Ok(DeliveryQuery { filter, range, limit: 20 }));
    }

    #[test]
    fn every_parameter_is_read() {
        let position = DeliveryId::random();
        let query = format!(
            "status=failed,skipped&event=document.uploaded&document_id=a%20b&job_id=%C3%A9&\
             since=2025-12-03T10:30:00%2B01:00&until=2025-12-03T09:30:00Z&limit=100&cursor={}",
            Cursor(position)
        );
        let at = Timestamp::parse("2025-12-03T09:30:00Z").ok();
        let expected = DeliveryQuery {
            filter: DeliveryFilter {
                statuses: Some(vec![DeliveryStatus::Failed, DeliveryStatus::Skipped]),
                event: Some(EventType::DocumentUploaded),
                document_id: Some("a b".to_owned()),
                job_id: Some("é".to_owned()),
            },
            range: Range { since: at, until: at, after: Some(position) },
            limit: 100,
        };
        assert_eq!(read(&query), Ok(expected));
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let status = "must be one or more of pending, delivered, failed, cancelled, skipped, separated by commas";
        let event = "must be one of document.uploaded, document.processing.completed, \
                     document.processing.failed";
        let time =
            "must be an RFC 3339 time such as 2025-12-03T10:30:00Z, with `+` written as `%2B`";
        let limit = "must be a whole number from 1 to 100";
        let cursor = "must be the `next_cursor` of another page";
        let twice = "is given more than once";
        let id = DeliveryId::random();
        let encoded = |bytes: &[u8]| format!("cursor={}", URL_SAFE_NO_PAD.encode(bytes));
        for (query, wrong) in [
            ("status=lost", vec![("status", status)]),
            ("status=", vec![("status", status)]),
            ("status=failed,", vec![("status", status)]),
            ("status=failed&status=skipped", vec![("status", twice)]),
            ("event=document.deleted", vec![("event", event)]),
            ("document_id=", vec![("document_id", "must not be empty")]),
            ("job_id=&document_id=x", vec![("job_id", "must not be empty")]),
            ("since=yesterday", vec![("since", time)]),
            ("until=2025-12-03T10:30:00+01:00", vec![("until", time)]),
            (
                "since=2025-12-03T10:30:01Z&until=2025-12-03T10:30:00Z",
                vec![("since", "must not be later than `until`")],
            ),
            ("limit=0", vec![("limit", limit)]),
            ("limit=%2B5", vec![("limit", limit)]),
            ("limit=101&page=2", vec![("limit", limit), ("page", "is not a known parameter")]),
            ("cursor=", vec![("cursor", cursor)]),
            (&format!("cursor={id}"), vec![("cursor", cursor)]),
            (&format!("cursor={}=", Cursor(id)), vec![("cursor", cursor)]),
            (&encoded(b"\xff\xfe"), vec![("cursor", cursor)]),
            (&encoded(b"not an id"), vec![("cursor", cursor)]),
            ("limit=x&since=y", vec![("limit", limit), ("since", time)]),
        ] {
            let wrong =
                wrong.into_iter().map(|(name, reason)| (name.to_owned(), reason.to_owned()));
            assert_eq!(read(query), Err(wrong.collect()), "{query}");
        }
    }
}
