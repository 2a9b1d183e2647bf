//! The template, deployed to the emulator.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::build::Binary;
use crate::checkout;
use crate::child;
use crate::steps::Steps;

/// The stack's outputs that programs need.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outputs {
    pub(super) jobs_table: String,
    pub(super) webhooks_table: String,
    pub(super) api_keys_table: String,
    pub(super) deliveries_table: String,
    pub(super) delivery_queue_url: String,
    pub(super) dead_letter_queue_url: String,
    pub(super) pipeline_faults_queue_url: String,
}

/// The template's parameters on this machine: its processor, endpoints on loopback, and practically unlimited
/// changes.
pub(super) fn parameters() -> Result<BTreeMap<String, String>> {
    let architecture = match ARCH {
        "x86_64" => "x86_64",
        "aarch64" => "arm64",
        other => bail!("Lambda has no {other} processors, so the functions cannot run here"),
    };
    let parameters = [
        ("Architecture", architecture),
        ("AllowHttpEndpoints", "true"),
        ("AllowedNetworks", "127.0.0.0/8,::1/128"),
        ("ChangesPerMinute", "100000"),
    ];
    Ok(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// Deploys the template with `binaries` for its functions.
pub(super) async fn deploy(
    steps: Steps,
    python: &Path,
    endpoint: &str,
    binaries: &[Binary],
    parameters: &BTreeMap<String, String>,
) -> Result<Outputs> {
    let step = steps.begin("deploying template.yaml");
    let mut command = Command::new(python);
    command
        .arg(checkout::script("deploy.py"))
        .args(["--endpoint", endpoint, "--template"])
        .arg(checkout::template())
        .args(["--parameters", &serde_json::to_string(parameters)?])
        .stdin(Stdio::null());
    for Binary { name, path } in binaries {
        command.arg("--binary").arg(format!("{name}={}", path.display()));
    }
    let answer = child::run(&step, &mut command).await?;
    let outputs = serde_json::from_str(&answer)
        .context("template.yaml lacks an output that this program needs")?;
    step.done("template.yaml deployed");
    Ok(outputs)
}
