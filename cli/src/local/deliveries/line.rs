//! The lines to show for a row of the delivery log, without those that have been shown. Pure.

use std::fmt;
use std::time::Duration;

use webhooks::delivery::{Attempt, DeliveryStatus};
use webhooks::event_type::EventType;
use webhooks::id::DeliveryId;
use webhooks::store::deliveries::DeliveryRow;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;
use webhooks::webhook::Webhook;

use crate::style::{BAD, GOOD, HEADING, WAITING};

/// The headings of a [`Line`]'s columns.
pub(in crate::local) fn headings() -> String {
    format!(
        "  {HEADING}{:<10}  {:<6}  {:<4}  {:<29}  {:<36}  {:<21}  result{HEADING:#}",
        "time (UTC)", "status", "try", "event", "job", "endpoint"
    )
}

/// The part of a row that has been shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    last_attempt_at: Option<Timestamp>,
    status: DeliveryStatus,
}

impl Shown {
    pub(super) fn of(row: &DeliveryRow) -> Self {
        let last_attempt_at = row.attempts.last().map(|attempt| attempt.at);
        Self { last_attempt_at, status: row.summary.status }
    }
}

/// The state of a delivery after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// Another attempt follows.
    Pending,
    /// Failed, cancelled or skipped; no attempt follows.
    Ended,
}

/// An attempt, a cancellation, a skip or an internal failure of a delivery.
#[derive(Debug, Clone)]
pub struct Line {
    /// The end of the attempt, or of the delivery.
    pub(super) at: Timestamp,
    pub(in crate::local) delivery_id: DeliveryId,
    pub(in crate::local) event: EventType,
    pub job_id: String,
    pub outcome: Outcome,
    /// The attempt's number; `None` without an attempt.
    pub attempt: Option<u32>,
    /// From 1; a later chain is a retry, a replay or a redrive.
    pub(super) chain: u32,
    /// The response's HTTP status.
    pub(super) http_status: Option<u16>,
    /// The webhook's limit of attempts.
    pub(super) max_attempts: Option<u32>,
    /// Host and port; `None` if the webhook is deleted or cannot be read.
    pub(super) endpoint: Option<String>,
    /// The error, and what happens next.
    pub(super) text: String,
    /// Time since the write of the job's state.
    pub(super) since_write: Option<Duration>,
}

/// The row's lines that have not been shown, by time.
pub(super) fn lines(
    row: &DeliveryRow,
    shown: Option<&Shown>,
    webhook: Option<&Webhook>,
) -> Vec<Line> {
    let shown_until = shown.and_then(|shown| shown.last_attempt_at);
    let is_new = |attempt: &&Attempt| shown_until.is_none_or(|until| until < attempt.at);
    let mut lines: Vec<Line> = row
        .attempts
        .iter()
        .filter(is_new)
        .map(|attempt| {
            let ended_at = attempt.at.plus(Duration::from_millis(attempt.duration_ms));
            Line {
                at: ended_at,
                attempt: Some(attempt.number),
                chain: attempt.chain,
                http_status: attempt.status_code,
                outcome: if attempt.error.is_none() {
                    Outcome::Delivered
                } else {
                    Outcome::Pending
                },
                text: match (&attempt.error, next_attempt_at(row, attempt)) {
                    (Some(error), Some(next)) => {
                        let wait = next.since(ended_at).as_secs_f64();
                        format!("{error}; next attempt in {wait:.0} s")
                    }
                    (error, _) => error.clone().unwrap_or_default(),
                },
                ..blank(row, webhook)
            }
        })
        .collect();
    let reason = row.summary.last_error.as_deref().unwrap_or("no reason logged");
    let ended = |text| Line { outcome: Outcome::Ended, text, ..blank(row, webhook) };
    match (row.summary.status, lines.last_mut()) {
        (DeliveryStatus::Pending | DeliveryStatus::Delivered, _) => {}
        (DeliveryStatus::Failed, Some(last)) => {
            last.outcome = Outcome::Ended;
            last.text =
                format!("{reason}; no more attempts, the message is in the dead-letter queue");
        }
        // An internal error ended the delivery; no attempt failed.
        (DeliveryStatus::Failed, None) => {
            lines.push(ended(format!("{reason}; the message is in the PipelineFaultsQueue queue")));
        }
        (DeliveryStatus::Cancelled, _) => lines.push(ended(format!("cancelled: {reason}"))),
        (DeliveryStatus::Skipped, _) => lines.push(ended(format!("skipped: {reason}"))),
    }
    lines
}

