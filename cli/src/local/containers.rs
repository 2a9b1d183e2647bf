//! A Docker network through which functions in containers, such as those of `sam local`, reach the stack. The
//! emulated AWS listens on the network's gateway, which is an address of this machine.
//!
//! The rule: the program removes a network that it has created.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{StackInfo, deploy};
use crate::checkout::display_path;
use crate::output;
use crate::program;
use crate::progress::{Progress, Task};

/// Marks networks that this program has created. If a run is killed, the next one removes its network.
const LABEL: &str = "docintell.local";

/// A Docker network whose gateway is this machine.
#[derive(Debug)]
pub(super) struct Network {
    name: String,
    gateway: Ipv4Addr,
    /// In CIDR notation, such as `172.18.0.0/16`.
    subnet: String,
    /// Whether this program has created it.
    is_managed: bool,
}

impl Network {
    /// Opens the network, and creates it if it does not exist.
    pub(super) async fn open(name: &str, progress: Progress) -> Result<Self> {
        let task = progress.begin("opening the Docker network");
        if Command::new("docker").arg("--version").output().is_err() {
            bail!(
                "--docker-network needs Docker, and there is no `docker` in the PATH: install it"
            );
        }
        let networks = docker(&task, &["network", "ls", "--format", "{{.Name}}"]).await?;
        if !networks.lines().any(|network| network == name) {
            // On an internal network, containers reach this machine only.
            docker(&task, &["network", "create", "--internal", "--label", LABEL, name]).await?;
        }
        let answer = docker(&task, &["network", "inspect", "--format", "{{json .}}", name]).await?;
        let network = Self::read(name, &answer)?;
        network.ensure_gateway_is_local()?;
        task.done(format_args!("Docker network {name}, gateway {}", network.gateway));
        Ok(network)
    }

    /// Parses the output of `docker network inspect`.
    fn read(name: &str, answer: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            #[serde(rename = "IPAM")]
            addresses: Addresses,
            labels: Option<BTreeMap<String, String>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Addresses {
            config: Option<Vec<Range>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Range {
            subnet: String,
            gateway: Option<String>,
        }
        let Inspected { addresses, labels } = serde_json::from_str(answer)
            .with_context(|| format!("cannot parse `docker network inspect` for network {name}"))?;
        // A network may have an IPv6 range as well, or no gateway at all, like `host`.
        let range = addresses.config.into_iter().flatten().find_map(|Range { subnet, gateway }| {
            Some((gateway?.parse::<Ipv4Addr>().ok()?, subnet))
        });
        let Some((gateway, subnet)) = range else {
            bail!(
                "Docker network {name} has no gateway with an IPv4 address: choose another network"
            );
        };
        let is_managed = labels.is_some_and(|labels| labels.contains_key(LABEL));
        Ok(Self { name: name.to_owned(), gateway, subnet, is_managed })
    }

    fn ensure_gateway_is_local(&self) -> Result<()> {
        match TcpListener::bind((self.gateway, 0)) {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => bail!(
                "{}, the gateway of Docker network {}, is not an address of this machine. Docker \
                 runs rootless or in a virtual machine (Docker Desktop), and its containers cannot \
                 reach the local stack: use a Docker engine on this machine",
                self.gateway,
                self.name
            ),
            _ => Ok(()),
        }
    }

    /// This machine's address in the network.
    pub(super) fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// The template parameter that allows endpoints on loopback and in this network.
    pub(super) fn parameter(&self) -> (String, String) {
        ("AllowedNetworks".to_owned(), format!("{},{}", deploy::LOOPBACK, self.subnet))
    }

    pub(super) fn print_examples(&self, info: &StackInfo, env_vars: &Path) -> Result<()> {
        let architecture =
            format!("--parameter-overrides Architecture={}", deploy::architecture()?);
        let options = format!(
            "--docker-network {} --env-vars {} {architecture}",
            self.name,
            display_path(env_vars),
        );
        output::line(format_args!(
            r"Functions in containers (first put your API key, tenant and webhook into the sample events):

  export AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
  sam build {architecture}
  sam local invoke FanoutFunction --event events/stream-batch.json {options}
  sam local start-api --port 3001 {options}
",
            info.aws_endpoint_url, info.region,
        ))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if !self.is_managed {
            return;
        }
        let mut remove = Command::new("docker");
        remove.args(["network", "rm", &self.name]).stdin(Stdio::null());
        if !remove.output().is_ok_and(|output| output.status.success()) {
            output::note(format_args!(
                "Docker network {0} is still in use: stop its containers, then remove it with \
                 `docker network rm {0}`.",
                self.name
            ));
        }
    }
}

/// Runs docker; returns its output without the final newline.
async fn docker(task: &Task, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("docker");
    let output = program::run(task, command.args(arguments).stdin(Stdio::null())).await?;
    Ok(output.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipv4_gateway_is_used() {
        let answer = r#"{"IPAM": {"Config": [
            {"Subnet": "fd00::/64", "Gateway": "fd00::1"},
            {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}
        ]}, "Labels": {}}"#;
        let network = Network::read("n", answer).unwrap();
        assert_eq!(network.gateway, Ipv4Addr::new(172, 18, 0, 1));
        let (name, networks) = network.parameter();
        assert_eq!(name, "AllowedNetworks");
        assert_eq!(networks, "127.0.0.0/8,::1/128,172.18.0.0/16");
        assert!(!network.is_managed, "docintell must not remove a network without its label");
    }

    #[test]
    fn a_network_without_a_gateway_is_refused() {
        let answer = r#"{"IPAM": {"Config": null}, "Labels": null}"#;
        let error = Network::read("host", answer).unwrap_err().to_string();
        assert!(error.contains("host has no gateway"), "{error}");
    }
}
