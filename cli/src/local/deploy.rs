//! The template, deployed to the emulator.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::build::Binary;
use crate::checkout::Checkout;
use crate::program;
use crate::progress::Progress;
use crate::stack::Outputs;

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
    checkout: &Checkout,
    progress: Progress,
    python: &Path,
    endpoint: &str,
    binaries: &[Binary],
    parameters: &BTreeMap<String, String>,
) -> Result<Outputs> {
    let task = progress.begin("deploying template.yaml");
    let mut command = Command::new(python);
    command
        .arg(checkout.script("deploy.py"))
        .args(["--endpoint", endpoint, "--template"])
        .arg(checkout.template())
        .args(["--parameters", &serde_json::to_string(parameters)?])
        .stdin(Stdio::null());
    for Binary { name, path } in binaries {
        command.arg("--binary").arg(format!("{name}={}", path.display()));
    }
    let answer = program::run(&task, &mut command).await?;
    let outputs = serde_json::from_str(&answer)
        .context("template.yaml lacks an output that this program needs")?;
    task.done("template.yaml deployed");
    Ok(outputs)
}
