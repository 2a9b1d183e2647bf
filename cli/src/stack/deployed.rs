//! AWS itself, asked through boto3: who a person is there, and what a stack's outputs are. So no client for
//! CloudFormation, and none for every way to log in, needs compiling.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use aws_sdk_dynamodb::config::Credentials;
use aws_types::SdkConfig;
use serde::Deserialize;
use webhooks::env;

use crate::child;
use crate::local::python;
use crate::steps::Steps;

const SCRIPT: &str = r#"
import json, os, sys
import boto3, botocore.exceptions

try:
    # boto3 itself knows AWS_DEFAULT_REGION only; every other SDK knows this one.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    if session.region_name is None:
        sys.exit("no AWS region is set: set AWS_REGION, or a region in your AWS profile")
    credentials = session.get_credentials()
    if credentials is None:
        sys.exit("no AWS credentials are found: log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID")
    outputs = {}
    for name in sys.argv[1:]:
        stack = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    frozen = credentials.get_frozen_credentials()
except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
    sys.exit(str(error))
print(json.dumps({
    "region": session.region_name,
    "credentials": {"key_id": frozen.access_key, "secret": frozen.secret_key, "token": frozen.token},
    "outputs": outputs,
}))
"#;

/// What AWS says to the account and region that the environment or the AWS profile names.
#[derive(Deserialize)]
pub(super) struct Deployed {
    region: String,
    credentials: Login,
    /// The stack's outputs by their names in the template; none where no stack was asked for.
    pub(super) outputs: BTreeMap<String, String>,
}

/// Credentials of the person who runs this.
#[derive(Deserialize)]
struct Login {
    key_id: String,
    secret: String,
    token: Option<String>,
}

impl Deployed {
    /// Looks up a stack, or with `None` only the person.
    pub(super) async fn find(stack: Option<&str>) -> Result<Self> {
        let python = python::ensure(Steps::Shown).await?;
        let step = Steps::Shown.begin("asking AWS");
        let mut script = Command::new(python);
        script.args(["-I", "-c", SCRIPT]).args(stack).stdin(Stdio::null());
        let answer = child::run(&step, &mut script).await;
        let answer = answer.with_context(|| match stack {
            Some(name) => format!("stack {name} cannot be found on AWS"),
            None => "AWS cannot be called".to_owned(),
        })?;
        serde_json::from_str(&answer).context("what boto3 says of AWS cannot be read")
    }

    /// Configuration for clients with the person's own rights.
    pub(super) fn config(&self) -> SdkConfig {
        let Login { key_id, secret, token } = &self.credentials;
        let credentials = Credentials::new(key_id, secret, token.clone(), None, "boto3");
        let endpoint_url = env::optional("AWS_ENDPOINT_URL");
        webhooks::aws::config_for(self.region.clone(), credentials, endpoint_url)
    }
}
