//! The replay function's environment variables, read once at startup.

use std::time::Duration;

use webhooks::env::{EnvError, parsed, required};

/// The environment variables that `template.yaml` sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub(crate) webhooks_table: String,
    /// `REPLAYS_TABLE`
    pub(crate) replays_table: String,
    /// `DELIVERIES_TABLE`
    pub(crate) deliveries_table: String,
    /// `DELIVERY_LOG_DAYS`: how long the rows of deliveries and replays are kept after their last change.
    pub(crate) keep_deliveries: Duration,
    /// `DELIVERY_QUEUE_URL`
    pub(crate) delivery_queue_url: String,
    /// `REPLAY_QUEUE_URL`
    pub(crate) replay_queue_url: String,
    /// `PIPELINE_FAULTS_QUEUE_URL`
    pub(crate) pipeline_faults_queue_url: String,
    /// `METRICS_NAMESPACE`
    pub(crate) metrics_namespace: String,
}

impl Config {
    /// Reads the environment; the error names the variable that is missing or invalid.
    pub fn from_env() -> Result<Self, EnvError> {
        let days: u32 = parsed("DELIVERY_LOG_DAYS")?;
        Ok(Self {
            webhooks_table: required("WEBHOOKS_TABLE")?,
            replays_table: required("REPLAYS_TABLE")?,
            deliveries_table: required("DELIVERIES_TABLE")?,
            keep_deliveries: Duration::from_hours(24) * days,
            delivery_queue_url: required("DELIVERY_QUEUE_URL")?,
            replay_queue_url: required("REPLAY_QUEUE_URL")?,
            pipeline_faults_queue_url: required("PIPELINE_FAULTS_QUEUE_URL")?,
            metrics_namespace: required("METRICS_NAMESPACE")?,
        })
    }
}
