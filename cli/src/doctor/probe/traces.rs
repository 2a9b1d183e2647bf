//! What doctor makes in a stack, and its removal.
//!
//! Each run has a tenant of its own, so runs do not get each other's events. The first thing that a run makes is its
//! marker: the record of an API key that nobody has, of the tenant [`registry`], with the run's tenant as its id. It is
//! removed last, and expires after any run has ended. So the run of an expired marker was killed, or one of
//! its changes got no clear answer; the next run removes what it has left.
//!
//! The rule: nothing of a run is removed while its marker is valid, but by the run itself.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use aws_types::SdkConfig;
use webhooks::aws::chain;
use webhooks::id::{KeyId, TenantId};
use webhooks::secret::{ApiKey, KeyEnvironment};
use webhooks::store::ApiKeyStore;
use webhooks::store::api_keys::{ApiKeyRecord, KeyStatus};
use webhooks::timestamp::Timestamp;

use super::super::failure::Failure;
use super::super::tables::{self, Table};
use crate::keys;
use crate::stack::Outputs;

/// How long a run's marker and its key are valid. No run takes so long, see [`super::Step`].
const LIFE: Duration = Duration::from_mins(15);

/// The first digits of the tenant of each run, so that a policy can allow what belongs to runs only.
const PREFIX: &str = "d0c70000";

/// The tenant of all markers.
fn registry() -> TenantId {
    "d0c70000-0000-4000-8000-000000000000".parse().expect("a UUID")
}

/// One run of doctor.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) tenant: TenantId,
    marker: ApiKeyRecord,
}

/// The other runs that have a marker.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Those that were killed.
    pub(crate) ended: Vec<Run>,
    /// Those that may be under way.
    pub(crate) running: usize,
}

impl Run {
    /// A run that begins at `now`, without its marker in the table.
    fn new(now: Timestamp) -> Result<Self> {
        let random = KeyId::random().to_string();
        let (_, rest) = random.split_at(PREFIX.len());
        let id = format!("{PREFIX}{rest}");
        let key = ApiKey::generate(KeyEnvironment::Test)?;
        let marker = ApiKeyRecord {
            key_hash: key.hash(),
            tenant_id: registry(),
            key_id: id.parse()?,
            name: "docintell doctor".to_owned(),
            key_suffix: key.suffix().to_owned(),
            environment: KeyEnvironment::Test,
            status: KeyStatus::Active,
            expires_at: Some(expiry(now)),
            replaced_by: None,
            created_at: now,
        };
        Ok(Self { tenant: id.parse()?, marker })
    }

    /// `None` if it is not the marker of a run.
    fn of(marker: ApiKeyRecord) -> Option<Self> {
        let tenant = marker.key_id.to_string().parse().ok()?;
        Some(Self { tenant, marker })
    }

    /// The id of the job that it writes.
    pub(crate) fn job_id(&self) -> String {
        format!("docintell-doctor-{}", self.tenant)
    }
}

/// When what is made at `now` is no longer valid.
pub(crate) fn expiry(now: Timestamp) -> Timestamp {
    Timestamp::from_unix_millis(now.unix_millis() + LIFE.as_secs() * 1000)
}

/// Tells the markers of runs that have ended from the others.
fn others(markers: Vec<ApiKeyRecord>, now: Timestamp) -> Others {
    let (running, ended): (Vec<_>, Vec<_>) =
        markers.into_iter().partition(|it| it.is_valid_at(now));
    Others { ended: ended.into_iter().filter_map(Run::of).collect(), running: running.len() }
}

#[derive(Debug)]
pub(crate) struct Traces<'a> {
    outputs: &'a Outputs,
    dynamodb: Client,
    secrets: aws_sdk_secretsmanager::Client,
    pub(crate) keys: ApiKeyStore,
}

impl<'a> Traces<'a> {
    pub(crate) fn new(config: &SdkConfig, outputs: &'a Outputs) -> Self {
        Self {
            outputs,
            dynamodb: Client::new(config),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            keys: keys::store(config, &outputs.api_keys_table),
        }
    }

    /// Finds the other runs, and makes the marker of a new one.
    pub(crate) async fn begin(&self) -> Result<(Run, Others)> {
        let now = Timestamp::now();
        let others = others(self.keys.list(registry()).await?, now);
        let run = Run::new(now)?;
        self.keys.insert(&run.marker).await?;
        Ok((run, others))
    }

    /// Removes everything of a run but its marker. `webhooks` and `keys`, by their hashes, are those that it knows:
    /// their rows may be gone, or not in the index yet.
    pub(crate) async fn remove(
        &self,
        run: &Run,
        webhooks: &[String],
        keys: &[String],
    ) -> Result<(), Failure> {
        let tenant = run.tenant;
        self.remove_row(&tables::JOBS, &[run.job_id()]).await?;
        let mut ids: BTreeSet<String> = webhooks.iter().cloned().collect();
        ids.extend(self.sort_keys(&tables::WEBHOOKS, &tenant.to_string()).await?);
        ids.extend(self.webhooks_with_secrets(tenant).await?);
        for id in &ids {
            self.remove_rows_of(tenant, id).await?;
            self.remove_secret(tenant, id).await?;
            self.remove_row(&tables::WEBHOOKS, &[tenant.to_string(), id.clone()]).await?;
        }
        for kind in ["changes", "count"] {
            self.remove_partition(&tables::WEBHOOKS, &format!("{kind}#{tenant}")).await?;
        }
        for hash in keys.iter().chain(&self.keys_of(tenant).await?) {
            self.remove_row(&tables::API_KEYS, std::slice::from_ref(hash)).await?;
        }
        Ok(())
    }

