//! Shows replays: as a table, as JSON, or one in full. Pure.
//!
//! The rule: JSON has the API's names.

use serde_json::{Value, json};
use webhooks::replay::{Replay, ReplayFilter};
use webhooks::store::replays::Count;
use webhooks::text::printable;
use webhooks::timestamp::Timestamp;

use crate::columns::Columns;
use crate::tenant::delivery::{count_deliveries, json as delivery_json};
use crate::words::fields;

/// The fields of [`json`] in the order in which people read them. Those of the filter are on the same level.
const IN_ORDER: [&str; 18] = [
    "replay_id",
    "state",
    "reason",
    "counted",
    "sent",
    "rate_per_second",
    "tenant_id",
    "webhook_config_id",
    "since",
    "until",
    "status",
    "event",
    "document_id",
    "job_id",
    "created_at",
    "updated_at",
    "completed_at",
    "filter",
];

pub(super) fn table(replays: &[Replay], now: Timestamp) -> Columns<8> {
    let headings = ["id", "state", "sent", "counted", "since", "until", "status", "webhook"];
    let mut columns = Columns::new(headings);
    for replay in replays {
        columns.add([
            replay.replay_id.to_string(),
            replay.state_at(now).to_string(),
            replay.sent.to_string(),
            replay.counted.to_string(),
            replay.filter.since.whole_seconds().to_string(),
            replay.filter.until.whole_seconds().to_string(),
            statuses(&replay.filter),
            replay.webhook.webhook_id.to_string(),
        ]);
    }
    columns
}

/// The API's replay object, with the webhook's key and the reason of a cancellation.
pub(super) fn json(replay: &Replay, now: Timestamp) -> Value {
    let filter = &replay.filter;
    json!({
        "replay_id": replay.replay_id,
        "tenant_id": replay.webhook.tenant_id,
        "webhook_config_id": replay.webhook.webhook_id,
        "state": replay.state_at(now),
        "reason": replay.reason,
        "counted": replay.counted,
        "sent": replay.sent,
        "rate_per_second": replay.rate_per_second,
        "filter": {
            "since": filter.since,
            "until": filter.until,
            "status": filter.statuses.as_ref().map_or_else(|| json!("all"), |it| json!(it)),
            "event": filter.event,
            "document_id": filter.document_id,
            "job_id": filter.job_id,
        },
        "created_at": replay.created_at,
        "updated_at": replay.updated_at,
        "completed_at": replay.ended_at(now),
    })
}

/// Everything about one replay, for people.
pub(super) fn full(replay: &Replay, now: Timestamp) -> String {
    let mut value = json(replay, now);
    let Value::Object(filter) = value["filter"].take() else { return String::new() };
    for (name, field) in filter {
        value[name] = field;
    }
    value["status"] = statuses(&replay.filter).into();
    fields(&value, &IN_ORDER).join("\n")
}

/// The API's answer to a dry run.
pub(super) fn count_json(counted: &Count, rate: u32, now: Timestamp) -> Value {
    json!({
        "count": counted.count,
        "count_is_exact": counted.is_exact,
        "sample": counted.sample.iter().map(|it| delivery_json(it, now)).collect::<Vec<_>>(),
        "estimated_seconds": seconds(counted, rate),
    })
}

/// How much a replay would send, and how long that takes.
pub(super) fn size(counted: &Count, rate: u32) -> String {
    let number = count_deliveries(usize::try_from(counted.count).unwrap_or(usize::MAX));
    let (least, more) = if counted.is_exact { ("", "") } else { ("at least ", " or longer") };
    let seconds = seconds(counted, rate);
    let end = match counted.sample.len() {
        0 => ".".to_owned(),
        shown if counted.count > shown as u64 => format!("; the first {shown}:"),
        _ => ":".to_owned(),
    };
    format!("{least}{number}, about {seconds} s{more} at {rate} a second{end}")
}

fn seconds(counted: &Count, rate: u32) -> u64 {
    counted.count.div_ceil(rate.max(1).into())
}

