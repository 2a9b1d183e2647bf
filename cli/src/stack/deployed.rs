//! A stack on AWS: its outputs, asked for with boto3, so that no CloudFormation client needs compiling.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::child;
use crate::local::python;
use crate::steps::Steps;

const SCRIPT: &str = r#"
import json, os, sys
import boto3, botocore.exceptions

try:
    # boto3 itself knows AWS_DEFAULT_REGION only; every other SDK knows this one.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    client = session.client("cloudformation")
    stack = client.describe_stacks(StackName=sys.argv[1])["Stacks"][0]
except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
    sys.exit(str(error))
outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
print(json.dumps({"region": client.meta.region_name, "outputs": outputs}))
"#;

/// What is known of a deployed stack.
#[derive(Debug, Deserialize)]
pub(super) struct DeployedStack {
    /// Where it was found.
    pub(super) region: String,
    /// Its outputs by their names in the template.
    pub(super) outputs: BTreeMap<String, String>,
}

/// The stack of that name in the account and region that the environment or the AWS profile names.
pub(super) async fn find(name: &str) -> Result<DeployedStack> {
    let python = python::ensure(Steps::Shown).await?;
    let step = Steps::Shown.begin("looking up the stack");
    let answer = child::run(
        &step,
        Command::new(python).args(["-I", "-c", SCRIPT, name]).stdin(Stdio::null()),
    )
    .await
    .with_context(|| format!("stack {name} cannot be found on AWS"))?;
    serde_json::from_str(&answer).context("the stack's outputs cannot be read")
}
