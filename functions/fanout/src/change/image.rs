//! Parses a job from a row in a stream image.
//!
//! The rule: a malformed attribute that the event does not need causes a warning and not a fault.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use webhooks::event_type::{EventType, Field};
use webhooks::job::{Job, JobStatus};
use webhooks::timestamp::Timestamp;

use super::{ChangeError, Warning};

/// The attributes of a job's row that events use.
#[derive(Deserialize)]
pub(super) struct Image<'a> {
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

/// A DynamoDB value. All fields are `None` if it has another type.
#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(rename = "S", borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(rename = "N", borrow)]
    number: Option<Cow<'a, str>>,
    #[serde(rename = "NULL")]
    null: Option<IgnoredAny>,
}

impl Image<'_> {
    /// The status, if it is text.
    pub(super) fn status(&self) -> Option<&str> {
        text(self.status.as_ref()).ok()
    }

    /// The job, with only those optional attributes that event `name` contains.
    pub(super) fn job(
        &self,
        name: EventType,
        recorded_at: Option<Timestamp>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Job, ChangeError> {
        let status = required("status", self.status.as_ref())?;
        let mut optional = Optional { warnings };
        let updated_at = text(self.updated_at.as_ref())
            .and_then(|text| Timestamp::parse(text).map_err(|_invalid| Unusable::NotATime));
        Ok(Job {
            job_id: required("job_id", self.job_id.as_ref())?.to_owned(),
            document_id: required("document_id", self.document_id.as_ref())?.to_owned(),
            tenant_id: required("tenant_id", self.tenant_id.as_ref())?
                .parse()
                .map_err(ChangeError::Tenant)?,
            status: JobStatus::from_name(status).ok_or(ChangeError::MissingAttribute("status"))?,
            processing_time_seconds: name
                .carries(Field::ProcessingTime)
                .then(|| number(self.processing_time_seconds.as_ref()))
                .and_then(|read| optional.value("processing_time_seconds", read)),
            page_count: name
                .carries(Field::PageCount)
                .then(|| number(self.page_count.as_ref()))
                .and_then(|read| optional.value("page_count", read)),
            ir_version: name
                .carries(Field::IrVersion)
                .then(|| text(self.ir_version.as_ref()))
                .and_then(|read| optional.value("ir_version", read))
                .map(str::to_owned),
            error_message: name
                .carries(Field::ErrorMessage)
                .then(|| text(self.error_message.as_ref()))
                .and_then(|read| optional.value("error_message", read))
                .map(str::to_owned),
            updated_at: match (updated_at, recorded_at) {
                (Ok(updated_at), _) => updated_at,
                (Err(reason), Some(recorded_at)) => {
                    optional.warnings.push(Warning::RecordTime(reason));
                    recorded_at
                }
                (Err(reason), None) => return Err(ChangeError::NoTime(reason)),
            },
        })
    }
}

/// Reads optional attributes and collects warnings about them.
struct Optional<'a> {
    warnings: &'a mut Vec<Warning>,
}

impl Optional<'_> {
    /// The value that was read from attribute `name`. A value that is present but unusable causes a warning.
    fn value<T>(&mut self, name: &'static str, read: Result<T, Unusable>) -> Option<T> {
        read.inspect_err(|reason| {
            if *reason != Unusable::Missing {
                self.warnings.push(Warning::LeftOut(name, *reason));
            }
        })
        .ok()
    }
}

fn present<'a, 'b>(attribute: Option<&'a Attribute<'b>>) -> Result<&'a Attribute<'b>, Unusable> {
    attribute.filter(|attribute| attribute.null.is_none()).ok_or(Unusable::Missing)
}

fn text<'a>(attribute: Option<&'a Attribute<'_>>) -> Result<&'a str, Unusable> {
    present(attribute)?.text.as_deref().ok_or(Unusable::NotText)
}

fn required<'a>(
    name: &'static str,
    attribute: Option<&'a Attribute<'_>>,
) -> Result<&'a str, ChangeError> {
    text(attribute).ok().filter(|text| !text.is_empty()).ok_or(ChangeError::MissingAttribute(name))
}

/// The digits exactly as DynamoDB wrote them. Parsing them as a float could change them.
fn number(attribute: Option<&Attribute<'_>>) -> Result<Box<RawValue>, Unusable> {
    let digits = present(attribute)?.number.as_deref().ok_or(Unusable::NotANumber)?;
    serde_json::from_str::<serde_json::Number>(digits)
        .and_then(|_| RawValue::from_string(digits.to_owned()))
        .map_err(|_error| Unusable::OutOfRange)
}

/// Why an attribute cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is absent or NULL.
    Missing,
    /// It should be text.
    NotText,
    /// It should be a number.
    NotANumber,
    /// The number is larger than JSON parsers can hold.
    OutOfRange,
    /// It is not an RFC 3339 time with an offset.
    NotATime,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::NotText => "not text",
            Self::NotANumber => "not a number",
            Self::OutOfRange => "not a number that JSON can hold",
            Self::NotATime => "not an RFC 3339 time with an offset",
        })
    }
}
