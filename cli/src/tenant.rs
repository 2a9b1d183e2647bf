//! `docintell webhooks`, `deliveries` and `replay`: an operator looks into a tenant's state and repairs it.
//!
//! The operator has AWS credentials, not an API key, so the commands use the tables and queues directly, with the same
//! code as the API. The rule: whatever they change could also be changed through the API.

pub(crate) mod delivery;
pub(crate) mod replay;
pub(crate) mod webhook;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use clap::Args;
use webhooks::aws::chain;
use webhooks::id::{TenantId, WebhookId, WebhookKey};
use webhooks::store::WebhookStore;
use webhooks::webhook::Webhook;

use crate::output;
use crate::stack::{SCOPE, Stack, StackArgs};
use crate::words::count;

/// Maximum webhooks that an error names.
const MAX_NAMED: usize = 5;

#[derive(Debug, Clone, Args)]
struct TenantArgs {
    #[command(flatten)]
    stack: StackArgs,
    /// Tenant that owns the webhooks [default: the local stack's tenant]
    #[arg(long, global = true, help_heading = SCOPE, value_name = "ID")]
    tenant_id: Option<TenantId>,
}

#[derive(Debug, Clone, Args)]
struct WebhookArgs {
    #[command(flatten)]
    tenant: TenantArgs,
    /// One of the tenant's webhooks [default: the only one]
    #[arg(long, global = true, help_heading = SCOPE, value_name = "ID")]
    webhook_id: Option<WebhookId>,
}

/// The tenant that a command works on.
#[derive(Debug)]
struct Tenant {
    id: TenantId,
    stack: Stack,
    webhooks: WebhookStore,
}

impl TenantArgs {
    async fn tenant(&self) -> Result<Tenant> {
        let stack = self.stack.stack().await?;
        Ok(Tenant { id: stack.tenant(self.tenant_id)?, webhooks: stack.webhooks(), stack })
    }
}

impl Tenant {
    fn key(&self, webhook: WebhookId) -> WebhookKey {
        WebhookKey { tenant_id: self.id, webhook_id: webhook }
    }

    /// All webhooks of the tenant, in the API's order.
    async fn all_webhooks(&self) -> Result<Vec<Webhook>> {
        let rows = self.webhooks.list(self.id).await.context("cannot read the webhooks")?;
        let readable = |row: Result<_, _>| {
            row.inspect_err(|error| {
                output::note(format_args!("A webhook is malformed and left out: {}", chain(error)));
            })
        };
        let mut webhooks: Vec<Webhook> =
            rows.into_iter().filter_map(|row| readable(row).ok()).collect();
        webhooks.sort_by_key(|webhook| (webhook.created_at, webhook.id));
        Ok(webhooks)
    }

    /// `None` if the tenant has no webhook with this id.
    async fn find_webhook(&self, id: WebhookId) -> Result<Option<Webhook>> {
        let webhook = self.webhooks.get(self.id, id).await;
        webhook.with_context(|| format!("cannot read webhook {id}"))
    }

    async fn webhook(&self, id: WebhookId) -> Result<Webhook> {
        self.find_webhook(id).await?.ok_or_else(|| self.has_no(id))
    }

    fn has_no(&self, webhook: WebhookId) -> Error {
        anyhow!("tenant {} has no webhook {webhook}: see `webhooks list`", self.id)
    }

    /// The tenant's only webhook.
    async fn only_webhook(&self) -> Result<Webhook> {
        let mut webhooks = self.all_webhooks().await?;
        match (webhooks.pop(), webhooks.len()) {
            (Some(webhook), 0) => Ok(webhook),
            (None, _) => bail!("tenant {} has no webhooks: choose another --tenant-id", self.id),
            (Some(last), others) => {
                webhooks.push(last);
                let named = webhooks.iter().take(MAX_NAMED);
                let lines: Vec<String> =
                    named.map(|it| format!("\n  {}  {}", it.id, it.url.as_str())).collect();
                let more = if webhooks.len() > MAX_NAMED { "\n  …" } else { "" };
                bail!(
                    "tenant {} has {}: choose one with --webhook-id:{}{more}",
                    self.id,
                    count(others + 1, "webhook"),
                    lines.concat()
                )
            }
        }
    }
}
