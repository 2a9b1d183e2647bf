//! Finds the addresses of services in environment variables.
//!
//! The rule: an error has the variable's name and never its value, which may contain a password.

use std::ffi::OsString;

use crate::endpoint::{Protected, parse_protected};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Endpoints may not reach these.
    pub protected: Vec<Protected>,
    /// Names of the variables that contain an invalid address.
    pub invalid: Vec<String>,
}

impl Addresses {
    /// Parses the variables that contain addresses and ignores the others. An empty one counts as missing.
    pub(super) fn in_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut found = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| has_address(name)) else { continue };
            if value.is_empty() {
                continue;
            }
            let (protected, is_complete) = value.to_str().map(parse_protected).unwrap_or_default();
            found.protected.extend(protected);
            if !is_complete {
                found.invalid.push(name.to_owned());
            }
        }
        found
    }
}

/// Variables of Lambda, its extensions, agents and proxies that contain an address. [`has_address`] adds
/// `AWS_ENDPOINT_URL…` and OpenTelemetry's.
const ADDRESSES: [&str; 17] = [
    "AWS_LAMBDA_METADATA_API",
    "AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "AWS_EMF_AGENT_ENDPOINT",
    "AWS_APPCONFIG_EXTENSION_HTTP_PORT",
    "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT",
    "DD_TRACE_AGENT_URL",
    "DD_TRACE_AGENT_PORT",
    "DD_DOGSTATSD_PORT",
    "STATSD_PORT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
];

fn has_address(name: &str) -> bool {
    // Proxy variables are also written in lower case.
    let name = name.to_ascii_uppercase();
    ADDRESSES.contains(&name.as_str())
        || name.starts_with("AWS_ENDPOINT_URL")
        || name.starts_with("OTEL_EXPORTER_") && name.ends_with("ENDPOINT")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn addresses_are_protected_and_invalid_variables_are_named() {
        let variables = [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://secrets.example"),
            ("AWS_XRAY_DAEMON_ADDRESS", "tcp:daemon:2000 udp:daemon:2001"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/v1/traces"),
            ("https_proxy", "http://proxy:3128"),
            ("AWS_LAMBDA_METADATA_API", "nonsense"),
            ("HTTP_PROXY", ""),
            ("DELIVERY_QUEUE_URL", "https://sqs.example:7777/queue"),
            ("PATH", "/usr/bin:/bin"),
        ];
        let found =
            Addresses::in_variables(variables.map(|(name, value)| (name.into(), value.into())));
        let emulator = Protected::from(SocketAddr::from(([127, 0, 0, 1], 4566)));
        let mut protected = vec![Protected::Port(4566), emulator];
        protected.extend([443, 2000, 2001, 4318, 3128].map(Protected::Port));
        let invalid = vec!["AWS_LAMBDA_METADATA_API".to_owned()];
        assert_eq!(found, Addresses { protected, invalid });
    }
}
