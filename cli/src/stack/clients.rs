//! Clients of a whole stack's tables and queues, with the caller's rights.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_config::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use webhooks::id::TenantId;
use webhooks::queue::Queue;
use webhooks::store::replays::ReplayStore;
use webhooks::store::{AuditStore, DeliveryLog, DynamoDb, WebhookEditor, WebhookStore};

use super::Outputs;

/// Time limit of one try of a call. An empty receive waits for a second, and the caller's network may be slow.
pub(super) const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// A stack, local or deployed.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) config: SdkConfig,
    pub(crate) outputs: Outputs,
    /// The default tenant; only the local stack has one.
    pub(super) tenant_id: Option<TenantId>,
}

impl Stack {
    /// `named`, or the default tenant.
    pub(crate) fn tenant(&self, named: Option<TenantId>) -> Result<TenantId> {
        expect_tenant(named.or(self.tenant_id))
    }

    pub(crate) fn webhooks(&self) -> WebhookStore {
        WebhookStore::new(self.dynamodb(), self.outputs.webhooks_table.clone())
    }

    pub(crate) fn audit(&self) -> Result<AuditStore> {
        let table = self.outputs.webhook_audit_table.clone();
        Ok(AuditStore::new(self.dynamodb(), table, self.outputs.keep_audit()?))
    }

    pub(crate) fn webhook_editor(&self) -> Result<WebhookEditor> {
        Ok(WebhookEditor::new(self.webhooks(), self.audit()?))
    }

    pub(crate) fn delivery_log(&self) -> Result<DeliveryLog> {
        let table = self.outputs.deliveries_table.clone();
        Ok(DeliveryLog::new(self.dynamodb(), table, self.outputs.keep_deliveries()?))
    }

    pub(crate) fn replays(&self) -> Result<ReplayStore> {
        let table = self.outputs.replays_table.clone();
        Ok(ReplayStore::new(self.dynamodb(), table, self.outputs.keep_deliveries()?))
    }

    pub(crate) fn replay_queue(&self) -> Queue {
        self.queue(&self.outputs.replay_queue_url)
    }

    pub(crate) fn delivery_queue(&self) -> Queue {
        self.queue(&self.outputs.delivery_queue_url)
    }

    fn dynamodb(&self) -> DynamoDb {
        DynamoDb::new(&self.config)
    }

    fn queue(&self, url: &str) -> Queue {
        Queue::new(aws_sdk_sqs::Client::new(&self.config), url.to_owned())
    }
}

/// A stack on AWS has no default tenant.
pub(crate) fn expect_tenant(tenant_id: Option<TenantId>) -> Result<TenantId> {
    tenant_id.context("a stack on AWS has no default tenant: choose one with --tenant-id")
}

/// A configuration whose calls take at most `attempt` per try.
pub(crate) fn with_timeout(config: &SdkConfig, attempt: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt).build();
    config.clone().into_builder().timeout_config(timeouts).build()
}
