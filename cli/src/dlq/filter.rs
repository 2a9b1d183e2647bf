//! Which parked messages a command works on. Pure.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use webhooks::event_type::EventType;
use webhooks::id::{TenantId, WebhookId};
use webhooks::timestamp::Timestamp;

use super::parked::Parked;
use crate::age;
use crate::arguments::event_type;

/// The heading of the filter's options in the help text.
const HEADING: &str = "Which messages";

/// A message must fit every option that is given.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Filter {
    /// Only of this tenant
    #[arg(long, help_heading = HEADING, value_name = "ID")]
    pub(super) tenant_id: Option<TenantId>,
    /// Only of this webhook
    #[arg(long, help_heading = HEADING, value_name = "ID")]
    pub(super) webhook_id: Option<WebhookId>,
    /// Only of this event
    #[arg(long, help_heading = HEADING, value_parser = event_type())]
    pub(super) event: Option<EventType>,
    /// Only with this text in the reason, in any case
    #[arg(long, help_heading = HEADING, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(super) reason: Option<String>,
    /// Only what SQS moved before all attempts were made, because of an internal failure
    #[arg(long, help_heading = HEADING)]
    pub(super) unattempted: bool,
    /// Only if first sent at least this long ago, such as 90s, 15m, 2h or 3d
    #[arg(long, help_heading = HEADING, value_name = "AGE", value_parser = age::parse)]
    pub(super) older_than: Option<Duration>,
    /// Only if first sent less than this long ago
    #[arg(long, help_heading = HEADING, value_name = "AGE", value_parser = age::parse)]
    pub(super) newer_than: Option<Duration>,
}

/// Messages by their own ids, or by those of their deliveries or records.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Ids {
    /// Ids of messages or of deliveries; for faults also of jobs, or sequence numbers
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) ids: Vec<String>,
}

impl Filter {
    /// True if no option is given.
    pub(super) fn is_empty(&self) -> bool {
        let Self { tenant_id, webhook_id, event, reason, unattempted, older_than, newer_than } =
            self;
        tenant_id.is_none()
            && webhook_id.is_none()
            && event.is_none()
            && reason.is_none()
            && !unattempted
            && older_than.is_none()
            && newer_than.is_none()
    }

    /// True if the message fits, as far as it can be told without the delivery log.
    pub(super) fn accepts_message(&self, parked: &Parked, now: Timestamp) -> bool {
        let age = parked.age(now);
        let webhook = parked.delivery().map(|delivery| delivery.webhook_config_id);
        self.tenant_id.is_none_or(|wanted| parked.tenant() == Some(wanted.to_string()))
            && self.webhook_id.is_none_or(|wanted| webhook == Some(wanted))
            && self.event.is_none_or(|wanted| parked.event() == Some(wanted))
            && self.older_than.is_none_or(|least| age >= least)
            && self.newer_than.is_none_or(|most| age < most)
    }

    /// True if what the delivery log says about the message fits.
    pub(super) fn accepts_logged(&self, parked: &Parked, now: Timestamp) -> bool {
        let wanted = self.reason.as_ref().map(|text| text.to_lowercase());
        wanted.is_none_or(|text| parked.reason(now).to_lowercase().contains(&text))
            && (!self.unattempted || parked.is_unattempted())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::super::content::tests::{DELIVERY, fault, job_change};
    use super::super::parked::tests::{parked, row};
    use super::*;

    fn filter(options: &[&str]) -> Result<Filter, clap::Error> {
        let command = Filter::augment_args(Command::new("dlq").no_binary_name(true));
        Filter::from_arg_matches(&command.try_get_matches_from(options)?)
    }

    fn accepts(options: &[&str], parked: &Parked) -> bool {
        let (filter, now) = (filter(options).unwrap(), Timestamp::from_unix_millis(120_000));
        filter.accepts_message(parked, now) && filter.accepts_logged(parked, now)
    }

    #[test]
    fn each_option_accepts_what_fits_and_refuses_the_rest() {
        let mut delivery = parked(DELIVERY);
        delivery.row = Some(row("failed", 1));
        let other = "550e8400-e29b-41d4-a716-446655440009";
        for (option, fits, differs) in [
            ("--tenant-id", "770e8400-e29b-41d4-a716-446655440002", other),
            ("--webhook-id", "550e8400-e29b-41d4-a716-446655440000", other),
            ("--event", "document.uploaded", "document.processing.failed"),
            ("--reason", "ANSWERED 500", "answered 410"),
            ("--older-than", "2m", "121s"),
            ("--newer-than", "121s", "2m"),
        ] {
            assert!(accepts(&[option, fits], &delivery), "{option} {fits}");
            assert!(!accepts(&[option, differs], &delivery), "{option} {differs}");
        }
        assert!(accepts(&["--reason", "500", "--older-than", "1m"], &delivery));
        assert!(!accepts(&["--reason", "500", "--older-than", "3m"], &delivery));
    }

    #[test]
    fn a_job_change_has_a_tenant_and_neither_webhook_nor_event() {
        let change = parked(&fault(job_change().to_string()));
        assert!(accepts(&["--tenant-id", "770e8400-e29b-41d4-a716-446655440002"], &change));
        assert!(!accepts(&["--webhook-id", "550e8400-e29b-41d4-a716-446655440000"], &change));
        assert!(!accepts(&["--event", "document.uploaded"], &change));
        assert!(accepts(&["--reason", "tenant"], &change));
    }

    #[test]
    fn unattempted_accepts_only_what_the_queue_moved_without_all_attempts() {
        let mut delivery = parked(DELIVERY);
        assert!(accepts(&["--unattempted", "--reason", "ours"], &delivery));
        assert!(!accepts(&["--unattempted", "--reason", "endpoint"], &delivery));
        delivery.row = Some(row("failed", 1));
        assert!(!accepts(&["--unattempted"], &delivery));
        assert!(!accepts(&["--unattempted"], &parked(&fault(DELIVERY.to_owned()))));
    }

    #[test]
    fn only_a_filter_without_options_is_empty() {
        assert!(filter(&[]).unwrap().is_empty());
        assert!(!filter(&["--older-than", "0s"]).unwrap().is_empty());
        assert!(!filter(&["--unattempted"]).unwrap().is_empty());
    }

    #[test]
    fn an_unknown_event_an_empty_reason_and_a_wrong_age_are_refused() {
        for options in [["--event", "document.deleted"], ["--reason", ""], ["--older-than", "2"]] {
            let error = filter(&options).unwrap_err().to_string();
            assert!(error.contains(options[0]), "{error}");
        }
    }
}
