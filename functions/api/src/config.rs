//! The function's whole environment, read once at start.

use webhooks::endpoint::EndpointPolicy;
use webhooks::env::{self, EnvError};

/// What `template.yaml` tells the function.
#[derive(Debug)]
pub struct Config {
    /// `WEBHOOKS_TABLE`
    pub webhooks_table: String,
    /// `API_KEYS_TABLE`
    pub api_keys_table: String,
    /// `SECRETS_PREFIX`: what the names of signing secrets begin with, without a slash at its end.
    pub secrets_prefix: String,
    /// `MAX_WEBHOOKS_PER_TENANT`
    pub max_webhooks_per_tenant: u32,
    /// `CHANGES_PER_MINUTE`: requests of one tenant that change something.
    pub changes_per_minute: u32,
    /// `ALLOW_HTTP_ENDPOINTS`, `ALLOWED_NETWORKS` and the addresses of ours in the environment.
    pub endpoint_policy: EndpointPolicy,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, EnvError> {
        Ok(Self {
            webhooks_table: env::required("WEBHOOKS_TABLE")?,
            api_keys_table: env::required("API_KEYS_TABLE")?,
            secrets_prefix: env::required("SECRETS_PREFIX")?,
            max_webhooks_per_tenant: env::parsed("MAX_WEBHOOKS_PER_TENANT")?,
            changes_per_minute: env::parsed("CHANGES_PER_MINUTE")?,
            endpoint_policy: env::endpoint_policy()?,
        })
    }
}
