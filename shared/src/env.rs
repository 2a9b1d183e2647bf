//! Reads configuration from the environment, once at start. An error names its variable.

mod addresses;

use std::fmt::Display;
use std::iter;
use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use tracing::warn;

use crate::endpoint::{EndpointPolicy, Protected};
use addresses::Addresses;

const NETWORKS: &str = "ALLOWED_NETWORKS";

/// A missing or invalid variable; the function cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Not set, or empty.
    #[error("environment variable {0} is not set; template.yaml or Lambda must set it")]
    Missing(&'static str),
    /// Lambda's value, or the local stack's, cannot be parsed.
    #[error("environment variable {name} is wrong: {reason}")]
    Invalid {
        /// The variable, such as `AWS_ENDPOINT_URL`.
        name: &'static str,
        /// The parser's message.
        reason: String,
    },
    /// The stack has a parameter that the function cannot use.
    #[error("parameter {} (environment variable {variable}) is wrong: {reason}", parameter(.variable))]
    Parameter {
        /// The variable with the parameter's value, such as `ALLOWED_NETWORKS`.
        variable: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
}

/// The parameter of `template.yaml` behind a variable: `AllowedNetworks` for `ALLOWED_NETWORKS`.
fn parameter(variable: &str) -> String {
    let capitalized = |word: &str| {
        let (first, rest) = word.split_at(1);
        format!("{first}{}", rest.to_ascii_lowercase())
    };
    variable.split('_').filter(|word| !word.is_empty()).map(capitalized).collect()
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

/// The value of a parameter. Fails if the variable is missing or empty, or does not parse as `T`.
pub fn parsed<T>(name: &'static str) -> Result<T, EnvError>
where
    T: FromStr,
    T::Err: Display,
{
    parse(name, &required(name)?)
}

/// The value of a parameter, or the default if the variable is missing or empty; fails if it does not parse as `T`.
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
    const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
    let runtime_api: SocketAddr =
        required(RUNTIME_API)?.parse().map_err(|error: AddrParseError| EnvError::Invalid {
            name: RUNTIME_API,
            reason: error.to_string(),
        })?;
    let Addresses { protected, invalid } = Addresses::in_variables(std::env::vars_os());
    for variable in invalid {
        warn!(
            variable,
            "cannot parse an address in an environment variable; deliveries to it are not blocked"
        );
    }
    Ok(EndpointPolicy {
        allow_http: parsed("ALLOW_HTTP_ENDPOINTS")?,
        allowed_networks: allowed_networks(&optional(NETWORKS).unwrap_or_default())?,
        protected: iter::once(Protected::from(runtime_api)).chain(protected).collect(),
    })
}

/// The value of `ALLOWED_NETWORKS`: networks in CIDR notation, separated by commas.
pub fn allowed_networks(value: &str) -> Result<Vec<IpNet>, EnvError> {
    let networks = value.split(',').map(str::trim).filter(|network| !network.is_empty());
    networks.map(|network| parse(NETWORKS, network)).collect()
}

fn parse<T>(variable: &'static str, value: &str) -> Result<T, EnvError>
where
    T: FromStr,
    T::Err: Display,
{
    value.parse().map_err(|error: T::Err| EnvError::Parameter {
        variable,
        reason: format!("`{value}`: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_parameter_behind_the_variable() {
        let error = parse::<IpNet>("ALLOWED_NETWORKS", "10.0.0.0/33").unwrap_err().to_string();
        let expected = "parameter AllowedNetworks (environment variable ALLOWED_NETWORKS) is wrong: \
                        `10.0.0.0/33`: invalid IP address syntax";
        assert_eq!(error, expected);
    }
}
