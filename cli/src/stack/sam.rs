//! A deployed stack's outputs, looked up by the SAM CLI: whoever deploys has it.
//!
//! The rule: SAM gets the region, the credentials and the endpoint that this program has found, so that both mean
//! the same stack.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_types::SdkConfig;
use serde::Deserialize;
use tokio::process::Command;

use super::Outputs;
use crate::progress::Progress;

/// What to do about a SAM CLI that is missing or too old.
const INSTALL: &str = "pip install --upgrade aws-sam-cli";

/// The outputs of the stack `name`.
pub(super) async fn outputs(name: &str, config: &SdkConfig) -> Result<Outputs> {
    let mut sam = Command::new("sam");
    sam.args(["list", "stack-outputs", "--output", "json", "--stack-name", name]);
    identify(&mut sam, config).await?;
    sam.env("SAM_CLI_TELEMETRY", "0").stdin(Stdio::null()).kill_on_drop(true);
    let task = Progress::Shown.begin("asking the SAM CLI for the stack's outputs");
    match task.watch(sam.output()).await {
        Ok(output) if output.status.success() => read(&output.stdout),
        Ok(output) => Err(explain(&output)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("the SAM CLI is not installed: install it with `{INSTALL}`")
        }
        Err(error) => Err(error).context("the SAM CLI cannot be started"),
    }
}

/// Has `sam` act as the person whose configuration this is.
async fn identify(sam: &mut Command, config: &SdkConfig) -> Result<()> {
    if let Some(region) = config.region() {
        sam.args(["--region", region.as_ref()]);
    }
    if let Some(url) = config.endpoint_url() {
        sam.env("AWS_ENDPOINT_URL", url);
    }
    let Some(provider) = config.credentials_provider() else { return Ok(()) };
    let credentials = provider.provide_credentials().await?;
    // It would take the profile's own credentials.
    sam.env_remove("AWS_PROFILE")
        .env("AWS_ACCESS_KEY_ID", credentials.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key());
    match credentials.session_token() {
        Some(token) => sam.env("AWS_SESSION_TOKEN", token),
        None => sam.env_remove("AWS_SESSION_TOKEN"),
    };
    Ok(())
}

/// Reads what `sam list stack-outputs --output json` prints.
fn read(printed: &[u8]) -> Result<Outputs> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        output_key: String,
        output_value: String,
    }
    let outputs: Vec<Output> = serde_json::from_slice(printed)
        .context("the SAM CLI's JSON cannot be read: install another version of it")?;
    let outputs: BTreeMap<_, _> =
        outputs.into_iter().map(|output| (output.output_key, output.output_value)).collect();
    serde_json::from_value(serde_json::to_value(outputs)?).context(
        "its outputs are not those of this version's template.yaml: deploy it again, or name \
         another stack",
    )
}

/// Why SAM failed, in its own words where it has any.
fn explain(output: &Output) -> anyhow::Error {
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No such command") {
        return anyhow!("the SAM CLI is too old to list outputs: upgrade it with `{INSTALL}`");
    }
    let error = said.lines().rev().find_map(|line| line.strip_prefix("Error: "));
    match error.or_else(|| said.lines().rev().find(|line| !line.trim().is_empty())) {
        Some(reason) => anyhow!("the SAM CLI says: {}", reason.trim()),
        None => anyhow!("the SAM CLI failed without a reason ({})", output.status),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    /// What SAM 1.170.0 printed for template.yaml on the local stack's emulator.
    const PRINTED: &str = include_str!("sam/stack-outputs.json");

    fn explained(stderr: &str) -> String {
        let (status, stderr) = (ExitStatus::from_raw(0x100), stderr.as_bytes().to_vec());
        explain(&Output { status, stdout: Vec::new(), stderr }).to_string()
    }

    #[test]
    fn outputs_are_read_as_sam_prints_them() {
        let outputs = read(PRINTED.as_bytes()).unwrap();
        assert_eq!(outputs.api_keys_table, "docintell-webhooks-ApiKeysTable-C909605F0588A");
        assert_eq!(outputs.jobs_table().unwrap(), "docintell-webhooks-JobsTable-483C5F93654BE");
    }

    #[test]
    fn a_stack_that_reads_another_jobs_table_has_none_of_its_own() {
        let outputs = read(PRINTED.replace("JobsTable\"", "Other\"").as_bytes()).unwrap();
        let error = outputs.jobs_table().unwrap_err().to_string();
        assert!(error.contains("--jobs-table"), "{error}");
    }

    #[test]
    fn another_templates_stack_is_told_apart() {
        let error = format!("{:#}", read(b"[]").unwrap_err());
        assert!(error.contains("template.yaml") && error.contains("api_url"), "{error}");
    }

    #[test]
    fn a_failure_is_told_in_sams_own_words() {
        let said = "Usage: sam\nError: The input stack x does not exist\n";
        assert_eq!(explained(said), "the SAM CLI says: The input stack x does not exist");
    }

    #[test]
    fn a_sam_without_the_command_is_to_be_upgraded() {
        let error = explained("Usage: sam\nError: No such command 'list'.\n");
        assert!(error.contains("pip install --upgrade"), "{error}");
    }
}
