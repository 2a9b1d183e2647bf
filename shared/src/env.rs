//! Reading configuration from the environment: once, at start, naming the variable that is wrong.

mod addresses;

use std::fmt::Display;
use std::iter;
use std::net::SocketAddr;
use std::str::FromStr;

use ipnet::IpNet;
use tracing::warn;

use crate::endpoint::{EndpointPolicy, Protected};
use addresses::Addresses;

/// A variable that keeps the program from starting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Not set, or set to nothing.
    #[error("environment variable {0} is not set; template.yaml, or Lambda itself, sets it")]
    Missing(&'static str),
    /// Set to something that cannot be read.
    #[error("environment variable {name} is wrong: {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
}

/// The value of a variable that must be there and not be empty.
pub fn required(name: &'static str) -> Result<String, EnvError> {
    optional(name).ok_or(EnvError::Missing(name))
}

/// The value of a variable that may be missing; an empty one counts as missing.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn optional(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A required variable of another type than text.
pub fn parsed<T>(name: &'static str) -> Result<T, EnvError>
where
    T: FromStr,
    T::Err: Display,
{
    parse(name, &required(name)?)
}

/// The endpoint policy: `ALLOW_HTTP_ENDPOINTS` (`true` or `false`), `ALLOWED_NETWORKS` (networks with
/// commas between, may be empty), and every address of ours in the environment, which stays protected.
pub fn endpoint_policy() -> Result<EndpointPolicy, EnvError> {
    const NETWORKS: &str = "ALLOWED_NETWORKS";
    const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
    let networks = optional(NETWORKS).unwrap_or_default();
    let runtime_api: SocketAddr = parsed(RUNTIME_API)?;
    let Addresses { protected, unreadable } = Addresses::in_variables(std::env::vars_os());
    for variable in unreadable {
        warn!(
            variable,
            "cannot read the address in an environment variable; endpoints are not kept from it"
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
