//! Selects what a command works on: the local stack, a stack on AWS, or a single table on AWS.

use anyhow::{Context, Result};
use aws_types::SdkConfig;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use webhooks::id::TenantId;

use super::clients::TRY_TIMEOUT;
use super::{Outputs, Stack, deployed, sam, with_timeout};
use crate::local::StackInfo;

/// The heading of the options that select a stack, a table, a tenant or a webhook in the help text.
pub(crate) const SCOPE: &str = "Stack and tenant";

#[derive(Debug, Clone, Args)]
pub(crate) struct StackArgs {
    /// CloudFormation name of a stack on AWS; needs the SAM CLI [default: the local stack]
    #[arg(long, global = true, help_heading = SCOPE, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    stack_name: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Table {
    Jobs,
    ApiKeys,
}

impl Table {
    fn of(self, outputs: &Outputs) -> Result<&str> {
        match self {
            Self::Jobs => outputs.jobs_table(),
            Self::ApiKeys => Ok(&outputs.api_keys_table),
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Jobs => "--jobs-table",
            Self::ApiKeys => "--api-keys-table",
        }
    }
}

#[derive(Debug)]
pub(crate) enum Target {
    Local(StackInfo),
    Deployed {
        name: String,
        config: SdkConfig,
        outputs: Box<Outputs>,
    },
    /// A table on AWS, without its stack.
    Table {
        table: Table,
        name: String,
        config: SdkConfig,
    },
}

impl StackArgs {
    /// `named` is the name of a table on AWS; it overrides the stack.
    pub(crate) async fn target(&self, table: Table, named: Option<String>) -> Result<Target> {
        if let Some(name) = named {
            let config = deployed::load_config().await?;
            return Ok(Target::Table { table, name, config });
        }
        let Some(name) = self.stack_name.clone() else {
            return Ok(Target::Local(StackInfo::load()?));
        };
        let config = deployed::load_config().await?;
        let outputs = sam::outputs(&name, &config).await.with_context(|| {
            format!(
                "cannot look up stack {name} (without SAM, name its table with {})",
                table.flag()
            )
        })?;
        Ok(Target::Deployed { name, config, outputs: Box::new(outputs) })
    }

    /// A whole stack.
    pub(crate) async fn stack(&self) -> Result<Stack> {
        let Some(name) = &self.stack_name else {
            let info = StackInfo::load()?;
            let config = with_timeout(&info.aws_config(), TRY_TIMEOUT);
            return Ok(Stack { config, outputs: info.outputs, tenant_id: Some(info.tenant_id) });
        };
        let config = deployed::load_config().await?;
        let outputs = sam::outputs(name, &config).await;
        let outputs = outputs.with_context(|| format!("cannot look up stack {name}"))?;
        Ok(Stack { config, outputs, tenant_id: None })
    }
}

/// A stack as it was found, for a command that says what is wrong with it.
#[derive(Debug)]
pub(crate) struct Found {
    /// `None` for the local stack.
    pub(crate) name: Option<String>,
    pub(crate) config: SdkConfig,
    /// If some are missing, their names.
    pub(crate) outputs: Result<Outputs, Vec<&'static str>>,
}

impl StackArgs {
    /// Finds the stack, even if its template is that of another version.
    pub(crate) async fn find(&self) -> Result<Found> {
        let Some(name) = self.stack_name.clone() else {
            let info = StackInfo::load()?;
            let config = info.aws_config();
            return Ok(Found { name: None, config, outputs: Ok(info.outputs) });
        };
        let config = deployed::load_config().await?;
        let outputs = sam::named_outputs(&name, &config).await;
        let outputs = outputs.with_context(|| format!("cannot look up stack {name}"))?;
        let missing: Vec<_> =
            Outputs::REQUIRED.into_iter().filter(|name| !outputs.contains_key(*name)).collect();
        let outputs = if missing.is_empty() { Ok(sam::typed(outputs)?) } else { Err(missing) };
        Ok(Found { name: Some(name), config, outputs })
    }
}

impl Target {
    pub(crate) fn config(&self) -> SdkConfig {
        match self {
            Self::Local(info) => info.aws_config(),
            Self::Deployed { config, .. } | Self::Table { config, .. } => config.clone(),
        }
    }

    pub(crate) fn table(&self, table: Table) -> Result<&str> {
        match self {
            Self::Local(info) => table.of(&info.outputs),
            Self::Deployed { outputs, .. } => table.of(outputs),
            Self::Table { name, .. } => Ok(name),
        }
    }

    /// The default tenant; only the local stack has one.
    pub(crate) fn tenant_id(&self) -> Option<TenantId> {
        match self {
            Self::Local(info) => Some(info.tenant_id),
            Self::Deployed { .. } | Self::Table { .. } => None,
        }
    }

    /// The options that select this target, each after a space.
    pub(crate) fn options(&self) -> String {
        match self {
            Self::Local(_) => String::new(),
            Self::Deployed { name, .. } => format!(" --stack-name {name}"),
            Self::Table { table, name, .. } => format!(" {} {name}", table.flag()),
        }
    }
}
