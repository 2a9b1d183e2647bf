//! Decides what a redrive does with a parked message. Pure.

use std::fmt;

use webhooks::delivery::{DeliveryMessage, DeliveryStatus};
use webhooks::timestamp::Timestamp;

use super::content::{Content, JobChange, Record};
use super::parked::{Parked, WebhookState};

/// How a message is sent again.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// Through the delivery queue.
    Queue(&'a DeliveryMessage),
    /// Through fanout.
    FanOut(&'a JobChange),
}

/// Why a message stays where it is. The text says what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    DeliveredSince,
    UnderWay,
    SwitchedOff,
    NeedsTest,
    Deleted,
    Event,
    Cut,
    Missing,
    StreamBatch,
    Unreadable,
}

impl LeftOut {
    const fn as_str(self) -> &'static str {
        match self {
            Self::DeliveredSince => {
                "delivered since: include these with --all, or remove them with `dlq drop --delivered`"
            }
            Self::UnderWay => "attempts are under way: redrive again when they have ended",
            Self::SwitchedOff => "the webhook is switched off: redrive when it is on again",
            Self::NeedsTest => {
                "the webhook needs a successful test first: redrive when its owner has tested it"
            }
            Self::Deleted => "the webhook was deleted: drop these",
            Self::Event => {
                "fanout kept only the event, because the webhook's row is malformed: correct the row, and have the \
                 pipeline process the document again"
            }
            Self::Cut => {
                "the record was too long to be parked whole: have the pipeline process the document again; the \
                 function's log has the ids"
            }
            Self::Missing => {
                "the queue refused the record's text: correct the job that the function's log names, and have the \
                 pipeline process the document again"
            }
            Self::StreamBatch => {
                "Lambda parked only the position of the records: read them from the stream within 24 hours, or have \
                 the pipeline process the documents again"
            }
            Self::Unreadable => {
                "this version cannot read the message: see it with `dlq show`, then redrive it with the version that \
                 wrote it, or drop it"
            }
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `all` includes what has been delivered since.
pub(super) fn step(parked: &Parked, all: bool, now: Timestamp) -> Result<Step<'_>, LeftOut> {
    match parked.status(now) {
        Some(DeliveryStatus::Delivered) if !all => return Err(LeftOut::DeliveredSince),
        // Its message is here, so no attempt follows.
        Some(DeliveryStatus::Pending) if parked.is_unattempted() => {}
        Some(DeliveryStatus::Pending) => return Err(LeftOut::UnderWay),
        _ => {}
    }
    // The sender would only cancel the delivery.
    match parked.webhook {
        Some(WebhookState::SwitchedOff) => return Err(LeftOut::SwitchedOff),
        Some(WebhookState::NeedsTest) => return Err(LeftOut::NeedsTest),
        Some(WebhookState::Deleted) => return Err(LeftOut::Deleted),
        Some(WebhookState::Active) | None => {}
    }
    match &parked.content {
        Content::Delivery(delivery) => Ok(Step::Queue(delivery)),
        Content::Fault { record, .. } => match record {
            Record::Delivery(delivery) => Ok(Step::Queue(delivery)),
            Record::JobChange(change) => Ok(Step::FanOut(change)),
            Record::Event(_) => Err(LeftOut::Event),
            Record::Cut => Err(LeftOut::Cut),
            Record::Missing => Err(LeftOut::Missing),
            Record::Unknown => Err(LeftOut::Unreadable),
        },
        Content::StreamBatch { .. } => Err(LeftOut::StreamBatch),
        Content::Unreadable(_) => Err(LeftOut::Unreadable),
    }
}

/// The message for a parked delivery that has no row in the log. A dead letter gets the chain after its own. A fault
/// keeps its chain and its attempts, because we and not the endpoint stopped it.
pub(super) fn without_a_row(parked: &Parked, delivery: &DeliveryMessage) -> DeliveryMessage {
    let (chain, attempts_before) = match &parked.content {
        Content::Delivery(_) => (delivery.chain + 1, 0),
        _ => (delivery.chain, delivery.attempts_before),
    };
    DeliveryMessage { chain, attempts_before, blocked_since: None, ..delivery.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::{DELIVERY, fault, job_change};
    use super::super::parked::tests::{parked, row};
    use super::*;

    fn left_out(parked: &Parked, all: bool) -> Option<LeftOut> {
        step(parked, all, Timestamp::from_unix_millis(0)).err()
    }

    #[test]
    fn what_was_delivered_since_is_left_out_unless_all_is_asked() {
        let with = |status| Parked { row: Some(row(status, 2)), ..parked(DELIVERY) };
        assert_eq!(left_out(&with("delivered"), false), Some(LeftOut::DeliveredSince));
        assert_eq!(left_out(&with("delivered"), true), None);
        assert_eq!(left_out(&with("pending"), true), Some(LeftOut::UnderWay), "a later chain");
        let own_chain = Parked { row: Some(row("pending", 1)), ..parked(DELIVERY) };
        assert_eq!(left_out(&own_chain, false), None, "its message is parked");
        for status in ["failed", "cancelled", "skipped"] {
            assert_eq!(left_out(&with(status), false), None, "{status}");
        }
        assert_eq!(left_out(&parked(DELIVERY), false), None, "no row");
    }

    #[test]
    fn a_delivery_whose_webhook_is_off_untested_or_deleted_is_left_out() {
        let with = |webhook| Parked { webhook: Some(webhook), ..parked(DELIVERY) };
        assert_eq!(left_out(&with(WebhookState::Active), false), None);
        assert_eq!(left_out(&with(WebhookState::SwitchedOff), true), Some(LeftOut::SwitchedOff));
        assert_eq!(left_out(&with(WebhookState::NeedsTest), true), Some(LeftOut::NeedsTest));
        assert_eq!(left_out(&with(WebhookState::Deleted), true), Some(LeftOut::Deleted));
    }

    #[test]
    fn each_record_goes_where_it_came_from() {
        let now = Timestamp::from_unix_millis(0);
        let delivery = parked(&fault(DELIVERY.to_owned()));
        assert!(matches!(step(&delivery, false, now), Ok(Step::Queue(_))));
        let change = parked(&fault(job_change().to_string()));
        assert!(matches!(step(&change, false, now), Ok(Step::FanOut(_))));
    }

    #[test]
    fn what_cannot_be_redriven_says_what_to_do_instead() {
        let cut = fault("{".to_owned()).replace("{\"reason", "{\"record_is_cut\":true,\"reason");
        let event = fault(r#"{"event":"document.uploaded","data":{}}"#.to_owned());
        for (body, expected) in [
            (cut, LeftOut::Cut),
            (event, LeftOut::Event),
            (fault(None), LeftOut::Missing),
            (fault("{}".to_owned()), LeftOut::Unreadable),
            ("{}".to_owned(), LeftOut::Unreadable),
        ] {
            assert_eq!(left_out(&parked(&body), true), Some(expected), "{body}");
            assert!(expected.to_string().contains(": "), "{expected}");
        }
    }

    #[test]
    fn without_a_row_a_dead_letter_begins_a_chain_and_a_fault_continues_its_own() {
        for (parked, expected) in
            [(parked(DELIVERY), (2, 0)), (parked(&fault(DELIVERY.to_owned())), (1, 5))]
        {
            let delivery = parked.delivery().unwrap();
            let sent = without_a_row(&parked, delivery);
            assert_eq!((sent.chain, sent.attempts_before), expected);
            assert_eq!((sent.blocked_since, sent.body.get()), (None, delivery.body.get()));
        }
    }
}
