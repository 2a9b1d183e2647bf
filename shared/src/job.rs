//! A job: one extraction run of one document, as the document pipeline writes it to the Jobs table.

use serde_json::value::RawValue;

use crate::id::TenantId;
use crate::named::named;
use crate::timestamp::Timestamp;

named! {
    /// Where a job stands.
    pub enum JobStatus {
        /// Waiting to be processed.
        Queued = "queued",
        /// What some producers write in place of `queued`.
        Pending = "pending",
        /// Being extracted.
        Processing = "processing",
        /// Extracted.
        Completed = "completed",
        /// Given up.
        Failed = "failed",
    }
}

/// A job's row, read from a stream image.
#[derive(Debug, Clone)]
pub struct Job {
    /// The pipeline's id of the run; opaque to us, copied as it is.
    pub job_id: String,
    /// The document's id; opaque to us, copied as it is.
    pub document_id: String,
    /// Whose document it is.
    pub tenant_id: TenantId,
    /// Where the run stands.
    pub status: JobStatus,
    /// Seconds of processing, with the digits that DynamoDB holds.
    pub processing_time_seconds: Option<Box<RawValue>>,
    /// Pages of the document, with the digits that DynamoDB holds.
    pub page_count: Option<Box<RawValue>>,
    /// Version of the intermediate representation that was produced.
    pub ir_version: Option<String>,
    /// Why the run failed.
    pub error_message: Option<String>,
    /// When the pipeline wrote this state, or when the stream says it was written.
    pub updated_at: Timestamp,
}
