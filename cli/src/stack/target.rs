//! Which stack a command means: the one on this machine, one on AWS, or a single table on AWS.

use anyhow::{Context, Result};
use aws_types::SdkConfig;
use clap::Args;
use webhooks::id::TenantId;

use super::{Outputs, deployed, sam};
use crate::local::StackInfo;

/// Which stack a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct StackArgs {
    /// A stack on AWS, by its CloudFormation name; needs the SAM CLI [default: the local stack]
    #[arg(long, global = true, value_name = "NAME")]
    stack_name: Option<String>,
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
    fn of(self, outputs: &Outputs) -> Result<&str> {
        match self {
            Self::Jobs => outputs.jobs_table(),
            Self::ApiKeys => Ok(&outputs.api_keys_table),
        }
    }

    /// The option that names such a table.
    const fn flag(self) -> &'static str {
        match self {
            Self::Jobs => "--jobs-table",
            Self::ApiKeys => "--api-keys-table",
        }
    }
}

/// What a command works on.
#[derive(Debug)]
pub(crate) enum Target {
    /// The stack on this machine.
    Local(StackInfo),
    /// A stack on AWS.
    Deployed { name: String, config: SdkConfig, outputs: Outputs },
    /// A table on AWS, whatever stack it belongs to.
    Table { table: Table, name: String, config: SdkConfig },
}

impl StackArgs {
    /// What is meant; `named` is a table on AWS, by its name.
    pub(crate) async fn target(&self, table: Table, named: Option<String>) -> Result<Target> {
        if let Some(name) = named {
            let config = deployed::log_in().await?;
            return Ok(Target::Table { table, name, config });
        }
        let Some(name) = self.stack_name.clone() else {
            return Ok(Target::Local(StackInfo::load()?));
        };
        let config = deployed::log_in().await?;
        let outputs = sam::outputs(&name, &config).await.with_context(|| {
            format!("cannot look up stack {name}, and {} does not name its table", table.flag())
        })?;
        Ok(Target::Deployed { name, config, outputs })
    }
}

impl Target {
    /// Endpoint, region and credentials.
    pub(crate) fn config(&self) -> SdkConfig {
        match self {
            Self::Local(info) => info.aws_config(),
            Self::Deployed { config, .. } | Self::Table { config, .. } => config.clone(),
        }
    }

    /// The name of one of the tables.
    pub(crate) fn table(&self, table: Table) -> Result<&str> {
        match self {
            Self::Local(info) => table.of(&info.outputs),
            Self::Deployed { outputs, .. } => table.of(outputs),
            Self::Table { name, .. } => Ok(name),
        }
    }

    /// The local stack's own tenant; on AWS there is none.
    pub(crate) fn tenant_id(&self) -> Option<TenantId> {
        match self {
            Self::Local(info) => Some(info.tenant_id),
            Self::Deployed { .. } | Self::Table { .. } => None,
        }
    }

    /// The options that lead here, each with a space before it.
    pub(crate) fn options(&self) -> String {
        match self {
            Self::Local(_) => String::new(),
            Self::Deployed { name, .. } => format!(" --stack-name {name}"),
            Self::Table { table, name, .. } => format!(" {} {name}", table.flag()),
        }
    }
}
