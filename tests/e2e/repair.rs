//! `docintell webhooks`, `deliveries` and `replay`: an operator looks into a tenant's state and repairs it.

mod deliveries;
mod replays;
mod webhooks;

use serde_json::Value;
use tokio::process::Child;

use crate::support::operator::{Ended, Operator};
use crate::support::tenant::Tenant;

/// The operator of one tenant.
struct OperatorOf {
    operator: Operator,
    tenant_id: String,
}

impl OperatorOf {
    async fn new(tenant: &Tenant) -> Self {
        Self { operator: Operator::new().await, tenant_id: tenant.id.to_string() }
    }

    /// Runs `docintell` with these words, which have no spaces, and the tenant's id.
    async fn run(&self, command: &str) -> Ended {
        Ended::of(self.start(command).await).await
    }

    /// [`Self::run`] without waiting for the end.
    async fn start(&self, command: &str) -> Child {
        let words: Vec<&str> = command.split(' ').collect();
        self.operator.start(&[words.as_slice(), &["--tenant-id", &self.tenant_id]].concat()).await
    }

    /// The objects that a command prints, which must succeed.
    async fn json(&self, command: &str) -> Vec<Value> {
        self.run(&format!("{command} --json")).await.succeeded().objects()
    }
}
