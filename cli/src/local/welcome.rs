//! What `docintell local` prints when the stack runs: where everything is, and commands to try.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use super::StackInfo;
use super::info::ACCESS_KEY;
use crate::checkout::{display_path, invocation};
use crate::output;

pub(super) struct Files {
    pub(super) stack: PathBuf,
    pub(super) functions_log: PathBuf,
    pub(super) emulator_log: PathBuf,
    /// The argument of `sam local --env-vars`.
    pub(super) env_vars: PathBuf,
}

/// The content of `stack.json`, and where the files are.
pub(super) fn stack_json(info: &StackInfo, files: &Files) -> Result<Value> {
    let mut value = serde_json::to_value(info)?;
    value["type"] = "stack".into();
    for (name, path) in [
        ("stack_file", &files.stack),
        ("functions_log", &files.functions_log),
        ("emulator_log", &files.emulator_log),
        ("env_vars_file", &files.env_vars),
    ] {
        value[name] = path.display().to_string().into();
    }
    Ok(value)
}

pub(super) fn print_locations(info: &StackInfo, files: &Files) -> Result<()> {
    let StackInfo { outputs, api_key, aws_endpoint_url, region, .. } = info;
    let tables = [
        outputs.jobs_table()?,
        &outputs.webhooks_table,
        &outputs.webhook_audit_table,
        &outputs.api_keys_table,
        &outputs.deliveries_table,
        &outputs.replays_table,
    ];
    output::line(format_args!(
        "
The stack is running:

  API          {api_url}
  API key      {api_key}
               `dk_test_` marks keys for development, `dk_live_` keys for production; the API treats both alike
  AWS          {aws_endpoint_url}, region {region}
  credentials  access key `{ACCESS_KEY}`, secret key `{ACCESS_KEY}`; they work for this emulator only
  tables       {tables}
  stack.json   {path}: all of this and the queue URLs, for programs
  logs         {functions}, {emulator}

Ctrl-C stops the stack and deletes its data. The next start creates an empty stack.",
        api_url = outputs.api_url,
        tables = tables.join("\n               "),
        path = display_path(&files.stack),
        functions = display_path(&files.functions_log),
        emulator = display_path(&files.emulator_log),
    ))
}

pub(super) fn print_examples(info: &StackInfo) -> Result<()> {
    let StackInfo { outputs, api_key, .. } = info;
    let (docintell, api_url) = (invocation(), &outputs.api_url);
    output::line(format_args!(
        r#"
Commands to try in another terminal. Nothing listens at the example's endpoint, so its deliveries fail and are retried:

  KEY={api_key}
  curl {api_url}/v1/webhooks -H "Authorization: Bearer $KEY"
  curl {api_url}/v1/webhooks -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
    -d '{{"url": "http://127.0.0.1:8000/", "events": ["document.processing.completed"]}}'
  {docintell} job complete --pages 3
  {docintell} job fail --message "The file is encrypted"
  {docintell} listen
  {docintell} keys create --name laptop
  {docintell} dlq list
  {docintell} doctor
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::super::info::tests::info;
    use super::*;

    #[test]
    fn the_stacks_object_has_its_url_its_key_and_its_files() {
        let files = Files {
            stack: "a/stack.json".into(),
            functions_log: "a/functions.log".into(),
            emulator_log: "a/emulator.log".into(),
            env_vars: "a/sam-env.json".into(),
        };
        let value = stack_json(&info(), &files).unwrap();
        for (name, text) in [
            ("type", "stack"),
            ("api_url", "http://127.0.0.1:1"),
            ("api_key", "dk_test_hidden"),
            ("stack_file", "a/stack.json"),
            ("functions_log", "a/functions.log"),
        ] {
            assert_eq!(value[name], text, "{name}");
        }
    }
}
