//! The fanout function's environment variables, read once at startup.

use std::time::Duration;

use webhooks::env::{EnvError, parsed, required};

/// The environment variables that `template.yaml` sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub(crate) webhooks_table: String,
    /// `DELIVERIES_TABLE`
    pub(crate) deliveries_table: String,
    /// `DELIVERY_LOG_DAYS`: how long a delivery's row is kept after its last change.
    pub(crate) keep_deliveries: Duration,
    /// `SKIPPED_EVENT_DAYS`: how long events are logged as skipped after a webhook stops getting deliveries.
    pub(crate) skip_for: Duration,
    /// `DELIVERY_QUEUE_URL`
    pub(crate) delivery_queue_url: String,
    /// `PIPELINE_FAULTS_QUEUE_URL`
    pub(crate) pipeline_faults_queue_url: String,
    /// `METRICS_NAMESPACE`
    pub(crate) metrics_namespace: String,
}

impl Config {
    /// Reads the environment; the error names the variable that is missing or invalid.
    pub fn from_env() -> Result<Self, EnvError> {
        Ok(Self {
            webhooks_table: required("WEBHOOKS_TABLE")?,
            deliveries_table: required("DELIVERIES_TABLE")?,
            keep_deliveries: days("DELIVERY_LOG_DAYS")?,
            skip_for: days("SKIPPED_EVENT_DAYS")?,
            delivery_queue_url: required("DELIVERY_QUEUE_URL")?,
            pipeline_faults_queue_url: required("PIPELINE_FAULTS_QUEUE_URL")?,
            metrics_namespace: required("METRICS_NAMESPACE")?,
        })
    }
}

/// A duration in whole days.
fn days(name: &'static str) -> Result<Duration, EnvError> {
    Ok(Duration::from_hours(24) * parsed::<u32>(name)?)
}
