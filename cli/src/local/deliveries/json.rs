//! The lines of `docintell local` as JSON. Pure.
//!
//! The rule: each object has a `type`, because they differ.

use serde_json::{Value, json};

use super::function_log::Problem;
use super::line::{Line, Outcome};

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Pending => "pending",
            Self::Ended => "ended",
        }
    }
}

pub(super) fn line(line: &Line) -> Value {
    json!({
        "type": "delivery",
        "at": line.at,
        "delivery_id": line.delivery_id,
        "event": line.event,
        "job_id": line.job_id,
        "outcome": line.outcome.name(),
        "chain": line.chain,
        "attempt": line.attempt,
        "max_attempts": line.max_attempts,
        "status_code": line.http_status,
        "endpoint": line.endpoint,
        "message": Some(&line.text).filter(|text| !text.is_empty()),
        "since_write_ms": line.since_write.and_then(|time| u64::try_from(time.as_millis()).ok()),
    })
}

pub(super) fn problem(problem: &Problem) -> Value {
    json!({
        "type": "problem",
        "level": if problem.is_warning { "warning" } else { "error" },
        "time": problem.time,
        "function": problem.function,
        "message": problem.message,
    })
}

#[cfg(test)]
mod tests {
    use super::super::line::lines;
    use super::*;

    const JOB: &str = "550e8400-e29b-41d4-a716-446655440000";

    #[test]
    fn an_attempt_is_an_object_with_its_status_and_what_follows() {
        let row = json!({
            "webhook": format!("{JOB}/{JOB}"),
            "delivery_id": "019ae3c0-0000-7000-8000-000000000001",
            "event": "document.uploaded",
            "event_id": "019ae3c0-0000-7000-8000-000000000002",
            "job_id": JOB,
            "occurred_at": "2025-12-03T10:30:00Z",
            "body": "{}",
            "status": "delivered",
            "chain": 1,
            "attempts": [
                {"number": 1, "at": "2025-12-03T10:30:01Z", "duration_ms": 20, "error": "busy",
                 "status_code": 503},
                {"number": 2, "at": "2025-12-03T10:30:02Z", "duration_ms": 20, "status_code": 200},
            ],
            "attempt_count": 2,
            "last_attempt": 2,
            "ttl": 1,
        });
        let row = serde_json::from_value(row).unwrap();
        let [failed, delivered] = &lines(&row, None, None)[..] else { panic!("{row:?}") };
        let (failed, delivered) = (line(failed), line(delivered));
        assert_eq!(failed["at"], "2025-12-03T10:30:01.02Z");
        for (name, first, second) in [
            ("type", json!("delivery"), json!("delivery")),
            ("event", json!("document.uploaded"), json!("document.uploaded")),
            ("outcome", json!("pending"), json!("delivered")),
            ("attempt", json!(1), json!(2)),
            ("status_code", json!(503), json!(200)),
            ("message", json!("busy; next attempt in 1 s"), Value::Null),
        ] {
            assert_eq!((&failed[name], &delivered[name]), (&first, &second), "{name}");
        }
    }
}
