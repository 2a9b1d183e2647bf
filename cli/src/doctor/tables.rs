//! The tables: they exist, and have the keys, indexes, stream, time to live and backups of the template.

mod template;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    KeySchemaElement, KeyType, PointInTimeRecoveryStatus, TableDescription, TimeToLiveStatus,
};

use super::advice::{self, Section};
use super::failure::Failure;
use super::finding::{Finding, Problem};
use crate::stack::Outputs;
pub(crate) use template::{ALL, API_KEYS, AUDIT, DELIVERIES, JOBS, Table, WEBHOOKS};

/// The name of the attribute with the time after which a row is removed.
const TTL: &str = "ttl";

/// A table as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    status: String,
    key: Vec<String>,
    indexes: Vec<Index>,
    /// What the stream's records have, if it is on.
    stream: Option<String>,
    /// The newest stream, even if it is off.
    pub(crate) stream_arn: Option<String>,
    /// The attribute of the time to live, if it is on.
    ttl: Result<Option<String>, Failure>,
    has_backups: Result<bool, Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Index {
    name: String,
    key: Vec<String>,
    status: String,
}

/// What is known about one table of the stack.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) table: &'static Table,
    /// The name on AWS; `None` if the stack has no such table.
    pub(crate) name: Option<String>,
    pub(crate) facts: Result<Facts, Failure>,
}

pub(crate) async fn gather(client: &Client, table: &'static Table, outputs: &Outputs) -> Gathered {
    let Some(name) = (table.of)(outputs).map(str::to_owned) else {
        return Gathered { table, name: None, facts: Err(Failure::Missing) };
    };
    let facts = describe(client, &name).await;
    Gathered { table, name: Some(name), facts }
}

async fn describe(client: &Client, name: &str) -> Result<Facts, Failure> {
    let (described, ttl, backups) = tokio::join!(
        client.describe_table().table_name(name).send(),
        client.describe_time_to_live().table_name(name).send(),
        client.describe_continuous_backups().table_name(name).send(),
    );
    let described = described.map_err(Failure::of("dynamodb:DescribeTable"))?;
    let ttl = ttl.map_err(Failure::of("dynamodb:DescribeTimeToLive")).map(|response| {
        let ttl = response.time_to_live_description?;
        let is_on = matches!(
            ttl.time_to_live_status,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        );
        ttl.attribute_name.filter(|_| is_on)
    });
    let backups = backups.map_err(Failure::of("dynamodb:DescribeContinuousBackups"));
    let has_backups = backups.map(|response| {
        let backups = response.continuous_backups_description;
        backups
            .and_then(|backups| backups.point_in_time_recovery_description)
            .and_then(|recovery| recovery.point_in_time_recovery_status)
            .is_some_and(|status| status == PointInTimeRecoveryStatus::Enabled)
    });
    Ok(facts(described.table.ok_or(Failure::Missing)?, ttl, has_backups))
}

fn facts(
    table: TableDescription,
    ttl: Result<Option<String>, Failure>,
    has_backups: Result<bool, Failure>,
) -> Facts {
    let indexes = table.global_secondary_indexes.unwrap_or_default().into_iter();
    let indexes = indexes.map(|index| Index {
        name: index.index_name.unwrap_or_default(),
        key: names(index.key_schema),
        // Only a change in progress has another status.
        status: index.index_status.map_or("ACTIVE".to_owned(), |status| status.to_string()),
    });
    Facts {
        status: table.table_status.map(|status| status.to_string()).unwrap_or_default(),
        key: names(table.key_schema),
        indexes: indexes.collect(),
        stream: table
            .stream_specification
            .filter(|stream| stream.stream_enabled)
            .and_then(|stream| stream.stream_view_type)
            .map(|view| view.to_string()),
        stream_arn: table.latest_stream_arn,
        ttl,
        has_backups,
    }
}

/// The attributes of a key, the partition key first.
fn names(schema: Option<Vec<KeySchemaElement>>) -> Vec<String> {
    let mut schema = schema.unwrap_or_default();
    schema.sort_by_key(|element| element.key_type != KeyType::Hash);
    schema.into_iter().map(|element| element.attribute_name).collect()
}

impl Gathered {
    pub(crate) fn finding(&self) -> Finding {
        let check = self.table.check();
        let Some(name) = &self.name else {
            return Finding::skipped(
                check,
                "the stack reads another table's stream (JobsStreamArn)",
            );
        };
        let problems = match &self.facts {
            Ok(facts) => judge(self.table, name, facts),
            Err(failure) => vec![failure.or_missing(|| missing(name))],
        };
        Finding::of(check, name.as_str(), &problems)
    }
}

pub(crate) fn missing(name: &str) -> Problem {
    Problem::fault(
        format!("There is no table {name}, which the stack's outputs name."),
        format!("Restore it from a backup: {}.", Section::RestoreTable.named()),
    )
}

