//! Reads warnings and errors from the functions' log as they appear.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;
use webhooks::text::printable;

use crate::style::{BAD, WAITING};

/// Each read continues where the last one ended.
#[derive(Debug)]
pub(super) struct FunctionLog {
    path: PathBuf,
    position: u64,
}

/// A line of the level ERROR or WARN, or without a level, such as a panic. Without warnings about a delivery: its own
/// line in the delivery log says the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) is_warning: bool,
    /// `HH:MM:SS` in UTC.
    pub(super) time: String,
    pub(super) function: String,
    pub(super) message: String,
}

impl FunctionLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, position: 0 }
    }

    /// The new problems; none if the log cannot be read.
    pub(super) fn read(&mut self) -> Vec<Problem> {
        let mut new = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.position))?;
            file.read_to_end(&mut new)
        });
        // The last line may be incomplete.
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if read.is_ok() {
            self.position += u64::try_from(whole).unwrap_or(0);
        }
        String::from_utf8_lossy(&new[..whole]).lines().filter_map(parse).collect()
    }
}

fn parse(line: &str) -> Option<Problem> {
    let line: Value = serde_json::from_str(line).ok()?;
    let is_of_delivery = line["fields"]["delivery.id"].is_string();
    let is_warning = match line["level"].as_str() {
        Some("WARN") if !is_of_delivery => true,
        Some("ERROR") => false,
        // Text that is not from a function's log, such as the loader's. A line of metrics has no message.
        None if line["message"].is_string() => false,
        _ => return None,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = &line["fields"];
    let mut message =
        if fields.is_object() { text(&fields["message"]) } else { text(&line["message"]) };
    for name in ["reason", "error", "panic.message"] {
        if let Some(cause) = fields[name].as_str() {
            message = format!("{message}: {cause}");
        }
    }
    for (field, name) in [("delivery.id", "delivery"), ("job.id", "job")] {
        if let Some(id) = fields[field].as_str() {
            message = format!("{message} ({name} {id})");
        }
    }
    let time = text(&line["time"]);
    let time = time.get("2025-12-03T".len()..).and_then(|time| time.get(.."10:30:00".len()));
    Some(Problem {
        is_warning,
        time: time.unwrap_or_default().to_owned(),
        function: text(&line["function"]),
        message: printable(&message),
    })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_warning, time, function, message } = self;
        let (mark, style, verb) =
            if *is_warning { ('!', WAITING, "warns") } else { ('✗', BAD, "reports") };
        write!(f, "  {time:<10}  {style}{mark} {function} {verb}: {message}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_with_its_cause_and_its_delivery() {
        let line = r#"{"time":"2025-12-03T10:30:00.123Z","function":"sender","level":"ERROR","fields":{"message":"a delivery is blocked","delivery.id":"7","reason":"no secret"}}"#;
        let error = parse(line).unwrap();
        assert_eq!(error.message, "a delivery is blocked: no secret (delivery 7)");
        assert_eq!((error.time.as_str(), error.function.as_str()), ("10:30:00", "sender"));
    }

    #[test]
    fn a_parked_record_is_shown_with_its_job_in_printable_form() {
        let line = r#"{"function":"fanout","level":"ERROR","fields":{"message":"record parked","job.id":"a\nb\u001b[31m","reason":"no tenant"}}"#;
        assert_eq!(parse(line).unwrap().message, "record parked: no tenant (job a␊b␛[31m)");
    }

    #[test]
    fn a_warning_is_shown_as_one_unless_it_is_about_a_delivery() {
        let line = r#"{"function":"fanout","level":"WARN","fields":{"message":"a job's new status is unknown, so there is no event","job.id":"7"}}"#;
        let warning = parse(line).unwrap().to_string();
        let text = "! fanout warns: a job's new status is unknown, so there is no event (job 7)";
        assert!(warning.contains(text), "{warning}");
        let line = r#"{"function":"sender","level":"WARN","fields":{"message":"last attempt failed","delivery.id":"7"}}"#;
        assert_eq!(parse(line), None);
    }

    #[test]
    fn a_panic_is_shown() {
        let panic = r#"{"function":"api","level":"ERROR","fields":{"message":"panic","panic.message":"a bug"}}"#;
        assert_eq!(parse(panic).unwrap().message, "panic: a bug");
    }

    #[test]
    fn text_is_shown_and_neither_information_nor_metrics() {
        let text =
            r#"{"time":"2025-12-03T10:30:00.123Z","function":"api","message":"no such file"}"#;
        assert_eq!(parse(text).unwrap().message, "no such file");
        assert_eq!(parse(r#"{"level":"INFO","fields":{"message":"webhook created"}}"#), None);
        let metrics = r#"{"time":"2025-12-03T10:30:00.123Z","function":"api","_aws":{"Timestamp":1},"Requests":1}"#;
        assert_eq!(parse(metrics), None);
    }

    #[test]
    fn each_line_is_read_once_when_it_is_complete() {
        let path = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
        let mut log = FunctionLog::new(path.clone());
        assert!(log.read().is_empty());
        std::fs::write(&path, "{\"message\":\"one\"}\n{\"message\"").unwrap();
        assert_eq!(log.read().len(), 1);
        std::fs::write(&path, "{\"message\":\"one\"}\n{\"message\":\"two\"}\n").unwrap();
        assert_eq!(log.read()[0].message, "two");
        std::fs::remove_file(path).unwrap();
    }
}
