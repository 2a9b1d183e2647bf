//! The functions' log on standard output: each line has its time, and on Lambda it is a JSON object.
//!
//! The rules: `LOG_LEVEL` alone decides what is logged. Lambda's own filter passes every line, because it would take a
//! line of metrics for one at INFO. A panic is a line at ERROR.

use std::any::Any;
use std::io::stdout;
use std::panic::{self, PanicHookInfo};

use lambda_runtime::tracing::subscriber::filter::{FilterFn, LevelFilter};
use lambda_runtime::tracing::subscriber::layer::SubscriberExt as _;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt as _;
use lambda_runtime::tracing::subscriber::{fmt, registry};
use tracing::{Metadata, error, warn};

use crate::env;
use crate::text::printable;

/// Only these crates log at DEBUG. Each of our lines would otherwise come with hundreds from libraries.
const OURS: [&str; 5] = ["api", "fanout", "replay", "sender", "webhooks"];

/// Starts the log of this process.
///
/// `LOG_LEVEL` is the lowest level to log, INFO if it is missing. `AWS_LAMBDA_LOG_FORMAT`, which Lambda sets, is `JSON`
/// except where a person reads the log.
pub fn init() {
    const LEVEL: &str = "LOG_LEVEL";
    let level = env::optional(LEVEL).map_or(Ok(LevelFilter::INFO), |level| level.parse());
    let lowest = *level.as_ref().unwrap_or(&LevelFilter::INFO);
    let filter = FilterFn::new(move |metadata| is_logged(metadata, lowest))
        .with_max_level_hint(lowest.max(LevelFilter::INFO));
    let registry = registry().with(filter);
    let lines = fmt::layer().with_target(false).with_writer(stdout);
    let format = env::optional("AWS_LAMBDA_LOG_FORMAT").unwrap_or_default();
    if format.eq_ignore_ascii_case("json") {
        // `spans` has the current one too.
        registry.with(lines.json().with_current_span(false)).init();
    } else {
        registry.with(lines).init();
    }
    panic::set_hook(Box::new(log_panic));
    if let Err(error) = level {
        warn!(variable = LEVEL, %error, "an environment variable is wrong; the log level is INFO");
    }
}

/// True for spans of every level, because an error needs the ids in them.
fn is_logged(metadata: &Metadata<'_>, lowest: LevelFilter) -> bool {
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    let lowest = if metadata.is_span() {
        LevelFilter::INFO
    } else if OURS.contains(&crate_name) {
        lowest
    } else {
        lowest.min(LevelFilter::INFO)
    };
    *metadata.level() <= lowest
}

/// Logs where a panic happened, which only this hook knows. The code that catches the panic logs the ids.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    error!(panic.message = panic_message(panic.payload()), panic.place = place, "panic");
}

/// The message of a caught panic, printable and with at most 500 characters.
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    printable(text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::Value;

    use super::*;

    /// Not a test: the next one runs it in a process of its own.
    #[test]
    #[ignore = "it panics"]
    fn log_and_panic() {
        init();
        let _span = tracing::info_span!("request", tenant.id = 9).entered();
        tracing::debug!("too detailed");
        tracing::debug!(target: "aws_smithy_runtime::client", "a library's");
        tracing::info!(delivery.id = 7, "delivered");
        panic!("on {}", "purpose");
    }

    /// The output of [`log_and_panic`] with these variables.
    fn output(environment: &[(&str, &str)]) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "log::tests::log_and_panic",
                "--ignored",
                "--nocapture",
                "--test-threads=2",
            ])
            .env_remove("AWS_LAMBDA_LOG_FORMAT")
            .env_remove("LOG_LEVEL")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn lines(level: &str) -> Vec<Value> {
        let output = output(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("LOG_LEVEL", level)]);
        output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    #[test]
    fn a_line_has_an_rfc_3339_time_and_its_level() {
        let lines = lines("INFO");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["fields"]["message"], "delivered");
        assert_eq!(lines[0]["fields"]["delivery.id"], 7);
        for line in &lines {
            let time = line["timestamp"].as_str().unwrap();
            assert!(
                time.ends_with('Z') && time.parse::<crate::timestamp::Timestamp>().is_ok(),
                "{time}"
            );
        }
    }

    #[test]
    fn a_panic_is_a_line_at_error() {
        let lines = lines("ERROR");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(
            (&line["level"], &line["fields"]["message"]),
            (&"ERROR".into(), &"panic".into())
        );
        assert_eq!(line["fields"]["panic.message"], "on purpose");
        assert_eq!(line["spans"][0]["tenant.id"], 9);
        assert!(line["fields"]["panic.place"].as_str().unwrap().contains("log.rs"));
    }

    #[test]
    fn log_level_decides_what_is_logged_of_our_lines() {
        for (level, count) in [("DEBUG", 3), ("INFO", 2), ("WARN", 1), ("ERROR", 1)] {
            assert_eq!(lines(level).len(), count, "{level}");
        }
    }

    #[test]
    fn an_unknown_log_level_is_told_and_counts_as_info() {
        let lines = lines("VERBOSE");
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["fields"]["variable"], "LOG_LEVEL");
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_person_reads_text() {
        let output = output(&[]);
        let is_json = output.lines().any(|line| line.starts_with('{'));
        assert!(output.contains("delivered delivery.id=7") && !is_json, "{output}");
    }
}
