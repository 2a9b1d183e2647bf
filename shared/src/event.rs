//! Events, with the exact bytes that every endpoint receives.
//!
//! The rule: this module serialises a body once, with its keys in the published order. Later stages only copy
//! the bytes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event_type::{EventType, Field};
use crate::id::{EventId, TenantId};
use crate::job::{Job, JobStatus};
use crate::message::MessageJson;
use crate::text::first_chars;
use crate::timestamp::Timestamp;

/// Maximum size of an event's body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// Maximum characters of a job's `error_message` to send.
pub(crate) const MAX_ERROR_MESSAGE_CHARS: usize = 1024;

/// Sent if the job has no `error_message`: receivers expect the field.
const DEFAULT_ERROR_MESSAGE: &str = "Document processing failed";

/// An event with its serialised body.
#[derive(Debug, Clone)]
pub struct Event {
    /// The same for every webhook, and when the stream record is read again.
    pub id: EventId,
    /// `event` in the body.
    pub name: EventType,
    /// Owner of the document.
    pub tenant_id: TenantId,
    /// The job's `updated_at`, in whole seconds.
    pub occurred_at: Timestamp,
    /// The bytes to POST: compact JSON without characters that SQS refuses.
    pub body: Box<RawValue>,
}

/// Why [`Event::new`] failed.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The body is larger than 64 KiB.
    #[error("the event's body has {size} bytes; at most {MAX_BODY_BYTES} can be delivered")]
    BodyTooLarge {
        /// Size of the body in bytes.
        size: usize,
    },
    /// A field cannot be written as JSON.
    #[error("the event cannot be written as JSON")]
    Serialize(#[source] serde_json::Error),
}

impl Event {
    /// Serialises the body of an event of type `name`.
    pub fn new(id: EventId, name: EventType, job: &Job) -> Result<Self, EventError> {
        let occurred_at = job.updated_at.whole_seconds();
        let body = Body { event: name, timestamp: occurred_at, data: Data::of(name, job) };
        let body = MessageJson::of(&body)
            .and_then(MessageJson::into_raw)
            .map_err(EventError::Serialize)?;
        match body.get().len() {
            size if size > MAX_BODY_BYTES => Err(EventError::BodyTooLarge { size }),
            _ => Ok(Self { id, name, tenant_id: job.tenant_id, occurred_at, body }),
        }
    }
}

/// The document and the job that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subject {
    /// The pipeline's id: any text.
    pub document_id: String,
    /// The pipeline's id: any text.
    pub job_id: String,
}

impl Subject {
    /// Reads the ids from an event's body; `None` if it is not one.
    #[must_use]
    pub fn of_body(body: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            data: Subject,
        }
        serde_json::from_str(body).ok().map(|body: Body| body.data)
    }
}

/// The fields are in the published order.
#[derive(Serialize)]
struct Body<'a> {
    event: EventType,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    document_id: &'a str,
    job_id: &'a str,
    tenant_id: TenantId,
    status: JobStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    processing_time_seconds: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_count: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ir_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
}

