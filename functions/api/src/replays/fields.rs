//! Validation of the body of `POST …/replays`.
//!
//! The rule: every field is checked, so one response names all that are wrong.

use serde_json::value::RawValue;

use webhooks::delivery::DeliveryStatus;
use webhooks::replay::{DEFAULT_STATUSES, ReplayFilter};
use webhooks::timestamp::Timestamp;

use crate::config::ReplayRate;
use crate::error::{ApiError, Details, quoted};
use crate::extract::JsonObject;
use crate::fields::{boolean, event, refuse_others, take, value, whole_number};

/// The value of `status` that selects every status.
pub(crate) const ALL: &str = "all";

/// The statuses that a request can list; a pending delivery is under way.
pub(crate) const STATUSES: [DeliveryStatus; 4] = [
    DeliveryStatus::Failed,
    DeliveryStatus::Skipped,
    DeliveryStatus::Cancelled,
    DeliveryStatus::Delivered,
];

/// Maximum bytes of an id of the document pipeline.
pub(crate) const MAX_ID_BYTES: usize = 1024;

/// A valid body, with its defaults.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReplayRequest {
    pub filter: ReplayFilter,
    pub rate_per_second: u32,
    pub dry_run: bool,
}

/// Reads the body at `now`, which is the latest `until`.
pub(crate) fn replay(
    object: JsonObject,
    rate: ReplayRate,
    now: Timestamp,
) -> Result<ReplayRequest, ApiError> {
    read(object, rate, now).map_err(ApiError::InvalidFields)
}