/// When the attempt that follows `attempt` in its chain was made, or is due.
fn next_attempt_at(row: &DeliveryRow, attempt: &Attempt) -> Option<Timestamp> {
    let is_next = |it: &&Attempt| it.chain == attempt.chain && it.number > attempt.number;
    let next = row.attempts.iter().find(is_next).map(|next| next.at);
    let is_latest_chain = attempt.chain == row.summary.chain;
    next.or(row.summary.next_attempt_at.filter(|_| is_latest_chain))
}

fn blank(row: &DeliveryRow, webhook: Option<&Webhook>) -> Line {
    Line {
        at: row.summary.completed_at.unwrap_or(row.summary.created_at()),
        delivery_id: row.summary.delivery_id,
        event: row.summary.event,
        job_id: row.summary.job_id.clone().unwrap_or_default(),
        outcome: Outcome::Pending,
        attempt: None,
        chain: row.summary.chain,
        http_status: None,
        max_attempts: webhook.map(|webhook| webhook.retry.max_attempts()),
        endpoint: webhook.map(|webhook| webhook.url.as_url().authority().to_owned()),
        text: String::new(),
        since_write: None,
    }
}

/// Aligned columns, wide enough for ids, event names and local addresses.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, style) = match self.outcome {
            Outcome::Delivered => ('✓', GOOD),
            Outcome::Pending => ('✗', WAITING),
            Outcome::Ended => ('✗', BAD),
        };
        let http_status = match (self.attempt, self.http_status) {
            (_, Some(status)) => status.to_string(),
            (Some(_), None) => "none".to_owned(),
            (None, None) => String::new(),
        };
        let number = self.attempt.map(|number| match self.max_attempts {
            Some(max) => format!("{number}/{max}"),
            None => number.to_string(),
        });
        let text = match (self.outcome, self.since_write) {
            (Outcome::Delivered, Some(delay)) => {
                format!("delivered {} ms after the job's write", delay.as_millis())
            }
            (Outcome::Delivered, None) if self.chain > 1 => "delivered, sent again".to_owned(),
            (Outcome::Delivered, None) => "delivered".to_owned(),
            (Outcome::Pending | Outcome::Ended, _) => self.text.clone(),
        };
        // The pipeline may put any text into a job id.
        let (event, job_id) = (self.event, printable(&self.job_id));
        write!(
            f,
            "  {time:<10}  {style}{mark} {http_status:<4}{style:#}  {number:<4}  {event:<29}  {job_id:<36}  {endpoint:<21}  {style}{text}{style:#}",
            time = time_of_day(self.at),
            number = number.unwrap_or_default(),
            event = event.as_str(),
            endpoint = self.endpoint.as_deref().unwrap_or("(no webhook)"),
        )
    }
}