impl<'a> Data<'a> {
    fn of(name: EventType, job: &'a Job) -> Self {
        let error_message = || match &job.error_message {
            Some(text) => first_chars(text, MAX_ERROR_MESSAGE_CHARS),
            None => DEFAULT_ERROR_MESSAGE,
        };
        Self {
            document_id: &job.document_id,
            job_id: &job.job_id,
            tenant_id: job.tenant_id,
            status: name.status(),
            processing_time_seconds: job
                .processing_time_seconds
                .as_deref()
                .filter(|_| name.carries(Field::ProcessingTime)),
            page_count: job.page_count.as_deref().filter(|_| name.carries(Field::PageCount)),
            ir_version: job.ir_version.as_deref().filter(|_| name.carries(Field::IrVersion)),
            error_message: name.carries(Field::ErrorMessage).then(error_message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: JobStatus) -> Job {
        let tenant = "770e8400-e29b-41d4-a716-446655440002".parse().unwrap();
        let document = "660e8400-e29b-41d4-a716-446655440001".to_owned();
        let job = "550e8400-e29b-41d4-a716-446655440000".to_owned();
        let at = Timestamp::parse("2025-12-03T10:30:00Z").unwrap();
        Job { status, ..Job::example(tenant, document, job, at) }
    }

    fn body(name: EventType, job: &Job) -> Result<String, EventError> {
        let id = EventId::of_record("1", job.updated_at);
        Event::new(id, name, job).map(|event| event.body.get().to_owned())
    }

    const IDS: &str = r#""document_id":"660e8400-e29b-41d4-a716-446655440001","job_id":"550e8400-e29b-41d4-a716-446655440000","tenant_id":"770e8400-e29b-41d4-a716-446655440002""#;

    #[test]
    fn an_upload_says_queued_even_if_the_row_says_pending() {
        assert_eq!(
            body(EventType::DocumentUploaded, &job(JobStatus::Pending)).unwrap(),
            format!(
                r#"{{"event":"document.uploaded","timestamp":"2025-12-03T10:30:00Z","data":{{{IDS},"status":"queued"}}}}"#
            )
        );
    }

    #[test]
    fn fields_that_the_job_lacks_are_left_out_of_completed() {
        let bare = Job {
            processing_time_seconds: None,
            page_count: None,
            ir_version: None,
            ..job(JobStatus::Completed)
        };
        assert_eq!(
            body(EventType::ProcessingCompleted, &bare).unwrap(),
            format!(
                r#"{{"event":"document.processing.completed","timestamp":"2025-12-03T10:30:00Z","data":{{{IDS},"status":"completed"}}}}"#
            )
        );
    }

    #[test]
    fn failed_always_has_an_error_message_of_bounded_length() {
        let silent = Job { error_message: None, ..job(JobStatus::Failed) };
        assert!(
            body(EventType::ProcessingFailed, &silent)
                .unwrap()
                .contains(r#""error_message":"Document processing failed""#)
        );
        let chatty = Job { error_message: Some("é".repeat(5000)), ..job(JobStatus::Failed) };
        assert!(
            body(EventType::ProcessingFailed, &chatty)
                .unwrap()
                .contains(&format!("\"{}\"", "é".repeat(1024)))
        );
    }

    #[test]
    fn a_character_that_sqs_refuses_is_escaped_in_every_field() {
        let bad = || "bad glyph \u{ffff}\u{fffe}".to_owned();
        let job = |status| Job {
            job_id: bad(),
            document_id: bad(),
            ir_version: Some(bad()),
            error_message: Some(bad()),
            ..job(status)
        };
        let escaped = r#":"bad glyph \uffff\ufffe""#;
        for (name, status, fields) in [
            (EventType::DocumentUploaded, JobStatus::Queued, 2),
            (EventType::ProcessingCompleted, JobStatus::Completed, 3),
            (EventType::ProcessingFailed, JobStatus::Failed, 3),
        ] {
            assert_eq!(body(name, &job(status)).unwrap().matches(escaped).count(), fields);
        }
    }

    #[test]
    fn a_body_over_64_kib_is_refused() {
        let huge =
            Job { ir_version: Some("v".repeat(MAX_BODY_BYTES)), ..job(JobStatus::Completed) };
        assert!(matches!(
            body(EventType::ProcessingCompleted, &huge),
            Err(EventError::BodyTooLarge { .. })
        ));
    }

    #[test]
    fn the_timestamp_is_in_whole_seconds() {
        let precise = Job {
            updated_at: Timestamp::parse("2025-12-03T10:30:00.75Z").unwrap(),
            ..job(JobStatus::Queued)
        };
        assert!(
            body(EventType::DocumentUploaded, &precise)
                .unwrap()
                .contains(r#""timestamp":"2025-12-03T10:30:00Z""#)
        );
    }
}
