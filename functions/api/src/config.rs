//! The api function's configuration, read from the environment once at start.

use std::time::Duration;

use webhooks::endpoint::EndpointPolicy;
use webhooks::env::{self, EnvError};

/// The environment variables that `template.yaml` sets.
#[derive(Debug)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub(crate) webhooks_table: String,
    /// `WEBHOOK_AUDIT_TABLE`
    pub(crate) webhook_audit_table: String,
    /// `AUDIT_DAYS`: how long a change stays in its webhook's history.
    pub(crate) keep_audit: Duration,
    /// `API_KEYS_TABLE`
    pub(crate) api_keys_table: String,
    /// `DELIVERIES_TABLE`
    pub(crate) deliveries_table: String,
    /// `DELIVERY_LOG_DAYS`: how long a delivery's row is kept after its last change.
    pub(crate) keep_deliveries: Duration,
    /// `DELIVERY_QUEUE_URL`
    pub(crate) delivery_queue_url: String,
    /// `REPLAYS_TABLE`
    pub(crate) replays_table: String,
    /// `REPLAY_QUEUE_URL`
    pub(crate) replay_queue_url: String,
    /// `REPLAY_RATE` and `MAX_REPLAY_RATE`
    pub(crate) replay_rate: ReplayRate,
    /// `SECRETS_PREFIX`: the first part of every signing secret's name, without a trailing slash.
    pub(crate) secrets_prefix: String,
    /// `SENDER_FUNCTION_NAME`
    pub(crate) sender_function: String,
    /// `MAX_WEBHOOKS_PER_TENANT`
    pub(crate) max_webhooks_per_tenant: u32,
    /// `CHANGES_PER_MINUTE`: a tenant's creates, updates, rotations, deletes, tests, retries and changes of replays
    /// together.
    pub(crate) changes_per_minute: u32,
    /// `REQUIRE_TESTED_ENDPOINTS`: a webhook with a new URL gets nothing but tests until one succeeds.
    pub(crate) require_tested_endpoints: bool,
    /// From `ALLOW_HTTP_ENDPOINTS` and `ALLOWED_NETWORKS`; protects every address that the environment names.
    pub(crate) endpoint_policy: EndpointPolicy,
    /// `METRICS_NAMESPACE`
    pub metrics_namespace: String,
}

/// Deliveries per second of a replay.
#[derive(Debug, Clone, Copy)]
pub struct ReplayRate {
    /// If the request does not say.
    pub default: u32,
    /// The most that a request may ask for.
    pub max: u32,
}

impl Config {
    /// Fails on a variable that is missing or malformed, and names it.
    pub fn from_env() -> Result<Self, EnvError> {
        let days = |name| env::parsed(name).map(|days: u32| Duration::from_hours(24) * days);
        Ok(Self {
            webhooks_table: env::required("WEBHOOKS_TABLE")?,
            webhook_audit_table: env::required("WEBHOOK_AUDIT_TABLE")?,
            keep_audit: days("AUDIT_DAYS")?,
            api_keys_table: env::required("API_KEYS_TABLE")?,
            deliveries_table: env::required("DELIVERIES_TABLE")?,
            keep_deliveries: days("DELIVERY_LOG_DAYS")?,
            delivery_queue_url: env::required("DELIVERY_QUEUE_URL")?,
            replays_table: env::required("REPLAYS_TABLE")?,
            replay_queue_url: env::required("REPLAY_QUEUE_URL")?,
            replay_rate: ReplayRate::from_env()?,
            secrets_prefix: env::required("SECRETS_PREFIX")?,
            sender_function: env::required("SENDER_FUNCTION_NAME")?,
            max_webhooks_per_tenant: env::parsed("MAX_WEBHOOKS_PER_TENANT")?,
            changes_per_minute: env::parsed("CHANGES_PER_MINUTE")?,
            require_tested_endpoints: env::parsed("REQUIRE_TESTED_ENDPOINTS")?,
            endpoint_policy: env::endpoint_policy()?,
            metrics_namespace: env::required("METRICS_NAMESPACE")?,
        })
    }
}

impl ReplayRate {
    /// Fails if the default is above the maximum. CloudFormation cannot compare two parameters.
    fn from_env() -> Result<Self, EnvError> {
        const DEFAULT: &str = "REPLAY_RATE";
        let rate = Self { default: env::parsed(DEFAULT)?, max: env::parsed("MAX_REPLAY_RATE")? };
        if rate.default > rate.max {
            let (default, max) = (rate.default, rate.max);
            let reason = format!(
                "{default} is more than MaxReplayRate, {max}: lower it, or raise MaxReplayRate"
            );
            return Err(EnvError::Parameter { variable: DEFAULT, reason });
        }
        Ok(rate)
    }
}
