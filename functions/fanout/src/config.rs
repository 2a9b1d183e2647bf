//! The fanout function's environment variables, read once at startup.

use webhooks::env::{EnvError, required};

/// The environment variables that `template.yaml` sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub(crate) webhooks_table: String,
    /// `DELIVERY_QUEUE_URL`
    pub(crate) delivery_queue_url: String,
    /// `PIPELINE_FAULTS_QUEUE_URL`
    pub(crate) pipeline_faults_queue_url: String,
}

impl Config {
    /// Reads the environment; the error names the variable that is missing.
    pub fn from_env() -> Result<Self, EnvError> {
        Ok(Self {
            webhooks_table: required("WEBHOOKS_TABLE")?,
            delivery_queue_url: required("DELIVERY_QUEUE_URL")?,
            pipeline_faults_queue_url: required("PIPELINE_FAULTS_QUEUE_URL")?,
        })
    }
}