    /// Removes a run's marker: nothing of it is left.
    pub(crate) async fn forget(&self, run: &Run) -> Result<(), Failure> {
        self.remove_row(&tables::API_KEYS, std::slice::from_ref(&run.marker.key_hash)).await
    }

    /// The hashes of the tenant's keys.
    async fn keys_of(&self, tenant: TenantId) -> Result<Vec<String>, Failure> {
        let keys = self.keys.list(tenant).await.map_err(|error| Failure::Refused {
            action: "dynamodb:Query",
            message: format!("{}, in table {}", chain(&error), self.outputs.api_keys_table),
        })?;
        Ok(keys.into_iter().map(|key| key.key_hash).collect())
    }

    /// Removes the rows that the service keeps for a webhook, but the webhook's own.
    pub(crate) async fn remove_rows_of(
        &self,
        tenant: TenantId,
        webhook: &str,
    ) -> Result<(), Failure> {
        self.remove_partition(&tables::WEBHOOKS, &format!("tests#{tenant}#{webhook}")).await?;
        for table in [&tables::DELIVERIES, &tables::AUDIT] {
            self.remove_partition(table, &format!("{tenant}/{webhook}")).await?;
        }
        Ok(())
    }

    async fn remove_partition(&self, table: &Table, partition: &str) -> Result<(), Failure> {
        for sort_key in self.sort_keys(table, partition).await? {
            self.remove_row(table, &[partition.to_owned(), sort_key]).await?;
        }
        Ok(())
    }

    /// The sort keys of a partition's rows.
    async fn sort_keys(&self, table: &Table, partition: &str) -> Result<Vec<String>, Failure> {
        let (Some(name), [hash, range]) = ((table.of)(self.outputs), table.key) else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::new();
        let mut rows = self
            .dynamodb
            .query()
            .table_name(name)
            .consistent_read(true)
            .key_condition_expression("#hash = :partition")
            .projection_expression("#range")
            .expression_attribute_names("#hash", *hash)
            .expression_attribute_names("#range", *range)
            .expression_attribute_values(":partition", AttributeValue::S(partition.to_owned()))
            .into_paginator()
            .items()
            .send();
        while let Some(row) = rows.next().await {
            let row = row.map_err(Failure::in_table("dynamodb:Query", name))?;
            keys.extend(row.get(*range).and_then(|value| value.as_s().ok()).cloned());
        }
        Ok(keys)
    }

    /// Succeeds if there is no such row, or no such table in the stack.
    async fn remove_row(&self, table: &Table, key: &[String]) -> Result<(), Failure> {
        let Some(name) = (table.of)(self.outputs) else { return Ok(()) };
        let mut request = self.dynamodb.delete_item().table_name(name);
        for (attribute, value) in table.key.iter().zip(key) {
            request = request.key(*attribute, AttributeValue::S(value.clone()));
        }
        request.send().await.map(drop).map_err(Failure::in_table("dynamodb:DeleteItem", name))
    }

    /// The ids of the tenant's webhooks that have a secret.
    async fn webhooks_with_secrets(&self, tenant: TenantId) -> Result<Vec<String>, Failure> {
        let prefix = format!("{}/{tenant}/", self.outputs.secrets_prefix);
        let of_tenant = Filter::builder().key(FilterNameStringType::Name).values(&prefix).build();
        let mut ids = Vec::new();
        let request = self.secrets.list_secrets().filters(of_tenant);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(Failure::of("secretsmanager:ListSecrets"))?;
            let names = page.secret_list.unwrap_or_default().into_iter();
            let names = names.filter_map(|secret| secret.name);
            ids.extend(names.filter_map(|name| Some(name.strip_prefix(&prefix)?.to_owned())));
        }
        Ok(ids)
    }

    /// Succeeds if there is no such secret.
    async fn remove_secret(&self, tenant: TenantId, webhook: &str) -> Result<(), Failure> {
        let name = format!("{}/{tenant}/{webhook}", self.outputs.secrets_prefix);
        let request = self.secrets.delete_secret().secret_id(name);
        let deleted = request.force_delete_without_recovery(true).send().await;
        match deleted.map_err(Failure::of("secretsmanager:DeleteSecret")) {
            Ok(_) | Err(Failure::Missing) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_tenant_that_its_marker_names() {
        let now = Timestamp::from_unix_millis(0);
        let [one, other] = [Run::new(now).unwrap(), Run::new(now).unwrap()];
        assert_ne!(one.tenant, other.tenant);
        assert!(one.tenant.to_string().starts_with(PREFIX), "{}", one.tenant);
        assert_eq!(one.marker.tenant_id, registry());
        assert_eq!(Run::of(one.marker.clone()).unwrap().tenant, one.tenant);
    }

    #[test]
    fn only_the_run_of_an_expired_marker_was_killed() {
        let runs = [0, 1].map(|at| Run::new(Timestamp::from_unix_millis(at)).unwrap());
        let killed = runs[0].tenant;
        let now = expiry(Timestamp::from_unix_millis(0));
        let Others { ended, running } = others(runs.map(|run| run.marker).into(), now);
        assert_eq!((ended[0].tenant, ended.len(), running), (killed, 1, 1));
    }
}
