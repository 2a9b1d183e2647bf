//! What the log calls a record by.
//!
//! The rule: each part is read apart from the rest of the record, which may be what is wrong with it.

use serde::Deserialize;
use serde_json::value::RawValue;
use webhooks::text::printable;

/// What could be read of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The record's place in the stream, as Lambda wants it back.
    pub sequence_number: Option<String>,
    /// The job that changed, in printable characters.
    pub job_id: Option<String>,
    /// Its owner, in printable characters.
    pub tenant_id: Option<String>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    dynamodb: Change<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
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

impl Subject {
    /// What can be read of `record`.
    #[must_use]
    pub fn of(record: &RawValue) -> Self {
        let Some(Record { dynamodb: change }) = read(record) else { return Self::default() };
        let items = [change.new_image, change.keys, change.old_image];
        let items: Vec<Item<'_>> = items.into_iter().flatten().filter_map(read).collect();
        let first = |attribute: fn(&Item<'_>) -> Option<Attribute>| {
            items.iter().find_map(attribute).map(|attribute| printable(&attribute.text))
        };
        Self {
            sequence_number: change.sequence_number.and_then(read),
            job_id: first(|item| item.job_id.and_then(read)),
            tenant_id: first(|item| item.tenant_id.and_then(read)),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn subject(record: &Value) -> Subject {
        Subject::of(&serde_json::value::to_raw_value(record).unwrap())
    }

    fn named(sequence_number: Option<&str>, job_id: &str, tenant_id: &str) -> Subject {
        Subject {
            sequence_number: sequence_number.map(str::to_owned),
            job_id: Some(job_id.to_owned()),
            tenant_id: Some(tenant_id.to_owned()),
        }
    }

    #[test]
    fn what_can_be_read_is_read_whatever_else_is_wrong() {
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
        assert_eq!(subject(&record), named(Some("1"), "of the keys", "ac␛me"));
    }

    #[test]
    fn a_removed_job_and_a_number_are_read_too() {
        let record = json!({"dynamodb": {
            "SequenceNumber": 1,
            "NewImage": null,
            "OldImage": {"job_id": {"N": "7"}, "tenant_id": {"S": "acme"}},
        }});
        assert_eq!(subject(&record), named(None, "7", "acme"));
    }

    #[test]
    fn what_is_no_record_has_no_names() {
        for record in [json!(1), json!({}), json!({"dynamodb": []}), json!({"dynamodb": {}})] {
            assert_eq!(subject(&record), Subject::default());
        }
    }
}
