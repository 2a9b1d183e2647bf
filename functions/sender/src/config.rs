//! The sender function's environment variables, read once at startup.

use std::path::PathBuf;
use std::time::Duration;

use webhooks::endpoint::EndpointPolicy;
use webhooks::env::{self, EnvError, parsed, required};

use crate::client_errors::RetriedClientErrors;

/// The environment variables that `template.yaml` sets.
#[derive(Debug, Clone)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub(crate) webhooks_table: String,
    /// `WEBHOOK_AUDIT_TABLE`
    pub(crate) webhook_audit_table: String,
    /// `AUDIT_DAYS`: how long a change stays in its webhook's history.
    pub(crate) keep_audit: Duration,
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
    /// `RETRIED_CLIENT_ERRORS`: some of 408, 425 and 429, separated by commas. May be empty.
    pub(crate) retried_client_errors: RetriedClientErrors,
    /// `DISABLE_AFTER_DAYS`: how long a webhook may fail without one success before it is switched off.
    pub(crate) disable_after: Duration,
    /// `METRICS_NAMESPACE`
    pub(crate) metrics_namespace: String,
}

impl Config {
    /// Reads the environment; the error names the variable that is missing or invalid.
    pub fn from_env() -> Result<Self, EnvError> {
        let days = |name| parsed(name).map(|days: u32| Duration::from_hours(24) * days);
        Ok(Self {
            webhooks_table: required("WEBHOOKS_TABLE")?,
            webhook_audit_table: required("WEBHOOK_AUDIT_TABLE")?,
            keep_audit: days("AUDIT_DAYS")?,
            deliveries_table: required("DELIVERIES_TABLE")?,
            keep_deliveries: days("DELIVERY_LOG_DAYS")?,
            delivery_queue_url: required("DELIVERY_QUEUE_URL")?,
            dead_letter_queue_url: required("DEAD_LETTER_QUEUE_URL")?,
            pipeline_faults_queue_url: required("PIPELINE_FAULTS_QUEUE_URL")?,
            secrets_prefix: required("SECRETS_PREFIX")?,
            endpoints: env::endpoint_policy()?,
            extra_ca_file: env::optional("EXTRA_CA_FILE").map(PathBuf::from),
            retried_client_errors: env::parsed_or_default("RETRIED_CLIENT_ERRORS")?,
            disable_after: days("DISABLE_AFTER_DAYS")?,
            metrics_namespace: required("METRICS_NAMESPACE")?,
        })
    }
}
