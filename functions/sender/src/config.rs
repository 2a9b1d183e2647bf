//! The sender function's whole environment, read once.

use std::path::PathBuf;
use std::time::Duration;

use webhooks::endpoint::EndpointPolicy;
use webhooks::env::{self, EnvError, parsed, required};

/// What `template.yaml` tells the function.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub webhooks_table: String,
    /// `DELIVERIES_TABLE`
    pub deliveries_table: String,
    /// `DELIVERY_LOG_DAYS`: how long a delivery's row is kept.
    pub keep_deliveries: Duration,
    /// `DELIVERY_QUEUE_URL`
    pub delivery_queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
    /// `PIPELINE_FAULTS_QUEUE_URL`
    pub pipeline_faults_queue_url: String,
    /// `SECRETS_PREFIX`
    pub secrets_prefix: String,
    /// `ALLOW_HTTP_ENDPOINTS`, `ALLOWED_NETWORKS` and the addresses of ours in the environment.
    pub endpoints: EndpointPolicy,
    /// `EXTRA_CA_FILE`: certificates in PEM that are trusted beside the public ones.
    pub extra_ca_file: Option<PathBuf>,
}

impl Config {
    /// Reads the environment; the error names the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, EnvError> {
        let days: u32 = parsed("DELIVERY_LOG_DAYS")?;
        Ok(Self {
            webhooks_table: required("WEBHOOKS_TABLE")?,
            deliveries_table: required("DELIVERIES_TABLE")?,
            keep_deliveries: Duration::from_hours(24) * days,
            delivery_queue_url: required("DELIVERY_QUEUE_URL")?,
            dead_letter_queue_url: required("DEAD_LETTER_QUEUE_URL")?,
            pipeline_faults_queue_url: required("PIPELINE_FAULTS_QUEUE_URL")?,
            secrets_prefix: required("SECRETS_PREFIX")?,
            endpoints: env::endpoint_policy()?,
            extra_ca_file: env::optional("EXTRA_CA_FILE").map(PathBuf::from),
        })
    }
}