fn read(
    JsonObject(mut fields): JsonObject,
    rate: ReplayRate,
    now: Timestamp,
) -> Result<ReplayRequest, Details> {
    let mut wrong = Details::new();
    let (fields_mut, wrong_mut) = (&mut fields, &mut wrong);
    let since = take(fields_mut, wrong_mut, "since", time);
    let until = take(fields_mut, wrong_mut, "until", time).unwrap_or(now).min(now);
    let statuses = take(fields_mut, wrong_mut, "status", statuses);
    let event = take(fields_mut, wrong_mut, "event", event);
    let document_id = take(fields_mut, wrong_mut, "document_id", id);
    let job_id = take(fields_mut, wrong_mut, "job_id", id);
    let rate_per_second = take(fields_mut, wrong_mut, "rate_per_second", |json| {
        whole_number(json)
            .and_then(|number| number.try_into().ok())
            .filter(|number| (1..=rate.max).contains(number))
            .ok_or_else(|| format!("must be a whole number from 1 to {}", rate.max))
    });
    let dry_run = take(fields_mut, wrong_mut, "dry_run", boolean);
    refuse_others(fields, &mut wrong);
    let since = match since {
        Some(since) if since > until && !wrong.contains_key("until") => {
            wrong.insert("since".to_owned(), format!("must not be after `until`, {until}"));
            since
        }
        Some(since) => since,
        None => {
            wrong.entry("since".to_owned()).or_insert_with(|| "is required".to_owned());
            now
        }
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let statuses = statuses.unwrap_or_else(|| Some(DEFAULT_STATUSES.to_vec()));
    Ok(ReplayRequest {
        filter: ReplayFilter { since, until, statuses, event, document_id, job_id },
        rate_per_second: rate_per_second.unwrap_or(rate.default),
        dry_run: dry_run.unwrap_or(false),
    })
}

fn time(json: &RawValue) -> Result<Timestamp, String> {
    let text: Option<String> = value(json);
    text.and_then(|text| Timestamp::parse(&text).ok())
        .ok_or_else(|| "must be an RFC 3339 time such as 2025-12-03T10:30:00Z".to_owned())
}

/// `None` for `"all"`.
fn statuses(json: &RawValue) -> Result<Option<Vec<DeliveryStatus>>, String> {
    let known = STATUSES.map(DeliveryStatus::as_str).join(", ");
    let expected = || format!("must be \"{ALL}\" or a list of {known}");
    if value::<String>(json).is_some_and(|text| text == ALL) {
        return Ok(None);
    }
    let names: Vec<String> = value(json).ok_or_else(expected)?;
    let mut statuses = Vec::new();
    for name in names {
        let status = DeliveryStatus::from_name(&name).filter(|status| STATUSES.contains(status));
        let status = status.ok_or_else(|| format!("{}, not `{}`", expected(), quoted(&name)))?;
        if statuses.contains(&status) {
            return Err(format!("lists `{status}` more than once"));
        }
        statuses.push(status);
    }
    if statuses.is_empty() { Err(expected()) } else { Ok(Some(statuses)) }
}

fn id(json: &RawValue) -> Result<String, String> {
    value::<String>(json)
        .filter(|text| (1..=MAX_ID_BYTES).contains(&text.len()))
        .ok_or_else(|| format!("must be a string of 1 to {MAX_ID_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const RATE: ReplayRate = ReplayRate { default: 50, max: 500 };

    fn now() -> Timestamp {
        Timestamp::parse("2025-12-03T12:00:00Z").unwrap()
    }

    fn read(body: &Value) -> Result<ReplayRequest, Value> {
        let object = serde_json::from_str(&body.to_string()).unwrap();
        super::read(object, RATE, now()).map_err(|wrong| json!(wrong))
    }

    #[test]
    fn a_replay_needs_only_its_begin() {
        let nothing = json!({"since": "2025-12-03T10:00:00Z", "until": null, "status": null,
            "event": null, "document_id": null, "job_id": null, "rate_per_second": null,
            "dry_run": null});
        for body in [json!({"since": "2025-12-03T11:00:00+01:00"}), nothing] {
            let request = read(&body).unwrap();
            assert_eq!(request.filter.since.to_string(), "2025-12-03T10:00:00Z");
            assert_eq!(request.filter.until, now());
            assert_eq!(request.filter.statuses, Some(DEFAULT_STATUSES.to_vec()));
            assert_eq!((request.rate_per_second, request.dry_run), (50, false));
        }
    }

    #[test]
    fn fields_in_the_body_replace_the_defaults() {
        let request = read(&json!({
            "since": "2025-12-03T10:00:00Z", "until": "2025-12-03T11:00:00.5Z",
            "status": ["failed", "delivered"], "event": "document.uploaded", "document_id": "d",
            "job_id": "j", "rate_per_second": 500, "dry_run": true,
        }))
        .unwrap();
        let filter = request.filter;
        assert_eq!(filter.until.to_string(), "2025-12-03T11:00:00.5Z");
        assert_eq!(filter.statuses, Some(vec![DeliveryStatus::Failed, DeliveryStatus::Delivered]));
        assert_eq!(filter.event.unwrap().as_str(), "document.uploaded");
        assert_eq!(
            (filter.document_id.as_deref(), filter.job_id.as_deref()),
            (Some("d"), Some("j"))
        );
        assert_eq!((request.rate_per_second, request.dry_run), (500, true));
        let all = read(&json!({"since": "2025-12-03T10:00:00Z", "status": "all"})).unwrap();
        assert_eq!(all.filter.statuses, None);
    }

    #[test]
    fn a_replay_never_reaches_beyond_its_creation() {
        let request = json!({"since": "2025-12-03T10:00:00Z", "until": "2026-12-03T10:00:00Z"});
        assert_eq!(read(&request).unwrap().filter.until, now());
    }

    #[test]
    fn each_invalid_field_gets_its_reason() {
        let time = "must be an RFC 3339 time such as 2025-12-03T10:30:00Z";
        let status = "must be \"all\" or a list of failed, skipped, cancelled, delivered";
        let id = "must be a string of 1 to 1024 bytes";
        let rate = "must be a whole number from 1 to 500";
        for (field, value, reason) in [
            ("since", json!("yesterday"), time),
            ("since", json!(1_764_757_800), time),
            ("since", json!(["2025-12-03T10:00:00Z"]), time),
            ("since", json!(null), "is required"),
            (
                "since",
                json!("2025-12-03T12:00:00.001Z"),
                "must not be after `until`, 2025-12-03T12:00:00Z",
            ),
            ("until", json!("2025-12-03"), time),
            ("until", json!({}), time),
            ("status", json!("failed"), status),
            ("status", json!("ALL"), status),
            ("status", json!([]), status),
            ("status", json!([1]), status),
            ("status", json!(["pending"]), &format!("{status}, not `pending`")),
            ("status", json!(["failed", "lost\n"]), &format!("{status}, not `lost␊`")),
            ("status", json!(["failed", "failed"]), "lists `failed` more than once"),
            ("document_id", json!(""), id),
            ("document_id", json!("d".repeat(1025)), id),
            ("job_id", json!(7), id),
            ("rate_per_second", json!(0), rate),
            ("rate_per_second", json!(501), rate),
            ("rate_per_second", json!(-1), rate),
            ("rate_per_second", json!(1.5), rate),
            ("rate_per_second", json!("50"), rate),
            ("dry_run", json!("true"), "must be true or false"),
            ("dry_run", json!(1), "must be true or false"),
            ("dryrun", json!(true), "is not a known field"),
        ] {
            let mut body = json!({"since": "2025-12-03T10:00:00Z"});
            body[field] = value.clone();
            assert_eq!(read(&body).unwrap_err(), json!({field: reason}), "{field}: {value}");
        }
        let event = read(&json!({"since": "2025-12-03T10:00:00Z", "event": "x"})).unwrap_err();
        assert!(event["event"].as_str().unwrap().contains("not `x`"), "{event}");
    }

    #[test]
    fn one_response_names_every_invalid_field() {
        let wrong =
            read(&json!({"until": 1, "status": 1, "event": 1, "document_id": 1, "job_id": 1,
            "rate_per_second": 0, "dry_run": 0, "limit": 1}))
            .unwrap_err();
        assert_eq!(wrong.as_object().unwrap().len(), 9, "{wrong}");
        let twice: JsonObject =
            serde_json::from_str(r#"{"since": "2025-12-03T10:00:00Z", "since": null}"#).unwrap();
        let wrong = super::read(twice, RATE, now()).unwrap_err();
        assert_eq!(json!(wrong), json!({"since": "is given more than once"}));
    }
}
