//! Reads configuration from the environment, once at start. An error names its variable.

mod addresses;

use std::fmt::Display;
use std::iter;
use std::net::SocketAddr;
use std::str::FromStr;

use ipnet::IpNet;
use tracing::warn;

use crate::endpoint::{EndpointPolicy, Protected};
use addresses::Addresses;

/// A missing or invalid variable; the function cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Not set, or empty.
    #[error("environment variable {0} is not set; template.yaml or Lambda must set it")]
    Missing(&'static str),
    /// The value cannot be parsed.
    #[error("environment variable {name} is wrong: {reason}")]
    Invalid {
        /// The variable, such as `WEBHOOKS_TABLE`.
        name: &'static str,
        /// The parser's message.
        reason: String,
    },
}

/// Fails if the variable is missing or empty.
pub fn required(name: &'static str) -> Result<String, EnvError> {
    optional(name).ok_or(EnvError::Missing(name))
}

/// `None` if the variable is missing or empty.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
pub fn optional(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Fails if the variable is missing or empty, or does not parse as `T`.
pub fn parsed<T>(name: &'static str) -> Result<T, EnvError>
where
    T: FromStr,
    T::Err: Display,
{
    parse(name, &required(name)?)
}

/// The default if the variable is missing or empty; fails if it does not parse as `T`.
pub fn parsed_or_default<T>(name: &'static str) -> Result<T, EnvError>
where
    T: FromStr + Default,
    T::Err: Display,
{
    optional(name).map_or_else(|| Ok(T::default()), |value| parse(name, &value))
}

/// The policy set by `ALLOW_HTTP_ENDPOINTS` (`true` or `false`) and `ALLOWED_NETWORKS` (comma-separated, may be
/// empty). It protects the Lambda Runtime API and every other address in the environment.
pub fn endpoint_policy() -> Result<EndpointPolicy, EnvError> {
    const NETWORKS: &str = "ALLOWED_NETWORKS";
    const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
    let networks = optional(NETWORKS).unwrap_or_default();
    let runtime_api: SocketAddr = parsed(RUNTIME_API)?;
    let Addresses { protected, invalid } = Addresses::in_variables(std::env::vars_os());
    for variable in invalid {
        warn!(
            variable,
            "cannot parse an address in an environment variable; deliveries to it are not blocked"
        );
    }
    Ok(EndpointPolicy {
        allow_http: parsed("ALLOW_HTTP_ENDPOINTS")?,
        allowed_networks: networks
            .split(',')
            .map(str::trim)
            .filter(|network| !network.is_empty())
            .map(|network| parse::<IpNet>(NETWORKS, network))
            .collect::<Result<_, _>>()?,
        protected: iter::once(Protected::from(runtime_api)).chain(protected).collect(),
    })
}

fn parse<T>(name: &'static str, value: &str) -> Result<T, EnvError>
where
    T: FromStr,
    T::Err: Display,
{
    value.parse().map_err(|error: T::Err| EnvError::Invalid { name, reason: error.to_string() })
}
