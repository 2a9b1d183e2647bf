//! A job: one extraction run of one document, as the document pipeline writes it to the Jobs table.

use serde_json::value::RawValue;

use crate::id::TenantId;
use crate::named::named;
use crate::timestamp::Timestamp;

named! {
    /// A job's status, as the pipeline writes it.
    pub enum JobStatus {
        /// The job waits for extraction.
        Queued = "queued",
        /// Means the same as `queued`; some producers write it instead.
        Pending = "pending",
        /// Extraction is running.
        Processing = "processing",
        /// Extraction succeeded.
        Completed = "completed",
        /// Extraction failed.
        Failed = "failed",
    }
}

/// A job's row, read from a stream image.
#[derive(Debug, Clone)]
pub struct Job {
    /// The pipeline's id of the run: any text, copied unchanged.
    pub job_id: String,
    /// Any text, copied unchanged.
    pub document_id: String,
    /// Owner of the document; the owner's webhooks get the events.
    pub tenant_id: TenantId,
    /// Status after the write.
    pub status: JobStatus,
    /// In seconds, with the digits that DynamoDB returns.
    pub processing_time_seconds: Option<Box<RawValue>>,
    /// With the digits that DynamoDB returns.
    pub page_count: Option<Box<RawValue>>,
    /// Version of the intermediate representation that the run produced.
    pub ir_version: Option<String>,
    /// Why the run failed; the tenant sees it.
    pub error_message: Option<String>,
    /// When the pipeline wrote this status; the stream record's time if the row has none.
    pub updated_at: Timestamp,
}

impl Job {
    /// The job in the webhook guide's examples, with these ids and this time. Its events have every field.
    #[must_use]
    pub fn example(
        tenant_id: TenantId,
        document_id: String,
        job_id: String,
        updated_at: Timestamp,
    ) -> Self {
        let number = |digits: &str| RawValue::from_string(digits.to_owned()).ok();
        Self {
            job_id,
            document_id,
            tenant_id,
            status: JobStatus::Queued,
            processing_time_seconds: number("45.2"),
            page_count: number("12"),
            ir_version: Some("v001".to_owned()),
            error_message: Some("File is corrupted or password protected".to_owned()),
            updated_at,
        }
    }
}
