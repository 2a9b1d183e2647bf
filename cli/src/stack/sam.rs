//! Looks up a deployed stack's outputs with the SAM CLI, which is also the tool to deploy it.
//!
//! The rule: SAM gets this program's region, credentials and endpoint, so both use the same stack.

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

/// The command that installs or upgrades the SAM CLI.
const INSTALL: &str = "pip install --upgrade aws-sam-cli";

/// The outputs of the stack `name`, which must be those of this version's template.
pub(super) async fn outputs(name: &str, config: &SdkConfig) -> Result<Outputs> {
    typed(named_outputs(name, config).await?)
}

/// The outputs of the stack `name`, whatever its template is.
pub(super) async fn named_outputs(
    name: &str,
    config: &SdkConfig,
) -> Result<BTreeMap<String, String>> {
    let mut sam = Command::new("sam");
    sam.args(["list", "stack-outputs", "--output", "json", "--stack-name", name]);
    configure(&mut sam, config).await?;
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

/// Passes the configuration's region, endpoint and credentials to `sam`.
async fn configure(sam: &mut Command, config: &SdkConfig) -> Result<()> {
    if let Some(region) = config.region() {
        sam.args(["--region", region.as_ref()]);
    }
    if let Some(url) = config.endpoint_url() {
        sam.env("AWS_ENDPOINT_URL", url);
    }
    let Some(provider) = config.credentials_provider() else { return Ok(()) };
    let credentials = provider.provide_credentials().await?;
    // With a profile, sam would use the profile's credentials.
    sam.env_remove("AWS_PROFILE")
        .env("AWS_ACCESS_KEY_ID", credentials.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key());
    match credentials.session_token() {
        Some(token) => sam.env("AWS_SESSION_TOKEN", token),
        None => sam.env_remove("AWS_SESSION_TOKEN"),
    };
    Ok(())
}

/// Parses the output of `sam list stack-outputs --output json`.
fn read(printed: &[u8]) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        output_key: String,
        output_value: String,
    }
    let outputs: Vec<Output> =
        serde_json::from_slice(printed).context("cannot parse the SAM CLI's JSON: upgrade it")?;
    Ok(outputs.into_iter().map(|output| (output.output_key, output.output_value)).collect())
}

/// The outputs by name, as those of this version's template.
pub(super) fn typed(outputs: BTreeMap<String, String>) -> Result<Outputs> {
    serde_json::from_value(serde_json::to_value(outputs)?).context(
        "its outputs differ from this version's template.yaml: deploy it again, or choose \
         another stack",
    )
}

/// Makes an error of SAM's own message, if there is one.
fn explain(output: &Output) -> anyhow::Error {
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains("No such command") {
        return anyhow!("the SAM CLI is too old to list outputs: upgrade it with `{INSTALL}`");
    }
    let error = stderr.lines().rev().find_map(|line| line.strip_prefix("Error: "));
    match error.or_else(|| stderr.lines().rev().find(|line| !line.trim().is_empty())) {
        Some(reason) => anyhow!(
            "the SAM CLI failed: {}: check the stack's name, the region and the credentials",
            reason.trim().trim_end_matches('.')
        ),
        None => anyhow!("the SAM CLI failed without a message ({})", output.status),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    /// Output of SAM 1.170.0 for template.yaml on the local stack's emulator.
    const SAM_OUTPUT: &str = include_str!("sam/stack-outputs.json");

    fn explained(stderr: &str) -> String {
        let (status, stderr) = (ExitStatus::from_raw(0x100), stderr.as_bytes().to_vec());
        explain(&Output { status, stdout: Vec::new(), stderr }).to_string()
    }

    fn outputs(printed: &str) -> Result<Outputs> {
        typed(read(printed.as_bytes())?)
    }

    #[test]
    fn the_required_outputs_are_those_without_which_a_stack_is_refused() {
        let all = read(SAM_OUTPUT.as_bytes()).unwrap();
        let without = |name: &str| {
            let others = all.iter().filter(|(other, _)| *other != name);
            typed(others.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        let refused: Vec<_> = all.keys().filter(|name| without(name).is_err()).collect();
        let mut required = Outputs::REQUIRED;
        required.sort_unstable();
        assert_eq!(refused, required);
    }

    #[test]
    fn the_output_of_sam_is_parsed() {
        let outputs = outputs(SAM_OUTPUT).unwrap();
        assert_eq!(outputs.api_keys_table, "docintell-webhooks-ApiKeysTable-C909605F0588A");
        assert_eq!(outputs.jobs_table().unwrap(), "docintell-webhooks-JobsTable-483C5F93654BE");
    }

    #[test]
    fn a_stack_that_reads_another_jobs_table_has_no_jobs_table() {
        let outputs = outputs(&SAM_OUTPUT.replace("JobsTable\"", "Other\"")).unwrap();
        let error = outputs.jobs_table().unwrap_err().to_string();
        assert!(error.contains("--jobs-table"), "{error}");
    }

    #[test]
    fn a_stack_of_another_template_is_refused() {
        let error = format!("{:#}", outputs("[]").unwrap_err());
        assert!(error.contains("template.yaml") && error.contains("api_url"), "{error}");
    }

    #[test]
    fn a_failure_quotes_sams_own_message() {
        let stderr = "Usage: sam\nError: The input stack x does not exist\n";
        let error = explained(stderr);
        assert!(
            error.starts_with("the SAM CLI failed: The input stack x does not exist: "),
            "{error}"
        );
    }

    #[test]
    fn an_old_sam_without_the_command_must_be_upgraded() {
        let error = explained("Usage: sam\nError: No such command 'list'.\n");
        assert!(error.contains("pip install --upgrade"), "{error}");
    }
}
