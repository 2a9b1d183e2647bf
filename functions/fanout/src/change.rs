//! Turns a stream record of the Jobs table into the event that it announces. Pure.
//!
//! The rule: only a *transition* is an event. A job that is written again in the same state announces nothing.

mod image;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use webhooks::event::{Event, EventError};
use webhooks::event_type::EventType;
use webhooks::id::{EventId, InvalidId};
use webhooks::job::JobStatus;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use self::image::Image;
pub(crate) use self::image::Unusable;

/// Why a record cannot be processed, however often it is retried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// The JSON is not a DynamoDB stream record.
    #[error("not a DynamoDB stream record: {0}")]
    NotARecord(#[source] serde_json::Error),
    /// The stream has the wrong view type.
    #[error("the record has no {0}; the stream's view type must be NEW_AND_OLD_IMAGES")]
    MissingImage(&'static str),
    /// The job lacks an attribute that every event needs.
    #[error("the job's `{0}` is missing, empty or has the wrong type")]
    MissingAttribute(&'static str),
    /// The tenant id is malformed.
    #[error("the job's `tenant_id` is {0}")]
    Tenant(#[source] InvalidId),
    /// Neither the job nor the record has a valid time.
    #[error("the job's `updated_at` is {0}, and the record has no time")]
    NoTime(Unusable),
    /// The event cannot be built.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// What a record announces.
#[derive(Debug, Default)]
pub(crate) struct Announcement {
    /// `None` if the change is not an event.
    pub(crate) event: Option<Event>,
    /// Problems that the owner of the document pipeline should know.
    pub(crate) warnings: Vec<Warning>,
}

/// A problem in a job that is not a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Warning {
    /// The job's new status is unknown, so there is no event. The status is made printable.
    UnknownStatus(String),
    /// The attribute is left out of the event.
    LeftOut(&'static str, Unusable),
    /// The event has the record's time, because the job's `updated_at` cannot be used.
    RecordTime(Unusable),
}

/// Parses `record` and decides what it announces.
pub(crate) fn announcement(record: &RawValue) -> Result<Announcement, ChangeError> {
    let record: ParsedRecord<'_> =
        serde_json::from_str(record.get()).map_err(ChangeError::NotARecord)?;
    let name = match transition(&record)? {
        Transition::None => return Ok(Announcement::default()),
        Transition::Unknown(status) => {
            let warnings = vec![Warning::UnknownStatus(printable(status))];
            return Ok(Announcement { event: None, warnings });
        }
        Transition::Event(name) => name,
    };
    let image = record.dynamodb.new_image.as_ref().ok_or(ChangeError::MissingImage("NewImage"))?;
    let recorded_at = record
        .dynamodb
        .approximate_creation_date_time
        .map(|seconds| Timestamp::from_unix_millis(millis(seconds)));
    let mut warnings = Vec::new();
    let job = image.job(name, recorded_at, &mut warnings)?;
    let id = EventId::of_record(&record.event_id, recorded_at.unwrap_or(job.updated_at));
    Ok(Announcement { event: Some(Event::new(id, name, &job)?), warnings })
}

/// The result of comparing the old status with the new one.
enum Transition<'a> {
    /// No event.
    None,
    /// An event.
    Event(EventType),
    /// A change into an unknown status.
    Unknown(&'a str),
}

fn transition<'a>(record: &'a ParsedRecord<'_>) -> Result<Transition<'a>, ChangeError> {
    let change = &record.dynamodb;
    let old = match record.event_name {
        Kind::Insert => None,
        Kind::Modify => {
            Some(change.old_image.as_ref().ok_or(ChangeError::MissingImage("OldImage"))?.status())
        }
        Kind::Remove => return Ok(Transition::None),
    };
    let new = change.new_image.as_ref().ok_or(ChangeError::MissingImage("NewImage"))?.status();
    if old == Some(new) {
        return Ok(Transition::None);
    }
    let new = new.ok_or(ChangeError::MissingAttribute("status"))?;
    Ok(match (old, JobStatus::from_name(new)) {
        (_, None) => Transition::Unknown(new),
        (old, Some(status)) => match EventType::fired_by(old.is_none(), status) {
            Some(event) => Transition::Event(event),
            None => Transition::None,
        },
    })
}

/// Converts a record's time, which is in seconds. AWS sends whole seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(crate) fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

#[derive(Deserialize)]
struct ParsedRecord<'a> {
    #[serde(rename = "eventID", borrow)]
    event_id: Cow<'a, str>,
    #[serde(rename = "eventName")]
    event_name: Kind,
    #[serde(borrow)]
    dynamodb: Images<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    Insert,
    Modify,
    Remove,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images<'a> {
    approximate_creation_date_time: Option<f64>,
    #[serde(borrow)]
    new_image: Option<Image<'a>>,
    #[serde(borrow)]
    old_image: Option<Image<'a>>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use webhooks::delivery::DeliveryMessage;

    use super::*;

    fn image(status: &str) -> Value {
        json!({
            "job_id": {"S": "550e8400-e29b-41d4-a716-446655440000"},
            "document_id": {"S": "660e8400-e29b-41d4-a716-446655440001"},
            "tenant_id": {"S": "770e8400-e29b-41d4-a716-446655440002"},
            "status": {"S": status},
            "processing_time_seconds": {"N": "45.20"},
            "page_count": {"N": "12"},
            "updated_at": {"S": "2025-12-03T10:30:47Z"},
        })
    }

    fn record(name: &str, old: Option<&str>, new: Option<&str>) -> Value {
        record_of(name, old.map(image), new.map(image))
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller does not need the values afterwards"
    )]
    fn record_of(name: &str, old: Option<Value>, new: Option<Value>) -> Value {
        json!({
            "eventID": "c81e728d9d4c2f636f067f89cc14862c",
            "eventName": name,
            "dynamodb": {
                "ApproximateCreationDateTime": 1_764_757_847.0,
                "OldImage": old,
                "NewImage": new,
                "SequenceNumber": "1",
            },
        })
    }

    fn read(record: &Value) -> Result<Announcement, ChangeError> {
        announcement(&serde_json::value::to_raw_value(record).unwrap())
    }

    fn event(record: &Value) -> Event {
        read(record).unwrap().event.unwrap()
    }

    fn name(kind: &str, old: Option<&str>, new: Option<&str>) -> Option<&'static str> {
        read(&record(kind, old, new)).unwrap().event.map(|event| event.name.as_str())
    }

    /// The record of a job inserted with `status`, after replacing `attributes`.
    fn inserted(status: &str, attributes: &[(&str, Value)]) -> Value {
        let mut image = image(status);
        for (attribute, value) in attributes {
            image[*attribute] = value.clone();
        }
        record_of("INSERT", None, Some(image))
    }

    #[test]
    fn each_transition_announces_its_event_and_nothing_else_does() {
        let uploaded = Some("document.uploaded");
        let completed = Some("document.processing.completed");
        let failed = Some("document.processing.failed");
        for (kind, old, new, expected) in [
            ("INSERT", None, Some("queued"), uploaded),
            ("INSERT", None, Some("pending"), uploaded),
            ("INSERT", None, Some("processing"), None),
            ("INSERT", None, Some("completed"), completed),
            ("INSERT", None, Some("failed"), failed),
            ("MODIFY", Some("processing"), Some("completed"), completed),
            ("MODIFY", Some("queued"), Some("failed"), failed),
            ("MODIFY", Some("failed"), Some("completed"), completed),
            ("MODIFY", Some("completed"), Some("completed"), None),
            ("MODIFY", Some("failed"), Some("failed"), None),
            ("MODIFY", Some("queued"), Some("processing"), None),
            ("MODIFY", Some("processing"), Some("queued"), None),
            ("MODIFY", Some("queued"), Some("archived"), None),
            ("MODIFY", Some("archived"), Some("completed"), completed),
            ("MODIFY", Some("FAILED"), Some("failed"), failed),
            ("INSERT", None, Some("QUEUED"), None),
            ("REMOVE", Some("completed"), None, None),
        ] {
            assert_eq!(name(kind, old, new), expected, "{kind} {old:?} {new:?}");
        }
    }

    #[test]
    fn a_transition_into_an_unknown_status_warns_once() {
        let warnings = |kind, old, new| read(&record(kind, old, new)).unwrap().warnings;
        let unknown = |status: &str| vec![Warning::UnknownStatus(status.to_owned())];
        for status in ["QUEUED", "complete", "archived", ""] {
            assert_eq!(warnings("INSERT", None, Some(status)), unknown(status));
            assert_eq!(warnings("MODIFY", Some("processing"), Some(status)), unknown(status));
            assert_eq!(warnings("MODIFY", Some(status), Some(status)), []);
            assert_eq!(warnings("MODIFY", Some(status), Some("processing")), []);
        }
        assert_eq!(warnings("INSERT", None, Some("\u{1b}[2J")), unknown("␛[2J"));
    }

    #[test]
    fn a_job_with_an_unreadable_old_status_announces_its_new_one() {
        for status in [Value::Null, json!({"N": "1"}), json!({"NULL": true})] {
            let mut old = image("processing");
            old["status"] = status;
            let change = |new| read(&record_of("MODIFY", Some(old.clone()), Some(new)));
            let completed = change(image("completed")).unwrap().event.unwrap();
            assert_eq!(completed.name, EventType::ProcessingCompleted);
            assert!(change(old.clone()).unwrap().event.is_none());
        }
    }

    #[test]
    fn a_new_status_that_is_not_text_is_a_fault() {
        for status in [Value::Null, json!({"N": "1"}), json!({"NULL": true})] {
            let mut new = image("completed");
            new["status"] = status;
            let inserted = read(&record_of("INSERT", None, Some(new.clone())));
            let changed = read(&record_of("MODIFY", Some(image("processing")), Some(new)));
            for result in [inserted, changed] {
                assert!(matches!(result, Err(ChangeError::MissingAttribute("status"))));
            }
        }
    }

    #[test]
    fn numbers_keep_the_digits_that_dynamodb_wrote() {
        let event = event(&record("INSERT", None, Some("completed")));
        assert!(event.body.get().contains(r#""processing_time_seconds":45.20,"page_count":12"#));
    }

    #[test]
    fn a_record_read_twice_is_the_same_event() {
        let without_time = inserted("queued", &[("updated_at", Value::Null)]);
        for record in [record("INSERT", None, Some("queued")), without_time] {
            let (first, second) = (event(&record), event(&record));
            assert_eq!((first.id, first.body.get()), (second.id, second.body.get()));
        }
    }

    #[test]
    fn an_event_without_a_valid_job_time_has_the_records_time_in_whole_seconds() {
        for (value, reason) in [
            (Value::Null, Unusable::Missing),
            (json!({"NULL": true}), Unusable::Missing),
            (json!({"N": "1764757800"}), Unusable::NotText),
            (json!({"M": {}}), Unusable::NotText),
            (json!({"S": ""}), Unusable::NotATime),
            (json!({"S": "yesterday"}), Unusable::NotATime),
            (json!({"S": "2025-12-03T10:30:47"}), Unusable::NotATime),
            (json!({"S": "2025-12-03 10:30:47"}), Unusable::NotATime),
            (json!({"S": "0000-01-01T00:00:00+01:00"}), Unusable::NotATime),
        ] {
            let mut record = inserted("completed", &[("updated_at", value.clone())]);
            record["dynamodb"]["ApproximateCreationDateTime"] = json!(1_764_757_900.75);
            let Announcement { event, warnings } = read(&record).unwrap();
            let event = event.unwrap();
            assert_eq!(warnings, [Warning::RecordTime(reason)], "{value}");
            assert_eq!(event.occurred_at.to_string(), "2025-12-03T10:31:40Z");
            assert!(event.body.get().contains(r#""timestamp":"2025-12-03T10:31:40Z""#));

            record["dynamodb"]["ApproximateCreationDateTime"] = Value::Null;
            assert!(
                matches!(read(&record), Err(ChangeError::NoTime(it)) if it == reason),
                "{value}"
            );
        }
    }

    #[test]
    fn an_attribute_of_the_wrong_type_is_left_out_with_a_warning() {
        let list = json!({"L": []});
        for (status, attribute, value, reason) in [
            ("completed", "page_count", json!({"S": "12"}), Unusable::NotANumber),
            ("completed", "processing_time_seconds", list.clone(), Unusable::NotANumber),
            ("completed", "page_count", json!({"N": "1E+400"}), Unusable::OutOfRange),
            ("completed", "page_count", json!({"N": "many"}), Unusable::OutOfRange),
            ("completed", "ir_version", json!({"N": "1"}), Unusable::NotText),
            ("failed", "error_message", json!({"BOOL": true}), Unusable::NotText),
            ("failed", "error_message", list, Unusable::NotText),
        ] {
            let Announcement { event, warnings } =
                read(&inserted(status, &[(attribute, value)])).unwrap();
            assert_eq!(warnings, [Warning::LeftOut(attribute, reason)]);
            let body = event.unwrap().body;
            let default = r#""error_message":"Document processing failed""#;
            assert_eq!(body.get().contains(attribute), attribute == "error_message");
            assert_eq!(body.get().contains(default), attribute == "error_message");
        }
    }

    #[test]
    fn an_absent_null_or_unused_attribute_causes_no_warning() {
        let null = json!({"NULL": true});
        for (status, attribute, value) in [
            ("completed", "page_count", Value::Null),
            ("completed", "page_count", null.clone()),
            ("completed", "error_message", json!({"N": "1"})),
            ("failed", "error_message", null),
            ("failed", "page_count", json!({"S": "12"})),
            ("queued", "page_count", json!({"S": "12"})),
        ] {
            let warnings = read(&inserted(status, &[(attribute, value)])).unwrap().warnings;
            assert_eq!(warnings, [], "{status} {attribute}");
        }
    }

    #[test]
    fn the_error_for_an_invalid_record_says_what_is_wrong() {
        for (attribute, value, reason) in [
            ("document_id", Value::Null, "`document_id`"),
            ("document_id", json!({"S": ""}), "`document_id`"),
            ("job_id", json!({"N": "1"}), "`job_id`"),
            ("tenant_id", json!({"S": "acme"}), "not a UUID"),
        ] {
            let error =
                read(&inserted("completed", &[(attribute, value)])).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_change_without_its_old_image_is_a_fault_not_an_event() {
        let change = record("MODIFY", None, Some("completed"));
        assert!(matches!(read(&change), Err(ChangeError::MissingImage("OldImage"))));
    }

    #[test]
    fn a_record_of_version_0_1_0_still_makes_the_same_message() {
        const RECORD: &str = include_str!("../../../tests/formats/0.1.0/stream-record.json");
        const MESSAGE: &str = include_str!("../../../tests/formats/0.1.0/delivery-message.json");
        let record: &RawValue = serde_json::from_str(RECORD).unwrap();
        let event = announcement(record).unwrap().event.unwrap();
        let webhook = "550e8400-e29b-41d4-a716-446655440000".parse().unwrap();
        let message = DeliveryMessage::new(&event, webhook);
        assert_eq!(message.to_json().unwrap().as_str(), MESSAGE.trim_end());

        let read: DeliveryMessage = serde_json::from_str(MESSAGE).unwrap();
        assert_eq!((read.delivery_id, read.body.get()), (message.delivery_id, message.body.get()));
    }
}