fn judge(expected: &Table, name: &str, facts: &Facts) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut fault =
        |message: String, action: String| problems.push(Problem::fault(message, action));
    if !["ACTIVE", "UPDATING"].contains(&facts.status.as_str()) {
        fault(
            format!("Its status is {}, expected ACTIVE.", facts.status),
            "If it is being restored or created, wait and run doctor again.".to_owned(),
        );
    }
    if facts.key != expected.key {
        fault(
            format!("Its key is {}, expected {}.", facts.key.join(", "), expected.key.join(", ")),
            format!(
                "It is the table of another version: deploy as in {}.",
                Section::Upgrade.named()
            ),
        );
    }
    if let Some((index_name, key)) = expected.index {
        match facts.indexes.iter().find(|it| it.name == index_name) {
            Some(index) if index.key == key && index.status == "ACTIVE" => {}
            Some(index) if index.key == key => fault(
                format!("Its index {index_name} is {}, expected ACTIVE.", index.status),
                "Wait until it is filled, and run doctor again.".to_owned(),
            ),
            _ => fault(
                format!("It has no index {index_name} of {}.", key.join(", ")),
                advice::restore_by_hand(),
            ),
        }
    }
    if expected.has_stream && facts.stream.as_deref() != Some("NEW_AND_OLD_IMAGES") {
        let stream = facts.stream.as_deref().unwrap_or("off");
        fault(
            format!("Its stream is {stream}, expected NEW_AND_OLD_IMAGES: no event is read."),
            format!("A new stream has another ARN: see {}.", Section::RestoreTable.named()),
        );
    }
    match &facts.ttl {
        Err(failure) => problems.push(failure.problem()),
        Ok(ttl) if expected.expires && ttl.as_deref() != Some(TTL) => {
            let state = ttl.as_deref().map_or("off".to_owned(), |other| format!("on {other}"));
            problems.push(Problem::fault(
                format!("Its time to live is {state}, expected on {TTL}: rows stay for ever."),
                format!(
                    "Switch it on: `aws dynamodb update-time-to-live --table-name {name} \
                     --time-to-live-specification Enabled=true,AttributeName={TTL}`."
                ),
            ));
        }
        Ok(_) => {}
    }
    match &facts.has_backups {
        Err(failure) => problems.push(failure.problem()),
        Ok(false) => problems.push(Problem::warning(
            "Its continuous backups are off: nothing can be restored.",
            format!(
                "Switch them on: `aws dynamodb update-continuous-backups --table-name {name} \
                 --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true`."
            ),
        )),
        Ok(true) => {}
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::template::REPLAYS;
    use super::*;

    fn healthy(table: &Table) -> Facts {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        Facts {
            status: "ACTIVE".to_owned(),
            key: owned(table.key),
            indexes: table
                .index
                .map(|(name, key)| Index {
                    name: name.to_owned(),
                    key: owned(key),
                    status: "ACTIVE".to_owned(),
                })
                .into_iter()
                .collect(),
            stream: table.has_stream.then(|| "NEW_AND_OLD_IMAGES".to_owned()),
            stream_arn: None,
            ttl: Ok(table.expires.then(|| TTL.to_owned())),
            has_backups: Ok(true),
        }
    }

    #[test]
    fn a_table_of_the_template_has_no_problem() {
        for table in ALL {
            assert_eq!(judge(table, "t", &healthy(table)), [], "{}", table.name);
        }
    }

    #[test]
    fn each_difference_from_the_template_is_a_problem() {
        type Change = fn(&mut Facts);
        let cases: [(&Table, Change, &str); 10] = [
            (&REPLAYS, |facts| facts.status = "DELETING".to_owned(), "DELETING, expected ACTIVE"),
            (&DELIVERIES, |facts| facts.key.truncate(1), "webhook, expected webhook, delivery_id"),
            (&API_KEYS, |facts| facts.indexes.clear(), "no index tenant_id-index"),
            (&API_KEYS, |facts| facts.indexes[0].key.clear(), "no index tenant_id-index"),
            (
                &DELIVERIES,
                |facts| facts.indexes[0].status = "CREATING".to_owned(),
                "undelivered-index is CREATING",
            ),
            (&JOBS, |facts| facts.stream = None, "stream is off"),
            (&JOBS, |facts| facts.stream = Some("KEYS_ONLY".to_owned()), "stream is KEYS_ONLY"),
            (&WEBHOOKS, |facts| facts.ttl = Ok(None), "time to live is off"),
            (&WEBHOOKS, |facts| facts.ttl = Ok(Some("end".to_owned())), "time to live is on end"),
            (&JOBS, |facts| facts.has_backups = Ok(false), "backups are off"),
        ];
        for (table, change, expected) in cases {
            let mut facts = healthy(table);
            change(&mut facts);
            let problems = judge(table, "t", &facts);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].message.contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn what_may_not_be_read_is_a_problem_and_the_rest_is_still_judged() {
        let mut facts = healthy(&WEBHOOKS);
        facts.ttl = Err(Failure::Denied("dynamodb:DescribeTimeToLive"));
        facts.has_backups = Ok(false);
        let messages: Vec<_> =
            judge(&WEBHOOKS, "t", &facts).into_iter().map(|it| it.message).collect();
        assert!(messages[0].contains("dynamodb:DescribeTimeToLive"), "{messages:?}");
        assert_eq!(messages.len(), 2);
    }
}
