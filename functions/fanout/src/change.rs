//! A stream record of the Jobs table → the event it announces. Pure.
//!
//! Only a *transition* is an event: a job that is written again in the state it was in announces
//! nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use webhooks::event::{Event, EventError, EventName};
use webhooks::id::{EventId, InvalidId};
use webhooks::job::{Job, JobStatus};
use webhooks::timestamp::{InvalidTimestamp, Timestamp};

/// Why a record cannot be understood. Reading it again would not help.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Not a record of a DynamoDB stream.
    #[error("not a DynamoDB stream record: {0}")]
    NotARecord(#[source] serde_json::Error),
    /// The stream does not carry what this function needs.
    #[error("the record has no {0}; the stream's view type must be NEW_AND_OLD_IMAGES")]
    MissingImage(&'static str),
    /// The job lacks something that every event tells.
    #[error("the job has no `{0}`, or not of the right type")]
    MissingAttribute(&'static str),
    /// A number that JSON does not know.
    #[error("the job's `{0}` is not a number that JSON can hold")]
    NotANumber(&'static str),
    /// A tenant id of another form.
    #[error("the job's `tenant_id` is {0}")]
    Tenant(#[source] InvalidId),
    /// A time of another form.
    #[error("the job's `updated_at` is {0}")]
    Time(#[source] InvalidTimestamp),
    /// An event that cannot be made.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// The event that `record` announces, if it announces one.
pub fn event(record: &RawValue) -> Result<Option<Event>, ChangeError> {
    let record: Record<'_> = serde_json::from_str(record.get()).map_err(ChangeError::NotARecord)?;
    let Some(name) = transition(&record)? else { return Ok(None) };
    let image = record.dynamodb.new_image.as_ref().ok_or(ChangeError::MissingImage("NewImage"))?;
    let job = image.job()?;
    let recorded_at = match record.dynamodb.approximate_creation_date_time {
        Some(seconds) => Timestamp::from_unix_millis(millis(seconds)),
        None => job.updated_at,
    };
    let id = EventId::of_record(&record.event_id, recorded_at);
    Ok(Some(Event::new(id, name, &job)?))
}

/// Which event the change from the old to the new image is.
fn transition(record: &Record<'_>) -> Result<Option<EventName>, ChangeError> {
    let change = &record.dynamodb;
    let old = match record.event_name {
        Kind::Insert => None,
        Kind::Modify => {
            Some(change.old_image.as_ref().ok_or(ChangeError::MissingImage("OldImage"))?.status()?)
        }
        Kind::Remove => return Ok(None),
    };
    let new = change.new_image.as_ref().ok_or(ChangeError::MissingImage("NewImage"))?.status()?;
    Ok(match (old, JobStatus::from_name(new)) {
        (None, Some(JobStatus::Queued | JobStatus::Pending)) => Some(EventName::DocumentUploaded),
        (Some(old), _) if old == new => None,
        (_, Some(JobStatus::Completed)) => Some(EventName::ProcessingCompleted),
        (_, Some(JobStatus::Failed)) => Some(EventName::ProcessingFailed),
        _ => None,
    })
}

/// A stream's time is seconds, on AWS without a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(rename = "eventID", borrow)]
    event_id: Cow<'a, str>,
    #[serde(rename = "eventName")]
    event_name: Kind,
    #[serde(borrow)]
    dynamodb: Change<'a>,
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
struct Change<'a> {
    approximate_creation_date_time: Option<f64>,
    #[serde(borrow)]
    new_image: Option<Image<'a>>,
    #[serde(borrow)]
    old_image: Option<Image<'a>>,
}

/// The attributes that matter of a job's row; others are not looked at.
#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    job_id: Option<Attribute<'a>>,
    #[serde(borrow)]
    document_id: Option<Attribute<'a>>,
    #[serde(borrow)]
    tenant_id: Option<Attribute<'a>>,
    #[serde(borrow)]
    status: Option<Attribute<'a>>,
    #[serde(borrow)]
    processing_time_seconds: Option<Attribute<'a>>,
    #[serde(borrow)]
    page_count: Option<Attribute<'a>>,
    #[serde(borrow)]
    ir_version: Option<Attribute<'a>>,
    #[serde(borrow)]
    error_message: Option<Attribute<'a>>,
    #[serde(borrow)]
    updated_at: Option<Attribute<'a>>,
}

/// A DynamoDB value; one of another type than these two, NULL among them, is both absent.
#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(rename = "S", borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(rename = "N", borrow)]
    number: Option<Cow<'a, str>>,
}

impl Image<'_> {
    fn status(&self) -> Result<&str, ChangeError> {
        required("status", self.status.as_ref())
    }

    fn job(&self) -> Result<Job, ChangeError> {
        let status = self.status()?;
        Ok(Job {
            job_id: required("job_id", self.job_id.as_ref())?.to_owned(),
            document_id: required("document_id", self.document_id.as_ref())?.to_owned(),
            tenant_id: required("tenant_id", self.tenant_id.as_ref())?
                .parse()
                .map_err(ChangeError::Tenant)?,
            status: JobStatus::from_name(status).ok_or(ChangeError::MissingAttribute("status"))?,
            processing_time_seconds: number(
                "processing_time_seconds",
                self.processing_time_seconds.as_ref(),
            )?,
            page_count: number("page_count", self.page_count.as_ref())?,
            ir_version: text(self.ir_version.as_ref()).map(str::to_owned),
            error_message: text(self.error_message.as_ref()).map(str::to_owned),
            updated_at: Timestamp::parse(required("updated_at", self.updated_at.as_ref())?)
                .map_err(ChangeError::Time)?,
        })
    }
}

fn text<'a>(attribute: Option<&'a Attribute<'_>>) -> Option<&'a str> {
    attribute.and_then(|attribute| attribute.text.as_deref())
}

fn required<'a>(
    name: &'static str,
    attribute: Option<&'a Attribute<'_>>,
) -> Result<&'a str, ChangeError> {
    text(attribute).filter(|text| !text.is_empty()).ok_or(ChangeError::MissingAttribute(name))
}

