//! The signing secrets of some webhooks: they are stored under the stack's prefix, in the versions in force.
//!
//! The rule: no secret is read. Its description says whether the sender can.

mod judge;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_types::SdkConfig;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Deserialize;
use webhooks::id::{TenantId, WebhookId};
use webhooks::timestamp::Timestamp;
use webhooks::webhook::PreviousSecret;

use super::failure::Failure;
use super::finding::Finding;
use crate::stack::Outputs;
use crate::words::count;

pub(crate) const CHECK: &str = "secrets";
/// Webhooks to look at. DynamoDB stores partitions in no order, so they belong to any tenants.
const SAMPLE: usize = 20;
/// Rows to read at most, because counters are in the same table.
const MAX_ROWS: usize = 500;
/// Secrets looked at at the same time.
const AT_ONCE: usize = 5;
/// Secrets per page when they are searched for under another prefix, and pages at most.
const PAGE: i32 = 100;
const MAX_PAGES: usize = 20;

/// A webhook's row, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Row {
    tenant_id: TenantId,
    webhook_config_id: WebhookId,
    secret_version: String,
    #[serde(default)]
    previous_secret: Option<PreviousSecret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Every version in force is there.
    Readable,
    /// It has no version with this id.
    NoVersion(String),
    /// Its deletion is pending.
    Deleted,
    Missing,
    Unknown(Failure),
}

/// What is known about the secrets of some webhooks.
#[derive(Debug)]
struct Facts {
    /// Each webhook's part of its secret's name, with the secret's state.
    states: Vec<(String, State)>,
    /// The other prefixes under which missing secrets were found, by the rest of their names.
    elsewhere: Result<BTreeMap<String, String>, Failure>,
}

pub(crate) async fn finding(config: &SdkConfig, outputs: &Outputs) -> Finding {
    let prefix = &outputs.secrets_prefix;
    match gather(config, outputs).await {
        Err(failure) => Finding::of(CHECK, "", &[failure.problem()]),
        Ok(facts) if facts.states.is_empty() => {
            Finding::skipped(CHECK, "there is no webhook whose secret could be looked at")
        }
        Ok(facts) => {
            let number = count(facts.states.len(), "webhook");
            let message = format!("{number} looked at, under {prefix}/");
            Finding::of(CHECK, message, &judge::judge(prefix, &facts))
        }
    }
}

async fn gather(config: &SdkConfig, outputs: &Outputs) -> Result<Facts, Failure> {
    let rows = rows(config, &outputs.webhooks_table).await?;
    let secrets = aws_sdk_secretsmanager::Client::new(config);
    let state = async |row: Row| {
        let name = format!("{}/{}", row.tenant_id, row.webhook_config_id);
        let secret_id = format!("{}/{name}", outputs.secrets_prefix);
        let described = secrets.describe_secret().secret_id(secret_id).send().await;
        let described = described.map_err(Failure::of("secretsmanager:DescribeSecret"));
        (name, state_of(described, &row, Timestamp::now()))
    };
    let states: Vec<_> = stream::iter(rows).map(state).buffered(AT_ONCE).collect().await;
    let missing: BTreeSet<&str> = states
        .iter()
        .filter_map(|(name, state)| (*state == State::Missing).then_some(name.as_str()))
        .collect();
    let elsewhere = if missing.is_empty() {
        Ok(BTreeMap::new())
    } else {
        search(&secrets, &outputs.secrets_prefix, &missing).await
    };
    Ok(Facts { states, elsewhere })
}

