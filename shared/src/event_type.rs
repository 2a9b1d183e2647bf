//! The event types: their names, the job changes that fire them, and the fields of their bodies.
//!
//! The rule: a new event type is one entry in the table below. Fanout's transitions, the API's validation
//! and the body's fields follow from it; tests compare `template.yaml`, `events/`, `docs/API.md` and
//! `functions/api/event-types.json` with it.

use crate::job::JobStatus;
use crate::named::named;

use Field::{ErrorMessage, IrVersion, PageCount, ProcessingTime};
use JobChange::{Created, Entered};

/// Declares [`EventType`] and its definitions.
macro_rules! event_types {
    ($($(#[$doc:meta])* $Event:ident = $name:literal => $definition:expr,)+) => {
        named! {
            /// A type of event that a webhook can subscribe to.
            pub enum EventType {
                $($(#[$doc])* $Event = $name),+
            }
        }

        impl EventType {
            const fn definition(self) -> Definition {
                match self {
                    $(Self::$Event => $definition),+
                }
            }
        }
    };
}

event_types! {
    /// A document was uploaded and queued.
    DocumentUploaded = "document.uploaded" => Definition {
        description: "A document was uploaded and queued for processing.",
        fired_by: Created(&[JobStatus::Queued, JobStatus::Pending]),
        status: JobStatus::Queued,
        fields: &[],
    },
    /// A document's extraction succeeded.
    ProcessingCompleted = "document.processing.completed" => Definition {
        description: "A document was processed successfully.",
        fired_by: Entered(&[JobStatus::Completed]),
        status: JobStatus::Completed,
        fields: &[ProcessingTime, PageCount, IrVersion],
    },
    /// A document's extraction failed.
    ProcessingFailed = "document.processing.failed" => Definition {
        description: "A document could not be processed.",
        fired_by: Entered(&[JobStatus::Failed]),
        status: JobStatus::Failed,
        fields: &[ErrorMessage],
    },
}

struct Definition {
    /// A sentence for tenants.
    description: &'static str,
    fired_by: JobChange,
    /// `data.status` in the body: `queued` for every upload, even if the row says `pending`.
    status: JobStatus,
    /// The fields of `data` besides the ids and the status.
    fields: &'static [Field],
}

#[derive(Debug, Clone, Copy)]
enum JobChange {
    /// The row is new, with one of these statuses.
    Created(&'static [JobStatus]),
    /// The row is new or had another status, and now has one of these.
    Entered(&'static [JobStatus]),
}

impl JobChange {
    fn includes(self, is_new: bool, status: JobStatus) -> bool {
        match self {
            Created(statuses) => is_new && statuses.contains(&status),
            Entered(statuses) => statuses.contains(&status),
        }
    }
}

/// An optional field of `data` in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `processing_time_seconds`.
    ProcessingTime,
    /// `page_count`.
    PageCount,
    /// `ir_version`.
    IrVersion,
    /// `error_message`; an event with this field always has a value for it.
    ErrorMessage,
}

impl EventType {
    /// The event of a row that has just changed to `status`; `is_new` if the row was inserted.
    #[must_use]
    pub fn fired_by(is_new: bool, status: JobStatus) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.definition().fired_by.includes(is_new, status))
    }

    /// When the event happens, as a sentence for tenants.
    #[must_use]
    pub const fn description(self) -> &'static str {
        self.definition().description
    }

    /// The fields of `data` besides the ids and the status, in the published order.
    #[must_use]
    pub(crate) const fn fields(self) -> &'static [Field] {
        self.definition().fields
    }

    /// `data.status` in the event's body.
    #[must_use]
    pub const fn status(self) -> JobStatus {
        self.definition().status
    }

    /// True if the body can have `field`.
    #[must_use]
    pub fn carries(self, field: Field) -> bool {
        self.definition().fields.contains(&field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_has_a_job_change_that_fires_it_and_is_found_by_name() {
        for event in EventType::ALL {
            let fires = |status| {
                [true, false]
                    .map(|is_new| EventType::fired_by(is_new, status))
                    .contains(&Some(event))
            };
            assert!(JobStatus::ALL.into_iter().any(fires), "no job change fires {event}");
            assert_eq!(EventType::from_name(event.as_str()), Some(event));
        }
    }

    #[test]
    fn no_job_change_fires_two_event_types() {
        for (status, is_new) in
            JobStatus::ALL.into_iter().flat_map(|status| [(status, true), (status, false)])
        {
            let fired = EventType::ALL
                .into_iter()
                .filter(|event| event.definition().fired_by.includes(is_new, status));
            assert!(fired.count() <= 1, "{status}, new: {is_new}");
        }
    }
}