/// `HH:MM:SS` in UTC.
pub(in crate::local) fn time_of_day(at: Timestamp) -> String {
    at.to_string().chars().skip("2025-12-03T".len()).take("10:30:00".len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "550e8400-e29b-41d4-a716-446655440000";

    fn row(status: &str, reason: Option<&str>, attempts: &str) -> DeliveryRow {
        let next = if status == "pending" { r#""2025-12-03T10:30:04.1Z""# } else { "null" };
        let reason = serde_json::to_string(&reason).unwrap();
        let json = format!(
            r#"{{"webhook":"{JOB}/{JOB}","delivery_id":"019ae3c0-0000-7000-8000-000000000001",
            "event":"document.processing.completed","event_id":"019ae3c0-0000-7000-8000-000000000002",
            "job_id":"{JOB}","occurred_at":"2025-12-03T10:30:00Z","body":"{{}}","status":"{status}",
            "chain":1,"attempts":[{attempts}],"attempt_count":1,"last_attempt":1,"last_error":{reason},
            "next_attempt_at":{next},"ttl":1}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn attempt(number: u32, error: Option<&str>) -> String {
        let error = serde_json::to_string(&error).unwrap();
        format!(
            r#"{{"number":{number},"at":"2025-12-03T10:30:0{number}Z","duration_ms":20,"error":{error}}}"#
        )
    }

    #[test]
    fn a_failed_attempt_shows_the_delay_of_the_next_one() {
        let row = row("pending", None, &attempt(2, Some("the endpoint answered 503")));
        let line = lines(&row, None, None).remove(0);
        assert_eq!(line.text, "the endpoint answered 503; next attempt in 2 s");
        assert_eq!((line.outcome, line.job_id.as_str()), (Outcome::Pending, JOB));
    }

    #[test]
    fn attempts_between_two_reads_are_all_shown() {
        let before = Shown::of(&row("pending", None, &attempt(1, Some("refused"))));
        let attempts = [1, 2, 3].map(|number| attempt(number, Some("refused"))).join(",");
        let row = row("failed", Some("refused"), &attempts);
        let lines = lines(&row, Some(&before), None);
        assert_eq!(lines.iter().map(|line| line.attempt).collect::<Vec<_>>(), [Some(2), Some(3)]);
        let outcomes: Vec<_> = lines.iter().map(|line| line.outcome).collect();
        assert_eq!(outcomes, [Outcome::Pending, Outcome::Ended]);
        assert!(lines[1].text.contains("dead-letter queue"), "{}", lines[1].text);
    }

    #[test]
    fn a_cancellation_without_an_attempt_has_a_line() {
        let row = row("cancelled", Some("the webhook was deleted"), "");
        let line = lines(&row, None, None).remove(0);
        assert_eq!(line.text, "cancelled: the webhook was deleted");
        assert!(line.to_string().contains("(no webhook)"));
    }

    #[test]
    fn a_cancellation_has_its_own_line_after_the_attempt() {
        let row =
            row("cancelled", Some("the webhook is switched off"), &attempt(1, Some("refused")));
        let texts: Vec<_> = lines(&row, None, None).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["refused", "cancelled: the webhook is switched off"]);
    }

    #[test]
    fn a_skipped_delivery_has_a_line_until_an_attempt_follows() {
        let skipped = row("skipped", Some("the webhook is switched off"), "");
        let line = lines(&skipped, None, None).remove(0);
        assert_eq!(line.text, "skipped: the webhook is switched off");
        assert_eq!((line.outcome, line.attempt), (Outcome::Ended, None));
        let later = row("delivered", None, &attempt(1, None));
        let outcomes: Vec<_> = lines(&later, Some(&Shown::of(&skipped)), None)
            .into_iter()
            .map(|line| (line.outcome, line.attempt))
            .collect();
        assert_eq!(outcomes, [(Outcome::Delivered, Some(1))]);
    }

    #[test]
    fn an_internal_failure_points_to_the_pipeline_faults_queue() {
        let attempts = attempt(1, Some("refused"));
        let before = Shown::of(&row("pending", None, &attempts));
        let row = row("failed", Some("an internal error"), &attempts);
        let line = lines(&row, Some(&before), None).remove(0);
        assert_eq!(line.text, "an internal error; the message is in the PipelineFaultsQueue queue");
    }

    #[test]
    fn columns_are_aligned_with_their_headings() {
        let row = row("delivered", None, &attempt(1, None));
        let plain = anstream::adapter::strip_str(&lines(&row, None, None).remove(0).to_string())
            .to_string();
        let headings = anstream::adapter::strip_str(&headings()).to_string();
        let column = |text: &str, word| text.find(word).map(|at| text[..at].chars().count());
        assert_eq!(column(&plain, "10:30:01"), column(&headings, "time"));
        assert_eq!(column(&plain, "✓"), column(&headings, "status"));
        assert_eq!(column(&plain, "document."), column(&headings, "event"));
        assert_eq!(column(&plain, JOB), column(&headings, "job"));
        assert_eq!(column(&plain, "(no webhook"), column(&headings, "endpoint"));
    }
}