/// The rows of some webhooks.
async fn rows(config: &SdkConfig, table: &str) -> Result<Vec<Row>, Failure> {
    let client = aws_sdk_dynamodb::Client::new(config);
    let mut rows = Vec::new();
    let (mut read, mut start) = (0, None);
    while rows.len() < SAMPLE && read < MAX_ROWS {
        let request = client.scan().table_name(table).limit(100);
        let request = request.filter_expression("attribute_exists(secret_version)");
        let page = request.set_exclusive_start_key(start).send().await;
        let page = page.map_err(Failure::in_table("dynamodb:Scan", table))?;
        read += 100;
        // Malformed rows are left out: the functions and `webhooks list` report them.
        let items = page.items.unwrap_or_default().into_iter();
        rows.extend(items.filter_map(|item| serde_dynamo::from_item(item).ok()));
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    rows.truncate(SAMPLE);
    Ok(rows)
}

fn state_of(described: Result<DescribeSecretOutput, Failure>, row: &Row, now: Timestamp) -> State {
    let secret = match described {
        Err(Failure::Missing) => return State::Missing,
        Err(failure) => return State::Unknown(failure),
        Ok(secret) => secret,
    };
    if secret.deleted_date.is_some() {
        return State::Deleted;
    }
    let stored = secret.version_ids_to_stages.unwrap_or_default();
    let previous = row.previous_secret.as_ref().filter(|previous| now < previous.until);
    let in_force = previous.map(|previous| &previous.version).into_iter();
    let missing = in_force.chain([&row.secret_version]).find(|it| !stored.contains_key(*it));
    missing.map_or(State::Readable, |version| State::NoVersion(version.clone()))
}

/// The prefixes, other than `prefix`, under which these names exist.
async fn search(
    secrets: &aws_sdk_secretsmanager::Client,
    prefix: &str,
    names: &BTreeSet<&str>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut found = BTreeMap::new();
    let mut pages = secrets.list_secrets().max_results(PAGE).into_paginator().send();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(Failure::of("secretsmanager:ListSecrets"))?;
        for secret in page.secret_list.unwrap_or_default() {
            if let Some((other, name)) = secret.name.as_deref().and_then(split)
                && names.contains(name)
                && other != prefix
            {
                found.insert(name.to_owned(), other.to_owned());
            }
        }
        if found.len() == names.len() {
            break;
        }
    }
    Ok(found)
}

/// A secret's name as its prefix and `<tenant>/<webhook>`.
fn split(name: &str) -> Option<(&str, &str)> {
    let (rest, _) = name.rsplit_once('/')?;
    let (prefix, _) = rest.rsplit_once('/')?;
    Some((prefix, &name[prefix.len() + 1..]))
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::primitives::DateTime;

    use super::*;

    const NAME: &str = "770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000";

    fn row() -> Row {
        Row {
            tenant_id: TenantId::random(),
            webhook_config_id: WebhookId::random(),
            secret_version: "new".to_owned(),
            previous_secret: None,
        }
    }

    fn secret(versions: &[&str]) -> DescribeSecretOutput {
        let mut secret = DescribeSecretOutput::builder();
        for version in versions {
            secret = secret.version_ids_to_stages(*version, vec!["AWSCURRENT".to_owned()]);
        }
        secret.build()
    }

    #[test]
    fn a_secret_is_readable_if_it_has_every_version_in_force() {
        let at = Timestamp::from_unix_millis;
        let previous = PreviousSecret { version: "old".to_owned(), until: at(2) };
        let overlapping = Row { previous_secret: Some(previous), ..row() };
        let no_version = |id: &str| State::NoVersion(id.to_owned());
        for (versions, row, now, state) in [
            (&["new"][..], &row(), at(1), State::Readable),
            (&["old"], &row(), at(1), no_version("new")),
            (&["old", "new"], &overlapping, at(1), State::Readable),
            (&["new"], &overlapping, at(1), no_version("old")),
            (&["new"], &overlapping, at(2), State::Readable),
        ] {
            assert_eq!(state_of(Ok(secret(versions)), row, now), state, "{versions:?}");
        }
        let deleted = DescribeSecretOutput::builder().deleted_date(DateTime::from_secs(1)).build();
        assert_eq!(state_of(Ok(deleted), &row(), at(1)), State::Deleted);
        assert_eq!(state_of(Err(Failure::Missing), &row(), at(1)), State::Missing);
    }

    #[test]
    fn a_name_is_split_after_a_prefix_with_slashes() {
        assert_eq!(split(&format!("a/b/{NAME}")), Some(("a/b", NAME)));
        assert_eq!([split("a/b"), split("a")], [None, None]);
    }
}
