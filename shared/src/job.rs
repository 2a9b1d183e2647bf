//! A job: one extraction run of one document, as the document pipeline writes it to the Jobs table.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::TenantId;
use crate::timestamp::Timestamp;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Waiting to be processed.
    Queued,
    /// What some producers write in place of `queued`.
    Pending,
    /// Being extracted.
    Processing,
    /// Extracted.
    Completed,
    /// Given up.
    Failed,
}

impl JobStatus {
    /// The status as it stands in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The status of that name, if it is one of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Queued, Self::Pending, Self::Processing, Self::Completed, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
