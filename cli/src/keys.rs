//! `docintell keys`: a tenant's API keys.
//!
//! The rule: a key is printed once, when it is made. Without `--json`, only the key goes to standard output, so a shell
//! can store it in a variable.

mod rotate;
mod view;

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aws_types::SdkConfig;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use webhooks::id::{KeyId, TenantId};
use webhooks::secret::{ApiKey, KeyEnvironment};
use webhooks::store::api_keys::{ApiKeyRecord, KeyStatus};
use webhooks::store::{ApiKeyStore, DynamoDb};
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::output;
use crate::stack::{SCOPE, StackArgs, Table, Target, expect_tenant};
use crate::words::count;

#[derive(Debug, Clone, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
    #[command(flatten)]
    stack: StackArgs,
    /// Name of a table of API keys on AWS; needs no SAM CLI
    #[arg(long, global = true, help_heading = SCOPE, value_name = "TABLE", conflicts_with = "stack_name",
        value_parser = NonEmptyStringValueParser::new())]
    api_keys_table: Option<String>,
    /// Tenant that owns the keys [default: the local stack's tenant; for a new key on AWS, a new tenant]
    #[arg(long, global = true, help_heading = SCOPE, value_name = "ID")]
    tenant_id: Option<TenantId>,
}

#[derive(Debug, Clone, Subcommand)]
enum KeysCommand {
    /// Create a key and print it; it cannot be printed again
    Create {
        /// A name of 1 to 100 characters, to recognize the key by
        #[arg(long, default_value = "unnamed", value_parser = name)]
        name: String,
        /// Prefix of the key: `live` for production (`dk_live_…`), `test` for development (`dk_test_…`). The API treats
        /// both alike; the prefix is for people [default: test for the local stack, live on AWS]
        #[arg(long, value_enum)]
        environment: Option<Environment>,
        /// Days until the key expires, 1 to 36,500 [default: never]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in: Option<u32>,
    },
    /// List the tenant's keys, including revoked ones
    List,
    /// Replace a key by a new one and print that; the old one still works for some days
    Rotate {
        /// Id of the key, from `keys list`
        key_id: KeyId,
        /// Days that the old key still works, unless it expires earlier; 0 ends it at once
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(0..=30))]
        grace_days: u32,
    },
    /// Revoke a key at once
    Revoke {
        /// Id of the key, from `keys list`
        key_id: KeyId,
    },
}

