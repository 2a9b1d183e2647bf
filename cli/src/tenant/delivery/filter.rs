//! Which deliveries a command works on. Pure.

use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use webhooks::delivery::DeliveryStatus;
use webhooks::event_type::EventType;
use webhooks::store::deliveries::{DeliveryFilter, Range};
use webhooks::timestamp::Timestamp;

use crate::arguments::{event_type, status, time};

/// The heading of the filter's options in the help text.
pub(in crate::tenant) const HEADING: &str = "Which deliveries";

/// Deliveries by their event. A delivery must fit every option that is given.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::tenant) struct EventFilter {
    /// Only of this event
    #[arg(long, help_heading = HEADING, value_parser = event_type())]
    pub(in crate::tenant) event: Option<EventType>,
    /// Only of this document
    #[arg(long, help_heading = HEADING, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::tenant) document_id: Option<String>,
    /// Only of this job
    #[arg(long, help_heading = HEADING, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::tenant) job_id: Option<String>,
}

/// The filters of the API's list.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ListFilter {
    /// Only with one of these statuses, separated by commas
    #[arg(long, help_heading = HEADING, value_name = "STATUS,…", value_delimiter = ',', value_parser = status(DeliveryStatus::ALL))]
    status: Option<Vec<DeliveryStatus>>,
    #[command(flatten)]
    event: EventFilter,
    /// Not created before this time: RFC 3339, or an age such as 2h
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Not created after this time: RFC 3339, or an age such as 15m
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

impl ListFilter {
    /// An error if the options contradict each other.
    pub(super) fn check(&self) -> Result<()> {
        check_range(self.since, self.until)
    }

    pub(super) fn range(&self) -> Range {
        Range { since: self.since, until: self.until, after: None }
    }

    pub(super) fn to_filter(&self) -> DeliveryFilter {
        let EventFilter { event, document_id, job_id } = self.event.clone();
        DeliveryFilter { statuses: self.status.clone(), event, document_id, job_id }
    }
}

/// An error if `since` is later than `until`.
pub(in crate::tenant) fn check_range(
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<()> {
    if let Some((since, until)) = since.zip(until) {
        ensure!(since <= until, "--since ({since}) must not be later than --until ({until})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::*;

    fn filter(options: &[&str]) -> Result<ListFilter, clap::Error> {
        let command = ListFilter::augment_args(Command::new("list").no_binary_name(true));
        ListFilter::from_arg_matches(&command.try_get_matches_from(options)?)
    }

    #[test]
    fn without_options_every_delivery_is_listed() {
        let filter = filter(&[]).unwrap();
        assert_eq!(
            (filter.to_filter(), filter.range()),
            (DeliveryFilter::default(), Range::default())
        );
    }

    #[test]
    fn every_option_is_a_filter_of_the_api() {
        let options = "--status failed,skipped --event document.uploaded --document-id d --job-id j \
                       --since 2025-12-03T10:30:00+01:00 --until 2025-12-03T09:30:00Z";
        let filter = filter(&options.split_whitespace().collect::<Vec<_>>()).unwrap();
        filter.check().unwrap();
        let expected = DeliveryFilter {
            statuses: Some(vec![DeliveryStatus::Failed, DeliveryStatus::Skipped]),
            event: Some(EventType::DocumentUploaded),
            document_id: Some("d".to_owned()),
            job_id: Some("j".to_owned()),
        };
        assert_eq!(filter.to_filter(), expected);
        let at = Timestamp::parse("2025-12-03T09:30:00Z").ok();
        assert_eq!(filter.range(), Range { since: at, until: at, after: None });
    }

    #[test]
    fn each_wrong_option_is_named() {
        for options in [
            ["--status", "lost"],
            ["--status", ""],
            ["--status", "failed,"],
            ["--event", "document.deleted"],
            ["--document-id", ""],
            ["--job-id", ""],
            ["--since", "yesterday"],
            ["--until", "2"],
        ] {
            let error = filter(&options).unwrap_err().to_string();
            assert!(error.contains(options[0]), "{error}");
        }
        let reversed = filter(&["--since", "1h", "--until", "2h"]).unwrap();
        let error = reversed.check().unwrap_err().to_string();
        assert!(error.contains("--since") && error.contains("--until"), "{error}");
    }
}