/// The digits as DynamoDB wrote them: no float in between that could change them.
fn number(
    name: &'static str,
    attribute: Option<&Attribute<'_>>,
) -> Result<Option<Box<RawValue>>, ChangeError> {
    let Some(digits) = attribute.and_then(|attribute| attribute.number.as_deref()) else {
        return Ok(None);
    };
    match serde_json::from_str::<serde_json::Number>(digits) {
        Ok(_) => RawValue::from_string(digits.to_owned()).ok().map(Some),
        Err(_) => None,
    }
    .ok_or(ChangeError::NotANumber(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        reason = "json! borrows what the caller has no use for"
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

    fn read(record: &Value) -> Result<Option<Event>, ChangeError> {
        event(&serde_json::value::to_raw_value(record).unwrap())
    }

    fn name(kind: &str, old: Option<&str>, new: Option<&str>) -> Option<&'static str> {
        read(&record(kind, old, new)).unwrap().map(|event| event.name.as_str())
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
            ("REMOVE", Some("completed"), None, None),
        ] {
            assert_eq!(name(kind, old, new), expected, "{kind} {old:?} {new:?}");
        }
    }

    #[test]
    fn numbers_keep_the_digits_that_dynamodb_wrote() {
        let event = read(&record("INSERT", None, Some("completed"))).unwrap().unwrap();
        assert!(event.body.get().contains(r#""processing_time_seconds":45.20,"page_count":12"#));
    }

    #[test]
    fn a_record_read_twice_is_the_same_event() {
        let record = record("INSERT", None, Some("queued"));
        let (first, second) = (read(&record).unwrap().unwrap(), read(&record).unwrap().unwrap());
        assert_eq!((first.id, first.body.get()), (second.id, second.body.get()));
    }

    #[test]
    fn a_record_that_cannot_be_understood_says_what_is_wrong() {
        let broken = |attribute: &str, value: Value| {
            let mut image = image("completed");
            image[attribute] = value;
            read(&record_of("INSERT", None, Some(image))).unwrap_err().to_string()
        };
        for (attribute, value, reason) in [
            ("document_id", Value::Null, "`document_id`"),
            ("job_id", json!({"N": "1"}), "`job_id`"),
            ("tenant_id", json!({"S": "acme"}), "not a UUID"),
            ("updated_at", json!({"S": "yesterday"}), "not an RFC 3339 time"),
            ("page_count", json!({"N": "many"}), "`page_count`"),
        ] {
            let said = broken(attribute, value);
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn a_change_without_its_old_image_is_a_fault_not_an_event() {
        let change = record("MODIFY", None, Some("completed"));
        assert!(matches!(read(&change), Err(ChangeError::MissingImage("OldImage"))));
    }
}
