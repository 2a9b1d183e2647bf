//! Deploys the template to the emulator.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Options;
use super::build::Binary;
use crate::program;
use crate::stack::Outputs;

/// Loopback addresses, in the form of the template's `AllowedNetworks`.
pub(super) const LOOPBACK: &str = "127.0.0.0/8,::1/128";

/// The template parameters of a local stack: this machine's processor, endpoints on loopback, and a very high limit of
/// changes.
pub(super) fn parameters() -> Result<BTreeMap<String, String>> {
    let parameters = [
        ("Architecture", architecture()?),
        ("AllowHttpEndpoints", "true"),
        ("AllowedNetworks", LOOPBACK),
        ("ChangesPerMinute", "100000"),
    ];
    Ok(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// Lambda's name for this machine's processor.
pub(super) fn architecture() -> Result<&'static str> {
    match ARCH {
        "x86_64" => Ok("x86_64"),
        "aarch64" => Ok("arm64"),
        other => bail!("Lambda has no {other} processors, so the functions cannot run here"),
    }
}

/// The functions' environment variables, in the format of `sam local --env-vars`.
pub(super) fn env_vars(folder: &Path) -> PathBuf {
    folder.join("sam-env.json")
}

/// Deploys the template with these binaries for its functions.
pub(super) async fn deploy(
    options: &Options,
    python: &Path,
    endpoint: &str,
    binaries: &[Binary],
    parameters: &BTreeMap<String, String>,
) -> Result<Outputs> {
    let task = options.progress.begin("deploying template.yaml");
    let mut command = Command::new(python);
    command
        .arg(options.checkout.script("deploy.py"))
        .args(["--endpoint", endpoint, "--template"])
        .arg(options.checkout.template())
        .args(["--parameters", &serde_json::to_string(parameters)?])
        .arg("--env-vars")
        .arg(env_vars(&options.folder))
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