fn name(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=100 => Ok(text.to_owned()),
        length => Err(format!("it has {length} characters; expected 1 to 100")),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Environment {
    Live,
    Test,
}

impl From<Environment> for KeyEnvironment {
    fn from(environment: Environment) -> Self {
        match environment {
            Environment::Live => Self::Live,
            Environment::Test => Self::Test,
        }
    }
}

#[must_use]
pub fn store(config: &SdkConfig, table: &str) -> ApiKeyStore {
    ApiKeyStore::new(DynamoDb::new(config), table.to_owned())
}

/// Creates a key for `tenant_id`. It works at once.
pub async fn create(
    keys: &ApiKeyStore,
    tenant_id: TenantId,
    name: &str,
    environment: KeyEnvironment,
    expires_at: Option<Timestamp>,
) -> Result<(ApiKey, ApiKeyRecord)> {
    let (key, record) = generate(tenant_id, name, environment, expires_at)?;
    keys.insert(&record).await.context("the key could not be stored")?;
    Ok((key, record))
}

/// A new key and its record, which is not stored yet.
fn generate(
    tenant_id: TenantId,
    name: &str,
    environment: KeyEnvironment,
    expires_at: Option<Timestamp>,
) -> Result<(ApiKey, ApiKeyRecord)> {
    let key = ApiKey::generate(environment).context("the system provides no random bytes")?;
    let record = ApiKeyRecord {
        key_hash: key.hash(),
        tenant_id,
        key_id: KeyId::random(),
        name: name.to_owned(),
        key_suffix: key.suffix().to_owned(),
        environment,
        status: KeyStatus::Active,
        expires_at,
        replaced_by: None,
        created_at: Timestamp::now(),
    };
    Ok((key, record))
}

pub(crate) async fn run(args: KeysArgs, json: bool) -> Result<()> {
    let target = args.stack.target(Table::ApiKeys, args.api_keys_table).await?;
    let table = target.table(Table::ApiKeys)?;
    let keys = store(&target.config(), table);
    let could_not = |what: &str| format!("could not {what} in table {table}");
    let tenant_id = args.tenant_id.or(target.tenant_id());
    match args.command {
        KeysCommand::Create { name, environment, expires_in } => {
            let tenant_id = tenant_id.unwrap_or_else(TenantId::random);
            let expires_at = expires_in.map(|number| Timestamp::now().plus(days(number)));
            let environment = environment.map_or(default_environment(&target), Into::into);
            let (key, record) = create(&keys, tenant_id, &name, environment, expires_at)
                .await
                .with_context(|| could_not("make a key"))?;
            output::note(format_args!(
                "Key {} ({}) of tenant {tenant_id} is for {}. It is not shown again:",
                record.key_id,
                printable(&name),
                match environment {
                    KeyEnvironment::Live => "production (live)",
                    KeyEnvironment::Test => "development (test)",
                }
            ));
            print_once(&key, &record, json.then(|| view::with_key(&key, &record)))?;
        }
        KeysCommand::List => {
            let tenant_id = expect_tenant(tenant_id)?;
            let mut records =
                keys.list(tenant_id).await.with_context(|| could_not("list the keys"))?;
            records.sort_by_key(|record| record.created_at);
            output::note(format_args!("{} of tenant {tenant_id}", count(records.len(), "key")));
            let now = Timestamp::now();
            if json {
                records
                    .iter()
                    .map(|it| view::json(it, now))
                    .try_for_each(|it| output::json(&it))?;
            } else {
                view::table(&records, now).print()?;
            }
        }
        KeysCommand::Rotate { key_id, grace_days } => {
            let tenant_id = expect_tenant(tenant_id)?;
            let (key, record, old_ends_at) =
                rotate::rotate(&keys, tenant_id, key_id, days(grace_days))
                    .await
                    .with_context(|| could_not("rotate the key"))?;
            output::note(format_args!(
                "Key {} ({}) of tenant {tenant_id} replaces key {key_id}, which {}. It is not shown again:",
                record.key_id,
                printable(&record.name),
                if grace_days == 0 {
                    "no longer works".to_owned()
                } else {
                    format!("works until {old_ends_at}")
                },
            ));
            let object =
                json.then(|| view::replacing(view::with_key(&key, &record), key_id, old_ends_at));
            print_once(&key, &record, object)?;
        }
        KeysCommand::Revoke { key_id } => {
            let tenant_id = expect_tenant(tenant_id)?;
            let revoked = keys.revoke(tenant_id, key_id).await;
            if !revoked.with_context(|| could_not("revoke the key"))? {
                bail!("tenant {tenant_id} has no key {key_id}: see `keys list`");
            }
            if json {
                output::json(&view::revoked(tenant_id, key_id))?;
            }
            output::note(format_args!("Key {key_id} is revoked."));
        }
    }
    Ok(())
}

/// The API treats both alike; the prefix tells a person where a key belongs.
fn default_environment(target: &Target) -> KeyEnvironment {
    match target {
        Target::Local(_) => KeyEnvironment::Test,
        Target::Deployed { .. } | Target::Table { .. } => KeyEnvironment::Live,
    }
}

/// Prints the key, as `json` if there is any.
fn print_once(key: &ApiKey, record: &ApiKeyRecord, json: Option<Value>) -> Result<()> {
    let printed = json.map_or_else(|| output::line(key.expose()), |object| output::json(&object));
    printed.map_err(|error| {
        let key_id = record.key_id;
        anyhow!(
            "the new key could not be printed ({error}): revoke key {key_id} and create another"
        )
    })
}

fn days(number: u32) -> Duration {
    Duration::from_hours(24) * number
}
