//! One record of a batch and its ids, which the log and the batch response use.
//!
//! The rule: each id is parsed separately from the rest of the record, which can be malformed.

use serde::Deserialize;
use serde_json::value::RawValue;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::change::millis;

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Position in the batch, from 0.
    pub(crate) index: usize,
    pub(crate) json: &'a RawValue,
}

/// Logs a line about a record, with its place in the batch and its ids.
macro_rules! record_line {
    ($level:ident, $record:expr, $($fields_and_sentence:tt)+) => {{
        let ids = $record.ids();
        tracing::$level!(
            record.index = $record.index,
            job.id = ids.job_id,
            tenant.id = ids.tenant_id,
            $($fields_and_sentence)+
        );
    }};
}
pub(crate) use record_line;

/// The ids of a record, as far as they can be read. The job's and the tenant's are made printable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RecordIds {
    /// Position in the stream, used in the batch response.
    pub(crate) sequence_number: Option<String>,
    pub(crate) job_id: Option<String>,
    pub(crate) tenant_id: Option<String>,
}

impl Record<'_> {
    pub(crate) fn ids(self) -> RecordIds {
        let Some(Envelope { dynamodb: change }) = read(self.json) else {
            return RecordIds::default();
        };
        let items = [change.new_image, change.keys, change.old_image];
        let items: Vec<Item<'_>> = items.into_iter().flatten().filter_map(read).collect();
        let first = |attribute: fn(&Item<'_>) -> Option<Attribute>| {
            items.iter().find_map(attribute).map(|attribute| printable(&attribute.text))
        };
        RecordIds {
            sequence_number: change.sequence_number.and_then(read),
            job_id: first(|item| item.job_id.and_then(read)),
            tenant_id: first(|item| item.tenant_id.and_then(read)),
        }
    }

    /// When the change was written; `None` if the record does not say.
    pub(crate) fn written_at(self) -> Option<Timestamp> {
        let Envelope { dynamodb: change } = read(self.json)?;
        let seconds: f64 = read(change.approximate_creation_date_time?)?;
        Some(Timestamp::from_unix_millis(millis(seconds)))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    dynamodb: Change<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    #[serde(borrow)]
    approximate_creation_date_time: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence_number: Option<&'a RawValue>,
    #[serde(borrow)]
    new_image: Option<&'a RawValue>,
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    old_image: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    job_id: Option<&'a RawValue>,
    #[serde(borrow)]
    tenant_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "S", alias = "N")]
    text: String,
}

fn read<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ids(record: &Value) -> RecordIds {
        Record { index: 0, json: &serde_json::value::to_raw_value(record).unwrap() }.ids()
    }

    fn named(sequence_number: Option<&str>, job_id: &str, tenant_id: &str) -> RecordIds {
        RecordIds {
            sequence_number: sequence_number.map(str::to_owned),
            job_id: Some(job_id.to_owned()),
            tenant_id: Some(tenant_id.to_owned()),
        }
    }

    #[test]
    fn ids_are_read_from_a_malformed_record() {
        let record = json!({
            "eventName": 7,
            "dynamodb": {
                "ApproximateCreationDateTime": "now",
                "SequenceNumber": "1",
                "Keys": {"job_id": {"S": "of the keys"}},
                "NewImage": {
                    "job_id": {"BOOL": true},
                    "tenant_id": {"S": "ac\u{1b}me"},
                    "status": 1,
                },
            },
        });
        assert_eq!(ids(&record), named(Some("1"), "of the keys", "ac␛me"));
    }

    #[test]
    fn ids_are_read_from_a_removed_job_and_from_numbers() {
        let record = json!({"dynamodb": {
            "SequenceNumber": 1,
            "NewImage": null,
            "OldImage": {"job_id": {"N": "7"}, "tenant_id": {"S": "acme"}},
        }});
        assert_eq!(ids(&record), named(None, "7", "acme"));
    }

    #[test]
    fn the_time_of_a_change_is_read_from_any_record_that_has_one() {
        let written_at = |record: &Value| {
            let json = &serde_json::value::to_raw_value(record).unwrap();
            Record { index: 0, json }.written_at().map(Timestamp::unix_millis)
        };
        let of = |time: Value| json!({"dynamodb": {"ApproximateCreationDateTime": time}});
        assert_eq!(written_at(&of(json!(1_764_757_847))), Some(1_764_757_847_000));
        assert_eq!(written_at(&of(json!(1_764_757_847.5))), Some(1_764_757_847_500));
        for record in [of(json!("now")), of(Value::Null), json!({}), json!(1)] {
            assert_eq!(written_at(&record), None, "{record}");
        }
    }

    #[test]
    fn a_value_that_is_not_a_record_has_no_ids() {
        for record in [json!(1), json!({}), json!({"dynamodb": []}), json!({"dynamodb": {}})] {
            assert_eq!(ids(&record), RecordIds::default());
        }
    }
}
