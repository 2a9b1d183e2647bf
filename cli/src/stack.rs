//! Where a stack's parts are, and which stack a command means: the one on this machine, or one on AWS.

mod deployed;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use clap::Args;
use serde::{Deserialize, Serialize};
use webhooks::id::TenantId;

use crate::checkout;

/// What a program needs to talk to a stack on this machine: the content of `target/local/stack.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct StackInfo {
    /// Where the API answers, without a slash at the end.
    pub api_url: String,
    /// A key of `tenant_id`.
    pub api_key: String,
    /// The tenant that was made with the stack.
    pub tenant_id: TenantId,
    /// Where the emulated AWS answers.
    pub aws_endpoint_url: String,
    /// The emulated region.
    pub region: String,
    /// The Jobs table.
    pub jobs_table: String,
    /// The `WebhookConfigs` table.
    pub webhooks_table: String,
    /// The `ApiKeys` table.
    pub api_keys_table: String,
    /// The delivery log's table.
    pub deliveries_table: String,
    /// The queue of deliveries under way.
    pub delivery_queue_url: String,
    /// The queue of deliveries that an endpoint did not take.
    pub dead_letter_queue_url: String,
    /// The queue of records that could not be processed.
    pub pipeline_faults_queue_url: String,
}

/// Leaves the key out.
impl fmt::Debug for StackInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackInfo")
            .field("api_url", &self.api_url)
            .field("tenant_id", &self.tenant_id)
            .field("aws_endpoint_url", &self.aws_endpoint_url)
            .finish_non_exhaustive()
    }
}

impl StackInfo {
    /// Configuration for clients of the emulated AWS, with the right to do everything.
    ///
    /// A client's connections live on the runtime that made them: make clients anew on each.
    #[must_use]
    pub fn aws_config(&self) -> SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "docintell local");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.aws_endpoint_url)
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }

    /// Where the running stack of `docintell local` is written down.
    #[must_use]
    pub fn path() -> PathBuf {
        checkout::local_folder().join("stack.json")
    }

    /// Writes the file, which only its owner may read, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let partial = path.with_extension("partial");
        let write = || -> Result<()> {
            let mut file = private_file(&partial)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            writeln!(file)?;
            Ok(fs::rename(&partial, path)?)
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The stack of the `docintell local` that is running now.
    pub fn load() -> Result<Self> {
        let none = || {
            anyhow!(
                "no local stack is running: start one with `{} local` in another terminal, or name \
                 a deployed one with --stack-name",
                checkout::invocation()
            )
        };
        let path = Self::path();
        let file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => none(),
            _ => anyhow!(error).context(format!("{} cannot be read", path.display())),
        })?;
        let info: Self = serde_json::from_reader(file).with_context(|| {
            format!("{} is damaged: remove it and start the stack again", path.display())
        })?;
        // The file stays when its writer was killed.
        let address = info.aws_endpoint_url.trim_start_matches("http://");
        TcpStream::connect(address).map_err(|_refused| none())?;
        Ok(info)
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    // An existing file would keep the mode it has.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Which stack a command is about.
#[derive(Debug, Clone, Args)]
pub struct StackArgs {
    /// A stack on AWS, by its CloudFormation name [default: the local stack]
    #[arg(long, global = true, value_name = "NAME")]
    pub stack_name: Option<String>,
}

/// A table that commands work on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Table {
    /// Job states.
    Jobs,
    /// Hashes of API keys.
    ApiKeys,
}

impl Table {
    const fn output(self) -> &'static str {
        match self {
            Self::Jobs => "JobsTable",
            Self::ApiKeys => "ApiKeysTable",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Jobs => "--jobs-table",
            Self::ApiKeys => "--api-keys-table",
        }
    }
}

/// A table and how to reach it.
#[derive(Debug)]
pub(crate) struct Target {
    /// Endpoint, region and credentials.
    pub(crate) config: SdkConfig,
    /// The table's name.
    pub(crate) table: String,
    /// The local stack's own tenant; on AWS there is none.
    pub(crate) tenant_id: Option<TenantId>,
    /// The options that lead here, with a space before, to be repeated in a command.
    pub(crate) options: String,
}

impl StackArgs {
    /// The table of the stack that is meant; `named` goes straight to a table on AWS.
    pub(crate) async fn find(&self, table: Table, named: Option<&str>) -> Result<Target> {
        if let Some(name) = named {
            let config = webhooks::aws::config().await;
            if config.region().is_none() {
                bail!("no AWS region is set: set AWS_REGION, or a region in your AWS profile");
            }
            let options = format!(" {} {name}", table.flag());
            return Ok(Target { config, table: name.to_owned(), tenant_id: None, options });
        }
        if let Some(stack) = &self.stack_name {
            let found = deployed::find(stack).await?;
            let name = found.outputs.get(table.output()).cloned().with_context(|| {
                format!(
                    "stack {stack} has no output {}: name the table with {}",
                    table.output(),
                    table.flag()
                )
            })?;
            let config = webhooks::aws::config().await;
            let config = config.into_builder().region(Region::new(found.region)).build();
            let options = format!(" --stack-name {stack}");
            return Ok(Target { config, table: name, tenant_id: None, options });
        }
        let info = StackInfo::load()?;
        let config = info.aws_config();
        let table = match table {
            Table::Jobs => info.jobs_table,
            Table::ApiKeys => info.api_keys_table,
        };
        Ok(Target { config, table, tenant_id: Some(info.tenant_id), options: String::new() })
    }
}