/// A sentence about how far the replay is.
pub(super) fn progress(replay: &Replay, now: Timestamp) -> String {
    let reason = replay.reason.as_ref().map(|reason| format!(" ({})", printable(reason)));
    format!(
        "Replay {} is {}{}: sent {} of {}.",
        replay.replay_id,
        replay.state_at(now),
        reason.unwrap_or_default(),
        replay.sent,
        replay.counted
    )
}

/// How far the replay is, for a line of progress.
pub(super) fn short_progress(replay: &Replay, now: Timestamp) -> String {
    format!("{} of {}, {}", replay.sent, replay.counted, replay.state_at(now))
}

fn statuses(filter: &ReplayFilter) -> String {
    filter.statuses.as_ref().map_or_else(
        || "all".to_owned(),
        |statuses| statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(","),
    )
}

#[cfg(test)]
mod tests {
    use webhooks::replay::{DEFAULT_STATUSES, ReplayState};

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    fn replay() -> Replay {
        serde_json::from_value(json!({
            "webhook": "770e8400-e29b-41d4-a716-446655440002/550e8400-e29b-41d4-a716-446655440000",
            "replay_id": "019ae3c0-1d40-7a31-8e52-6f0c9b7d2e14",
            "state": "running",
            "filter": {"since": at(1), "until": at(2), "statuses": DEFAULT_STATUSES, "job_id": "j\u{1b}"},
            "rate_per_second": 50,
            "counted": 200,
            "sent": 20,
            "slice": 1,
            "created_at": at(3),
            "updated_at": at(4),
            "progressed_at": at(4),
            "ttl": 1,
        }))
        .unwrap()
    }

    #[test]
    fn a_replay_without_progress_is_shown_as_failed() {
        let lines = |now| -> Vec<String> { table(&[replay()], now).lines().collect() };
        let running = lines(at(5));
        assert!(
            running[1].contains("  running  20    200      1970-01-01T00:00:01Z  "),
            "{running:?}"
        );
        assert!(running[1].contains("  failed,skipped,cancelled  550e8400-"), "{running:?}");
        assert!(lines(at(1000))[1].contains("  failed "));
        assert_eq!(json(&replay(), at(1000))["completed_at"], "1970-01-01T00:15:04Z");
    }

    #[test]
    fn a_replay_in_full_has_every_field_and_its_filter() {
        let text = full(&Replay { reason: Some("off".to_owned()), ..replay() }, at(5));
        for name in IN_ORDER
            .iter()
            .filter(|name| !["event", "document_id", "completed_at", "filter"].contains(name))
        {
            assert!(text.contains(&format!("{name} ")), "{name} is missing in:\n{text}");
        }
        assert!(text.contains("j␛") && !text.contains('\u{1b}'), "{text}");
        let Value::Object(fields) = json(&replay(), at(5)) else { panic!("not an object") };
        for name in fields.keys() {
            assert!(IN_ORDER.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn the_size_says_whether_it_is_exact_and_how_long_it_takes() {
        let counted = |count, is_exact| Count { count, is_exact, sample: Vec::new() };
        assert_eq!(size(&counted(0, true), 50), "0 deliveries, about 0 s at 50 a second.");
        let many = size(&counted(10_000, false), 50);
        assert!(
            many.starts_with("at least 10000 deliveries, about 200 s or longer at 50 a second."),
            "{many}"
        );
        assert_eq!(count_json(&counted(51, true), 50, at(0))["estimated_seconds"], 2);
    }

    #[test]
    fn progress_says_why_a_replay_was_cancelled() {
        let reason = Some("the webhook is off".to_owned());
        let cancelled = Replay { state: ReplayState::Cancelled, reason, ..replay() };
        let text = progress(&cancelled, at(5));
        assert!(text.ends_with("is cancelled (the webhook is off): sent 20 of 200."), "{text}");
        assert_eq!(short_progress(&replay(), at(5)), "20 of 200, running");
    }
}
