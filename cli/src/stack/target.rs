//! Which stack a command means: the one on this machine, or one on AWS.

use anyhow::{Context, Result};
use aws_types::SdkConfig;
use clap::Args;
use webhooks::id::TenantId;

use super::StackInfo;
use super::deployed::Deployed;

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
            let config = Deployed::find(None).await?.config();
            let options = format!(" {} {name}", table.flag());
            return Ok(Target { config, table: name.to_owned(), tenant_id: None, options });
        }
        if let Some(stack) = &self.stack_name {
            let found = Deployed::find(Some(stack)).await?;
            let name = found.outputs.get(table.output()).cloned().with_context(|| {
                format!(
                    "stack {stack} has no output {}: name the table with {}",
                    table.output(),
                    table.flag()
                )
            })?;
            let options = format!(" --stack-name {stack}");
            return Ok(Target { config: found.config(), table: name, tenant_id: None, options });
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
