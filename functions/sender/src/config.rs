//! The sender function's environment variables, read once at startup.

use std::path::PathBuf;
use std::time::Duration;

use webhooks::endpoint::EndpointPolicy;
use webhooks::env::{self, EnvError, parsed, required};

/// The environment variables that `template.yaml` sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub(crate) webhooks_table: String,
    /// `DELIVERIES_TABLE`
    pub(crate) deliveries_table: String,
    /// `DELIVERY_LOG_DAYS`: how long a delivery's row is kept after its last change.
    pub(crate) keep_deliveries: Duration,
    /// `DELIVERY_QUEUE_URL`
    pub(crate) delivery_queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub(crate) dead_letter_queue_url: String,
    /// `PIPELINE_FAULTS_QUEUE_URL`
    pub(crate) pipeline_faults_queue_url: String,
    /// `SECRETS_PREFIX`
    pub(crate) secrets_prefix: String,
    /// `ALLOW_HTTP_ENDPOINTS` and `ALLOWED_NETWORKS`. The addresses of our own services, from other variables,
    /// stay protected.
    pub(crate) endpoints: EndpointPolicy,
    /// `EXTRA_CA_FILE`: PEM with certificate authorities to trust in addition to the public ones.
    pub(crate) extra_ca_file: Option<PathBuf>,
}

impl Config {
    /// Reads the environment; the error names the variable that is missing or invalid.
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
